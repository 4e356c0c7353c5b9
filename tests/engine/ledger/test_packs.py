"""The stored versions on both databases: one instant, one order, one writer at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import text

from engine.domain.errors import LedgerUnavailable
from engine.domain.pack_life import SEED, Action, Actor, PackState, StoredVersion
from engine.domain.verdicts import PackRef
from engine.ledger import packs
from engine.ledger.database import Database
from engine.ledger.packs import PackVersions

ANN = Actor("k1", "ann")


def version(number: int, state: PackState = PackState.DRAFT, **changed: object) -> StoredVersion:
    plain = StoredVersion(
        ref=PackRef("p", number, f"hash{number}"),
        decides="d",
        text=f"text {number}",
        state=state,
        effective_from=-5,
        effective_until=None,
        author=ANN,
        published_at=3,
        checks='{"lint":[]}',
    )
    return replace(plain, **changed)


@pytest.fixture
def store(database: Database) -> PackVersions:
    return PackVersions(database)


def keep(store: PackVersions, *versions: StoredVersion) -> None:
    with store.changing() as unit:
        for one in versions:
            packs.add(unit, one)
            packs.note(unit, one.ref, Action.PUBLISHED, ANN, 3)


def test_empty_store_is_at_revision_0_with_nothing_in_service(store) -> None:
    assert store.newest().revision == 0
    assert store.in_service().enforced == store.in_service().shadows == ()
    assert store.find("p", 1) is store.find_by_hash("hash1") is None


def test_version_is_found_as_it_was_kept(store) -> None:
    kept = version(1, effective_until=9)
    keep(store, kept, version(2))
    assert store.find("p", 1) == store.find_by_hash("hash1") == kept
    assert store.versions("p") == [kept, version(2)]
    assert store.versions("q") == []


@pytest.mark.parametrize("done", [Action.SHADOWED, Action.SHADOWED_WITHOUT_HISTORY])
def test_what_is_done_to_a_version_is_kept_with_it(store, done) -> None:
    keep(store, version(1))
    with store.changing() as unit:
        packs.attach(unit, version(1).ref, '{"replayed":1}')
        packs.move(unit, version(1).ref, PackState.SHADOW)
        packs.note(unit, version(1).ref, done, ANN, 4)
        packs.enforce(unit, version(1).ref, Actor("k2", "bob"), 7)
        packs.note(unit, version(1).ref, Action.ENFORCED, Actor("k2", "bob"), 7)
    found = store.find("p", 1)
    assert found == version(
        1,
        PackState.ENFORCED,
        backtest='{"replayed":1}',
        shadowed=True,
        approver=Actor("k2", "bob"),
        enforced_at=7,
    )
    assert [(e.revision, e.action, e.actor.name, e.occurred_at) for e in store.events("p")] == [
        (1, Action.PUBLISHED, "ann", 3),
        (2, done, "ann", 4),
        (3, Action.ENFORCED, "bob", 7),
    ]
    assert store.events("q") == []


def test_in_service_lists_the_newest_enforced_first_and_shadows_apart(store) -> None:
    enforced = [
        version(n, PackState.ENFORCED, enforced_at=at) for n, at in ((1, 5), (2, 9), (3, 7))
    ]
    keep(store, *enforced, version(4), version(5, PackState.SHADOW), version(6, PackState.RETIRED))
    service = store.in_service()
    assert service.newest.revision == 6
    assert [text.ref.version for text in service.enforced] == [2, 3, 1]
    assert [(text.ref.version, text.text) for text in service.shadows] == [(5, "text 5")]
    assert {text.decides for text in (*service.enforced, *service.shadows)} == {"d"}
    assert service.newest == store.newest() == (6, "p", 6, 3)


def test_events_of_a_decision_are_those_of_every_pack_that_decides_it(store) -> None:
    other = version(1, ref=PackRef("q", 1, "hash of q"))
    stranger = version(1, ref=PackRef("r", 1, "hash of r"), decides="e")
    keep(store, version(1), stranger, other)
    with store.changing() as unit:
        found = packs.events_deciding(unit, "d")
    assert [(event.revision, event.pack) for event in found] == [(1, "p"), (3, "q")]


def test_change_that_fails_leaves_neither_version_nor_event(store) -> None:
    keep(store, version(1))
    with pytest.raises(RuntimeError), store.changing() as unit:
        packs.add(unit, version(2))
        packs.note(unit, version(2).ref, Action.PUBLISHED, ANN, 3)
        raise RuntimeError
    assert (store.newest().revision, len(store.versions())) == (1, 1)


def test_concurrent_changes_get_revisions_of_their_own_without_gaps(store) -> None:
    start = threading.Barrier(6)

    def publish(number: int) -> None:
        start.wait()
        keep(store, version(number))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(publish, range(1, 7)))
    assert [event.revision for event in store.events()] == [1, 2, 3, 4, 5, 6]
    assert {event.version for event in store.events()} == {1, 2, 3, 4, 5, 6}


def test_reader_sees_nothing_of_a_change_that_is_under_way(store) -> None:
    keep(store, version(1, PackState.ENFORCED, enforced_at=1))
    with store.changing() as unit:
        packs.move(unit, version(1).ref, PackState.RETIRED)
        packs.note(unit, version(1).ref, Action.RETIRED, ANN, 5)
        service = store.in_service()
        assert (service.newest.revision, len(service.enforced)) == (1, 1)
    service = store.in_service()
    assert (service.newest.revision, len(service.enforced)) == (2, 0)


def test_in_service_is_of_one_instant_while_versions_are_changed(store) -> None:
    # Every change swaps which of two is enforced: none, both or another revision's would be torn.
    keep(store, version(1, PackState.ENFORCED, enforced_at=1), version(2, PackState.RETIRED))
    ended = threading.Event()

    def swap() -> None:
        for turn in range(40):
            here, there = (2, 1) if turn % 2 == 0 else (1, 2)
            with store.changing() as unit:
                packs.move(unit, version(there).ref, PackState.RETIRED)
                packs.note(unit, version(there).ref, Action.RETIRED, ANN, 5)
                packs.enforce(unit, version(here).ref, SEED, 5)
                packs.note(unit, version(here).ref, Action.ENFORCED, ANN, 5)
        ended.set()

    seen = []
    with ThreadPoolExecutor(1) as pool:
        swapping = pool.submit(swap)
        while not ended.is_set() and not swapping.done():
            seen.append(store.in_service())
        swapping.result()
    seen.append(store.in_service())
    for service in seen:
        expected = 1 if (service.newest.revision // 2) % 2 == 1 else 2
        assert [text.ref.version for text in service.enforced] == [expected]
    assert seen[-1].newest.revision == 82


def test_state_or_action_that_means_nothing_is_told(store, database) -> None:
    keep(store, version(1))
    with database.writing() as unit:
        unit.execute(text("UPDATE pack_versions SET state = 'sleeping'"))
        unit.execute(text("UPDATE pack_events SET action = 'sung'"))
    with pytest.raises(LedgerUnavailable, match="p version 1 of the stored packs says 'sleeping'"):
        store.find("p", 1)
    with pytest.raises(LedgerUnavailable, match="event 1 of the stored packs says 'sung'"):
        store.events()
    assert store.in_service().enforced == ()
