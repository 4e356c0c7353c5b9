"""What an import promises: whole or not at all, each row once, nothing silently lost."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from engine.domain.clock import DAY, SECOND
from engine.domain.errors import FileRefused, InvalidInput
from engine.domain.pair_state import DEFAULT_LAYOUT, Kind, closed_form, from_bytes
from engine.ledger.database import Database
from training.importing import (
    RESEARCH_CONSENTS,
    ImportOptions,
    ImportReport,
    NumericTimes,
    import_files,
)

Write = Callable[..., Path]
_TRIALS = count(1)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file into the test's folder: its lines, or gzipped under a name in .gz."""

    def written(name: str, *lines: str) -> Path:
        content = ("\n".join(lines) + "\n").encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return written


def rows(database: Database, query: str) -> list[tuple[object, ...]]:
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def everything(database: Database) -> dict[str, list[tuple[object, ...]]]:
    names = "people consents friendships items gifts interactions item_events offers offer_events"
    return {
        name: sorted(rows(database, f"SELECT * FROM {name}"), key=repr)
        for name in (*names.split(), "ties")
    }


def bring(database: Database, options: ImportOptions | None = None, **files: Path) -> ImportReport:
    return import_files(database, files, options or ImportOptions())


def rejected(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as listed:
        return list(csv.reader(listed))


def a_history(write: Write) -> dict[str, Path]:
    return {
        "people": write(
            "people.csv",
            "person,birth_date,zone,joined_at,consents",
            "ann,1990-05-31,Europe/Paris,2024-01-01,offers;gift_suggestions",
            "bob,,,,",
        ),
        "items": write("items.csv", "item,price_fen,scenes", "rose,520,chat;live_room", "tea,900,"),
        "friendships": write(
            "friends.csv", "person,friend,since,until", "ann,bob,100,", "bob,ann,100,"
        ),
        "gifts": write(
            "gifts.csv",
            "sender,recipient,item,occurred_at,outcome,outcome_at",
            "ann,bob,rose,2024-02-14T10:00:00+08:00,accepted,2024-02-14T10:05:00+08:00",
            "bob,ann,tea,2024-03-01T00:00:00Z,,",
        ),
        "interactions": write(
            "messages.csv",
            "sender,recipient,occurred_at",
            "ann,bob,500",
            "ann,bob,500",
            "bob,cy,600",
        ),
        "item_events": write("liked.csv", "person,item", "bob,rose"),
        "offers": write(
            "offers.csv", "offer,brand,value_fen,starts_at,ends_at", "o1,Teahouse,300,0,90"
        ),
        "offer_events": write("shown.csv", "offer,person,kind,occurred_at", "o1,dee,shown,5"),
    }


def test_import_of_every_kind_stores_what_the_files_say(database: Database, write: Write) -> None:
    report = bring(database, **a_history(write))
    assert {f.kind: (f.read, f.new, f.bad) for f in report.files} == {
        "people": (2, 2, 0),
        "items": (2, 2, 0),
        "friendships": (2, 2, 0),
        "gifts": (2, 2, 0),
        "interactions": (3, 3, 0),
        "item_events": (1, 1, 0),
        "offers": (1, 1, 0),
        "offer_events": (1, 1, 0),
    }
    joined = 1704067200 * SECOND
    assert rows(
        database, "SELECT person, birth_date, zone, joined_at, recorded_at FROM people"
    ) == [
        ("ann", "1990-05-31", "Europe/Paris", joined, joined),
        ("bob", None, None, None, 0),
        ("cy", None, None, None, 0),
        ("dee", None, None, None, 0),
    ]
    assert rows(database, "SELECT item, name, price_fen, tier, relations, scenes FROM items") == [
        ("rose", "rose", 520, "goods", "friend", "chat,live_room"),
        ("tea", "tea", 900, "goods", "friend", "chat"),
    ]
    sent, answered = 1707876000 * SECOND, 1707876300 * SECOND
    assert rows(
        database,
        "SELECT sender, item, price_fen, state, origin, occurred_at, outcome_at, recorded_at"
        " FROM gifts ORDER BY occurred_at",
    ) == [
        ("ann", "rose", 520, "accepted", "imported", sent, answered, sent),
        ("bob", "tea", 900, "sent", "imported", 1709251200 * SECOND, None, 1709251200 * SECOND),
    ]
    assert rows(database, "SELECT kind, weight, occurred_at FROM interactions ORDER BY 3") == [
        ("message", 1.0, 500 * SECOND),
        ("message", 1.0, 500 * SECOND),
        ("message", 1.0, 600 * SECOND),
    ]
    assert rows(database, "SELECT person, item, kind, occurred_at FROM item_events") == [
        ("bob", "rose", "liked", 0)
    ]
    assert rows(database, "SELECT offer, category, price_fen, recorded_at FROM offers") == [
        ("o1", "other", 0, 0)
    ]
    assert rows(database, "SELECT person, purpose, since FROM consents ORDER BY purpose") == [
        ("ann", "gift_suggestions", joined),
        ("ann", "offers", joined),
    ]


def test_import_takes_the_owner_of_a_co_branded_edition(database: Database, write: Write) -> None:
    items = write("items.csv", "item,price_fen,ip_owner", "cup,900,Blue Fox Studio", "tea,9,")
    bring(database, items=items)
    assert rows(database, "SELECT item, ip_owner FROM items ORDER BY 1") == [
        ("cup", "Blue Fox Studio"),
        ("tea", None),
    ]


def test_import_takes_regions_own_limits_guardians_and_odds(
    database: Database, write: Write
) -> None:
    people = write(
        "people.csv",
        "person,region,gift_fen_limit,consents",
        "ann,cn-hk,500,guardian;offers",
        "bob,,,",
    )
    items = write(
        "items.csv", "item,price_fen,odds_disclosed", "box,900,Yes", "bag,900,0", "tea,9,"
    )
    bring(database, people=people, items=items)
    assert rows(database, "SELECT person, region, gift_fen_limit FROM people ORDER BY 1") == [
        ("ann", "CN-HK", 500),
        ("bob", None, None),
    ]
    assert rows(database, "SELECT item, odds_disclosed FROM items ORDER BY 1") == [
        ("bag", False),
        ("box", True),
        ("tea", None),
    ]
    assert rows(database, "SELECT person, purpose, granted FROM consents ORDER BY 2") == [
        ("ann", "guardian", True),
        ("ann", "offers", True),
    ]
    # What is left out, or left empty, stays as it was.
    newer = write("newer.csv", "person,region,gift_fen_limit", "ann,,700", "bob,DE,")
    boxes = write("boxes.csv", "item,price_fen,odds_disclosed", "box,900,", "tea,9,false")
    bring(database, people=newer, items=boxes)
    assert rows(database, "SELECT region, gift_fen_limit FROM people ORDER BY person") == [
        ("CN-HK", 700),
        ("DE", None),
    ]
    assert rows(database, "SELECT item, odds_disclosed FROM items ORDER BY 1") == [
        ("bag", False),
        ("box", True),
        ("tea", False),
    ]


@pytest.mark.parametrize(
    ("kind", "header", "row", "reason"),
    [
        ("people", "person,region", "ann,China", "not a region such as CN or CN-HK"),
        ("people", "person,region", "ann,CN-", "not a region such as CN or CN-HK"),
        ("people", "person,region", "ann,ß", "not a region such as CN or CN-HK"),
        ("people", "person,gift_fen_limit", "ann,-1", "negative"),
        ("items", "item,price_fen,odds_disclosed", "box,9,maybe", "not true or false"),
    ],
)
def test_import_of_a_region_limit_or_truth_that_is_none_is_refused(
    sqlite_database: Database, write: Write, kind: str, header: str, row: str, reason: str
) -> None:
    with pytest.raises(FileRefused, match=reason):
        bring(sqlite_database, **{kind: write("bad.csv", header, row)})


def test_import_may_not_assume_what_only_a_guardian_can_say() -> None:
    assert "guardian" not in RESEARCH_CONSENTS
    with pytest.raises(InvalidInput, match="no consent to 'guardian' can be assumed"):
        ImportOptions(consents=("offers", "guardian"))


def test_import_ties_equal_the_closed_form_over_the_log(database: Database, write: Write) -> None:
    report = bring(database, **a_history(write))
    sent, answered = 1707876000 * SECOND, 1707876300 * SECOND
    back = 1709251200 * SECOND
    log = {
        ("ann", "bob"): [
            (Kind.GIFT, sent),
            (Kind.MESSAGE, 500 * SECOND),
            (Kind.MESSAGE, 500 * SECOND),
        ],
        ("bob", "ann"): [(Kind.ACCEPTED, answered), (Kind.GIFT, back)],
        ("bob", "cy"): [(Kind.MESSAGE, 600 * SECOND)],
    }
    stored = {
        (a, b): bytes(state)
        for a, b, state in rows(database, "SELECT sender, recipient, state FROM ties")
    }
    assert report.ties == 3
    assert stored.keys() == log.keys()
    for pair, events in log.items():
        expected = closed_form(
            DEFAULT_LAYOUT,
            np.zeros(len(events), dtype=np.int64),
            np.array([kind for kind, _ in events], dtype=np.int64),
            np.ones(len(events)),
            np.array([at for _, at in events], dtype=np.int64),
            1,
        )[0]
        np.testing.assert_allclose(from_bytes(DEFAULT_LAYOUT, stored[pair]), expected, rtol=1e-9)


def test_import_of_the_same_files_twice_changes_nothing(database: Database, write: Write) -> None:
    files = a_history(write)
    bring(database, **files)
    before = everything(database)
    report = bring(database, **files)
    assert everything(database) == before
    assert all(f.known == f.read and f.new == f.changed == 0 for f in report.files)
    assert (report.people, report.consents, report.ties) == (0, 0, 0)


def test_import_of_a_gzipped_copy_changes_nothing(database: Database, write: Write) -> None:
    lines = ("sender,recipient,occurred_at", "a,b,1", "a,b,1")
    bring(database, interactions=write("m.csv", *lines))
    report = bring(database, interactions=write("copy.csv.gz", *lines))
    assert report.files[0].known == 2
    assert len(rows(database, "SELECT 1 FROM interactions")) == 2


def test_import_of_one_more_row_is_another_file(database: Database, write: Write) -> None:
    """Without ids only the very same file is recognised, as the documentation says."""
    bring(database, interactions=write("m.csv", "sender,recipient,occurred_at", "a,b,1"))
    bring(database, interactions=write("m.csv", "sender,recipient,occurred_at", "a,b,1", "a,b,2"))
    assert len(rows(database, "SELECT 1 FROM interactions")) == 3


def test_import_with_event_ids_adds_only_unseen_events(database: Database, write: Write) -> None:
    head = "event,sender,recipient,occurred_at"
    bring(database, interactions=write("a.csv", head, "e1,a,b,1", "e2,a,b,2"))
    report = bring(database, interactions=write("b.csv", head, "e2,a,b,2", "e3,a,b,3"))
    assert (report.files[0].new, report.files[0].known) == (1, 1)
    assert rows(database, "SELECT event FROM interactions ORDER BY 1") == [
        ("e1",),
        ("e2",),
        ("e3",),
    ]


def test_import_of_an_event_id_with_other_content_refuses_the_file(
    database: Database, write: Write
) -> None:
    head = "event,sender,recipient,weight,occurred_at"
    bring(database, interactions=write("a.csv", head, "e1,a,b,1,1"))
    again = write("b.csv", head, "e2,a,b,1,2", "e1,a,c,2,1")
    with pytest.raises(FileRefused, match="already recorded with another recipient, weight"):
        bring(database, interactions=again)
    assert rows(database, "SELECT event FROM interactions") == [("e1",)]
    report = bring(database, ImportOptions(max_bad=1), interactions=again)
    assert (report.files[0].new, report.files[0].bad) == (1, 1)
    assert rows(database, "SELECT recipient FROM interactions ORDER BY event") == [("b",), ("b",)]


def test_import_with_another_time_unit_is_refused_rather_than_ignored(
    database: Database, write: Write
) -> None:
    path = write("m.csv", "sender,recipient,occurred_at", "a,b,7")
    bring(database, interactions=path)
    with pytest.raises(FileRefused, match="another occurred_at"):
        bring(database, ImportOptions(times=NumericTimes("d")), interactions=path)


def test_import_with_a_bad_row_stores_nothing_of_any_file(database: Database, write: Write) -> None:
    files = a_history(write)
    files["interactions"] = write("bad.csv", "sender,recipient,occurred_at", "a,b,1", "a,b,noon")
    before = everything(database)
    with pytest.raises(FileRefused) as refused:
        bring(database, **files)
    path = files["interactions"]
    assert everything(database) == before
    assert rows(database, "SELECT 1 FROM received_events") == []
    assert f"{path}:3: occurred_at: cannot read the time ('noon')" in refused.value.message
    assert rejected(path.with_name("bad.csv.rejects.csv")) == [
        ["at", "field", "reason", "value"],
        [f"{path}:3", "occurred_at", "cannot read the time", "noon"],
    ]
    # A refusal leaves nothing behind that would make the corrected import incomplete.
    files["interactions"] = write("bad.csv", "sender,recipient,occurred_at", "a,b,1", "a,b,2")
    assert [f.new for f in bring(database, **files).files] == [2, 2, 2, 2, 2, 1, 1, 1]


def test_import_with_bad_rows_allowed_stores_the_good_and_lists_the_bad(
    database: Database, write: Write, tmp_path: Path
) -> None:
    path = write(
        "gifts.csv",
        "gift,sender,recipient,item,occurred_at,price_fen,outcome,outcome_at,scene",
        "g1,a,b,x,100,5,accepted,200,chat",
        ",a,b,x,100,5,,,",
        "g3,,b,x,100,5,,,",
        "g4,a,b,x,noon,5,,,",
        "g5,a,b,x,100,-5,,,",
        "g6,a,b,x,-100,5,,,",
        "g7,a,a,x,100,5,,,",
        "g8,a,b,x,100,5,lost,,",
        "g9,a,b,x,100,5,accepted,50,",
        "g10,a,b,x,100,5,sent,150,",
        "g11,a,b,x,100,nan,,,",
        f"{'g' * 129},a,b,x,100,5,,,",
        "g13,a,b\x07,x,100,5,,,",
        "g14,a,b,x,100",
        "g15,a,b,x,1e300,5,,,",
        "g16,a,b,x,100,5.5,,,street",
        "g17,a,b,x,100,5,,,",
    )
    listed = tmp_path / "elsewhere.csv"
    report = bring(database, ImportOptions(max_bad=15, rejects=listed), gifts=path)
    assert rows(database, "SELECT gift FROM gifts ORDER BY 1") == [("g1",), ("g17",)]
    assert (report.files[0].read, report.files[0].new, report.files[0].bad) == (17, 2, 15)
    assert report.files[0].rejects == listed
    late = "time after the year 9999: is the time unit right?"
    outcomes = "not one of sent, accepted, declined, expired, redeemed, refunded"
    scenes = "not one of chat, live_room, broadcast, bulk_order, moments, push"
    found = {tuple(line[:3]) for line in rejected(listed)[1:]}
    assert found == {
        (f"{path}:3", "gift", "missing"),
        (f"{path}:4", "sender", "missing"),
        (f"{path}:5", "occurred_at", "cannot read the time"),
        (f"{path}:6", "price_fen", "negative"),
        (f"{path}:7", "occurred_at", "time before 1970"),
        (f"{path}:8", "recipient", "the same person as sender"),
        (f"{path}:9", "outcome", outcomes),
        (f"{path}:10", "outcome_at", "before occurred_at"),
        (f"{path}:11", "outcome_at", "without an outcome"),
        (f"{path}:12", "price_fen", "not a whole number"),
        (f"{path}:13", "gift", "longer than 128 characters"),
        (f"{path}:14", "recipient", "control characters"),
        (f"{path}:15", "", "5 columns where 9 are named"),
        (f"{path}:16", "occurred_at", late),
        (f"{path}:17", "price_fen", "not a whole number"),
        (f"{path}:17", "scene", scenes),
    }


@pytest.mark.parametrize(("allowed", "refused"), [(0, True), (1, True), (2, False)])
def test_import_max_bad_counts_rows_for_each_file(
    sqlite_database: Database, write: Write, allowed: int, refused: bool
) -> None:
    head = "sender,recipient,weight,occurred_at"
    # The second bad row has two faults and is one row.
    path = write("m.csv", head, "a,b,1,1", "a,b,inf,1", "a,a,-1,1")
    if refused:
        with pytest.raises(FileRefused, match=f"2 bad rows where {allowed} are allowed"):
            bring(sqlite_database, ImportOptions(max_bad=allowed), interactions=path)
    else:
        bring(sqlite_database, ImportOptions(max_bad=allowed), interactions=path)
    stored = 0 if refused else 1
    assert len(rows(sqlite_database, "SELECT 1 FROM interactions")) == stored


def test_import_strict_refuses_people_items_and_offers_nobody_recorded(
    sqlite_database: Database, write: Write, tmp_path: Path
) -> None:
    people = write("people.csv", "person", "ann", "bob")
    files = {
        "people": people,
        "items": write("items.csv", "item,price_fen", "rose,520"),
        "gifts": write(
            "gifts.csv",
            "sender,recipient,item,occurred_at",
            "ann,bob,rose,1",
            "ann,cy,rose,1",
            "ann,bob,tea,1",
        ),
        "offer_events": write("shown.csv", "offer,person,kind,occurred_at", "o9,ann,shown,1"),
    }
    listed = tmp_path / "r.csv"
    strict = ImportOptions(strict=True, max_bad=2, rejects=listed)
    report = bring(sqlite_database, strict, **files)
    assert [f.new for f in report.files] == [2, 1, 1, 0]
    assert [line[:3] for line in rejected(listed)[1:]] == [
        [f"{files['gifts']}:3", "recipient", "unknown person"],
        [f"{files['gifts']}:4", "item", "unknown item"],
        [f"{files['offer_events']}:2", "offer", "unknown offer"],
    ]
    assert rows(sqlite_database, "SELECT person FROM people ORDER BY 1") == [("ann",), ("bob",)]
    # Those recorded before are known as well.
    more = write("more.csv", "sender,recipient,occurred_at", "bob,ann,5")
    assert bring(sqlite_database, ImportOptions(strict=True), interactions=more).files[0].new == 1


def test_import_of_a_newer_description_changes_what_it_gives_and_only_that(
    database: Database, write: Write
) -> None:
    old = write("i1.csv", "item,name,price_fen,brand", "rose,Red rose,520,Flora", "tea,Tea,900,")
    new = write("i2.csv", "item,price_fen,brand,stock", "rose,620,,7", "tea,900,,", "ink,50,,")
    bring(database, items=old)
    report = bring(database, items=new)
    assert (report.files[0].new, report.files[0].changed, report.files[0].known) == (1, 1, 1)
    expected = [
        ("ink", "ink", 50, None, None),
        ("rose", "Red rose", 620, "Flora", 7),
        ("tea", "Tea", 900, None, None),
    ]
    described = "SELECT item, name, price_fen, brand, stock FROM items ORDER BY 1"
    assert rows(database, described) == expected
    # The older file again is the same file again: it does not turn the price back.
    assert bring(database, items=old).files[0].known == 2
    assert rows(database, described) == expected


def test_import_of_a_person_twice_in_one_file_lists_the_second(
    sqlite_database: Database, write: Write
) -> None:
    path = write("people.csv", "person,zone", "ann,Europe/Paris", "bob,", "ann,Asia/Tokyo")
    with pytest.raises(FileRefused, match=r"people\.csv:4: person: already on line 2"):
        bring(sqlite_database, people=path)


def test_import_of_an_ended_friendship_fills_its_end_in(database: Database, write: Write) -> None:
    head = "person,friend,since,until"
    first = write("f1.csv", head, "ann,bob,10,", "bob,ann,10,")
    bring(database, friendships=first)
    report = bring(database, friendships=write("f2.csv", head, "ann,bob,10,99"))
    assert (report.files[0].new, report.files[0].changed) == (0, 1)
    ends = "SELECT person, until FROM friendships ORDER BY 1"
    assert rows(database, ends) == [("ann", 99 * SECOND), ("bob", None)]
    assert bring(database, friendships=first).files[0].known == 2
    assert rows(database, ends) == [("ann", 99 * SECOND), ("bob", None)]
    with pytest.raises(FileRefused, match="another until"):
        bring(database, friendships=write("f3.csv", head, "ann,bob,10,70"))


def test_import_of_a_later_outcome_completes_the_gift_and_its_tie(
    database: Database, write: Write
) -> None:
    head = "gift,sender,recipient,item,occurred_at,outcome,outcome_at"
    bring(database, gifts=write("g1.csv", head, "g1,ann,bob,x,10,,"))
    assert rows(database, "SELECT state, outcome_at FROM gifts") == [("sent", None)]
    report = bring(database, gifts=write("g2.csv", head, "g1,ann,bob,x,10,accepted,20"))
    assert (report.files[0].new, report.files[0].changed) == (0, 1)
    assert rows(database, "SELECT state, outcome_at FROM gifts") == [("accepted", 20 * SECOND)]
    assert rows(database, "SELECT sender, newest_at FROM ties ORDER BY 1") == [
        ("ann", 10 * SECOND),
        ("bob", 20 * SECOND),
    ]
    with pytest.raises(FileRefused, match="another state"):
        bring(database, gifts=write("g3.csv", head, "g1,ann,bob,x,10,declined,20"))


def test_import_of_an_outcome_for_another_gift_of_that_id_completes_nothing(
    database: Database, write: Write
) -> None:
    head = "gift,sender,recipient,item,occurred_at,outcome"
    bring(database, gifts=write("g1.csv", head, "g1,ann,bob,x,10,"))
    other = write("g2.csv", head, "g1,ann,cy,x,10,accepted")
    report = bring(database, ImportOptions(max_bad=1), gifts=other)
    assert (report.files[0].changed, report.files[0].bad) == (0, 1)
    assert rows(database, "SELECT recipient, state FROM gifts") == [("bob", "sent")]


def test_import_of_gifts_without_outcomes_takes_them_as_accepted(
    sqlite_database: Database, write: Write
) -> None:
    bring(sqlite_database, gifts=write("g.csv", "sender,recipient,item,occurred_at", "a,b,x,10"))
    assert rows(sqlite_database, "SELECT state, outcome_at, price_fen FROM gifts") == [
        ("accepted", 10 * SECOND, 0)
    ]


def test_import_of_more_events_updates_the_touched_ties_only(
    database: Database, write: Write
) -> None:
    head = "sender,recipient,occurred_at"
    bring(database, interactions=write("a.csv", head, "a,b,1", "c,d,1"))
    report = bring(database, interactions=write("b.csv", head, "a,b,5", "b,e,5"))
    assert report.ties == 2
    assert rows(database, "SELECT sender, newest_at FROM ties ORDER BY 1") == [
        ("a", 5 * SECOND),
        ("b", 5 * SECOND),
        ("c", 1 * SECOND),
    ]


def test_import_with_assumed_consents_never_overrules_a_person(
    database: Database, write: Write
) -> None:
    bring(database, people=write("p.csv", "person", "ann", "bob"))
    with database.writing() as connection:
        connection.execute(
            text(
                "INSERT INTO consents (person, purpose, since, until, granted, recorded_at)"
                " VALUES ('ann', 'offers', 5, 9, :granted, 5)"
            ),
            {"granted": True},
        )
    messages = write("m.csv", "sender,recipient,occurred_at", "ann,cy,1")
    options = ImportOptions(consents=("offers", "gift_suggestions"))
    report = bring(database, options, interactions=messages)
    assert report.consents == 3
    assert rows(database, "SELECT person, purpose, since, until FROM consents ORDER BY 1, 2") == [
        ("ann", "gift_suggestions", 0, None),
        ("ann", "offers", 5, 9),
        ("cy", "gift_suggestions", 0, None),
        ("cy", "offers", 0, None),
    ]
    assert bring(database, options, interactions=messages).consents == 0


def test_import_without_recorded_times_records_as_it_happened(
    sqlite_database: Database, write: Write
) -> None:
    head = "event,sender,recipient,occurred_at,recorded_at"
    path = write("m.csv", head, "e1,a,b,3,", "e2,a,b,3,8")
    bring(sqlite_database, ImportOptions(times=NumericTimes("d")), interactions=path)
    assert rows(
        sqlite_database, "SELECT occurred_at, recorded_at FROM interactions ORDER BY event"
    ) == [
        (3 * DAY, 3 * DAY),
        (3 * DAY, 8 * DAY),
    ]


def test_import_of_unknown_fields_or_kinds_names_them(
    sqlite_database: Database, write: Write
) -> None:
    path = write("m.csv", "sender,recipient,occurred_at", "a,b,1")
    with pytest.raises(InvalidInput, match="'colour'"):
        bring(sqlite_database, ImportOptions(mapping={"colour": "x"}), interactions=path)
    with pytest.raises(InvalidInput, match="'letters'"):
        bring(sqlite_database, letters=path)
    with pytest.raises(InvalidInput, match="no column 'when' for occurred_at"):
        mapping = {"interactions.occurred_at": "when"}
        bring(sqlite_database, ImportOptions(mapping=mapping), interactions=path)


def test_import_progress_ends_complete(sqlite_database: Database, write: Write) -> None:
    told: list[tuple[str, float]] = []
    path = write("m.csv", "sender,recipient,occurred_at", "a,b,1")
    import_files(
        sqlite_database,
        {"interactions": path},
        ImportOptions(),
        lambda label, share: told.append((label, share)),
    )
    assert told == [("m.csv", 1.0), ("ties", 0.0), ("ties", 1.0)]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 3)), max_size=12
    ),
    split=st.integers(0, 12),
)
def test_import_of_overlapping_files_with_ids_is_their_union(
    sqlite_database: Database,
    write: Write,
    events: Sequence[tuple[str, str, int]],
    split: int,
) -> None:
    salt = next(_TRIALS)  # every trial writes to the same ledger
    lines = [f"{salt}-{n},{a},{b},{at}" for n, (a, b, at) in enumerate(events)]
    head = "event,sender,recipient,occurred_at"
    bring(sqlite_database, interactions=write("one.csv", head, *lines[:split]))
    bring(sqlite_database, interactions=write("two.csv", head, *lines[split // 2 :]))
    stored = f"SELECT count(*) FROM interactions WHERE event LIKE '{salt}-%'"
    assert rows(sqlite_database, stored) == [(len(events),)]
