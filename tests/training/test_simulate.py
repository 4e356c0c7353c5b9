"""A town as a whole: the same bytes for the same seed, whole files, refused arguments."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from engine.domain.clock import parse_time
from engine.domain.errors import InvalidInput
from training.simulate import MAX_PEOPLE, MIN_PEOPLE, TownSummary, write_town

PINNED = "3a7f9f60211c5ca6e4aa23721dac6256d89160e8ad7c87708fb883017d01a936"
"""SHA-256 over a town of 300 people and 60 days with seed 7. A change of the town's model, or of
NumPy's random streams, changes it: pin the new one on purpose and say so in the changelog."""

FILES = {
    "people",
    "friendships",
    "items",
    "gifts",
    "interactions",
    "item_events",
    "offers",
    "offer_events",
}
TRUTH = {"people", "taste", "closeness", "items", "response"}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> TownSummary:
    return write_town(tmp_path_factory.mktemp("town"), 300, 60, seed=7)


def hash_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_town_of_seed_7_has_the_pinned_bytes(town: TownSummary) -> None:
    assert hash_of(town.folder) == PINNED


def test_town_in_another_process_and_time_zone_has_the_same_bytes(
    town: TownSummary, tmp_path: Path
) -> None:
    script = (
        "import sys; from pathlib import Path; from training.simulate import write_town;"
        "write_town(Path(sys.argv[1]), 300, 60, 7)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "America/Lima"}
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, env=environment)
    assert hash_of(tmp_path) == hash_of(town.folder)


@pytest.mark.parametrize(
    ("seed", "start"), [(8, date(2026, 1, 1)), (7, date(2026, 1, 2)), (2**63 - 1, date(2026, 1, 1))]
)
def test_town_of_another_seed_or_start_differs_in_every_log(
    town: TownSummary, tmp_path: Path, seed: int, start: date
) -> None:
    write_town(tmp_path, 300, 60, seed, start)
    for name in sorted(FILES):
        other = (tmp_path / f"{name}.csv").read_bytes()
        assert other != (town.folder / f"{name}.csv").read_bytes(), name


def test_town_files_are_plain_and_counted_by_the_summary(town: TownSummary) -> None:
    assert {path.stem for path in town.folder.glob("*")} - {"truth"} == FILES
    assert {path.stem for path in town.folder.glob("truth/*.csv")} == TRUTH
    for name in sorted(FILES):
        content = (town.folder / f"{name}.csv").read_bytes()
        assert b"\r" not in content
        assert b'"' not in content
        assert content.endswith(b"\n")
        assert content.count(b"\n") == getattr(town, name) + 1


@pytest.mark.parametrize(
    ("name", "key", "time"),
    [
        ("friendships", None, "since"),
        ("gifts", "gift", "occurred_at"),
        ("interactions", "event", "occurred_at"),
        ("item_events", "event", "occurred_at"),
        ("offers", "offer", "starts_at"),
        ("offer_events", "event", "occurred_at"),
    ],
)
def test_town_log_is_sorted_by_time_with_distinct_ids(
    town: TownSummary, name: str, key: str | None, time: str
) -> None:
    log = rows(town.folder / f"{name}.csv")
    times = [parse_time(row[time]) for row in log]
    assert times == sorted(times)
    if key is not None:
        assert len({row[key] for row in log}) == len(log)
    if name not in ("friendships", "offers"):
        assert times[0] >= parse_time("2026-01-01T00:00:00+08:00")
        assert times[-1] < parse_time("2026-03-02T00:00:00+08:00")


def test_town_refers_only_to_people_items_and_offers_it_lists(town: TownSummary) -> None:
    people = {row["person"] for row in rows(town.folder / "people.csv")}
    items = {row["item"] for row in rows(town.folder / "items.csv")}
    offers = {row["offer"] for row in rows(town.folder / "offers.csv")}
    assert len(people) == town.people
    assert len(items) == town.items
    known = {
        **dict.fromkeys(("person", "friend", "sender", "recipient", "creator", "a", "b"), people),
        "item": items,
        "offer": offers,
    }
    for path in sorted(town.folder.rglob("*.csv")):
        for row in rows(path):
            for column, value in row.items():
                assert not value or column not in known or value in known[column], (path, row)


def test_town_assumptions_hold_the_arguments_and_every_group_of_numbers(town: TownSummary) -> None:
    told = json.loads((town.folder / "truth" / "assumptions.json").read_text(encoding="utf-8"))
    arguments = {name: told[name] for name in ("people", "days", "seed", "start")}
    assert arguments == {"people": 300, "days": 60, "seed": 7, "start": "2026-01-01"}
    groups = {"people", "ties", "contacts", "giving", "tastes", "campaigns"}
    assert set(told["assumptions"]) == groups
    assert told["assumptions"]["campaigns"]["held_out"] == 0.2


def test_town_tells_its_stages_in_order(tmp_path: Path) -> None:
    told: list[str] = []
    write_town(tmp_path, MIN_PEOPLE, 7, seed=0, progress=told.append)
    assert told[0] == "people"
    assert told[-1] == "writing"
    assert len(told) == len(set(told)) >= 5


@pytest.mark.parametrize(
    ("people", "days", "seed", "start"),
    [
        (MIN_PEOPLE - 1, 30, 1, date(2026, 1, 1)),
        (MAX_PEOPLE + 1, 30, 1, date(2026, 1, 1)),
        (-5, 30, 1, date(2026, 1, 1)),
        (100, 6, 1, date(2026, 1, 1)),
        (MAX_PEOPLE, 3_000, 1, date(2026, 1, 1)),
        (100, 30, -1, date(2026, 1, 1)),
        (100, 30, 2**63, date(2026, 1, 1)),
        (100, 30, 1, date(1900, 1, 1)),
        (100, 3_000, 1, date(2095, 1, 1)),
    ],
)
def test_town_of_arguments_out_of_range_is_refused_and_nothing_is_written(
    tmp_path: Path, people: int, days: int, seed: int, start: date
) -> None:
    with pytest.raises(InvalidInput) as refused:
        write_town(tmp_path / "town", people, days, seed, start)
    assert refused.value.hint
    assert not (tmp_path / "town").exists()


def test_town_into_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "town"
    path.write_text("not a folder", encoding="utf-8")
    with pytest.raises(InvalidInput):
        write_town(path, 100, 7, seed=1)


def test_town_over_leap_day_and_years_keeps_every_festival(tmp_path: Path) -> None:
    write_town(tmp_path, MIN_PEOPLE, 800, seed=5, start=date(2027, 11, 20))
    given = rows(tmp_path / "gifts.csv")
    for festival, day in (("spring_festival", "2028-01-26"), ("mid_autumn", "2028-10-03")):
        on_day = [row for row in given if row["occasion"] == festival]
        assert any(row["occurred_at"].startswith(day) for row in on_day), festival
