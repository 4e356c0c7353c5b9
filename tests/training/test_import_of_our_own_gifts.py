"""Gifts that were sent here stay as they are, whatever a file of history says of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from engine.domain.clock import DAY, format_time
from engine.domain.errors import FileRefused
from engine.domain.gifts import Gift, GiftState, Origin, Relation, Scene
from engine.ledger import gifts, tables
from engine.ledger.database import Database
from engine.ledger.export import export_log
from training.importing import ImportOptions, ImportReport, NumericTimes, import_files

AT = 20_000 * DAY
HEAD = "gift,sender,recipient,item,occurred_at"


@pytest.fixture
def ours(database: Database) -> str:
    """A gift of ours that waits to be answered."""
    gift = Gift(
        gift="ours",
        sender="an",
        recipient="bo",
        item="cake",
        relation=Relation.FRIEND,
        scene=Scene.CHAT,
        occasion="none",
        price_fen=900,
        state=GiftState.SENT,
        origin=Origin.LIVE,
        occurred_at=AT,
        decision_id="dec",
        payment_ref="pay",
        due_at=AT + DAY,
        events=1,
    )
    with database.writing() as unit:
        gifts.record(unit, gift, AT)
    return gift.gift


def _rows(database: Database) -> Sequence[Any]:
    with database.reading() as unit:
        return unit.execute(select(tables.gifts).order_by(tables.gifts.c.gift)).all()


def _bring(
    database: Database, path: Path, *lines: str, max_bad: int = 0, **more: Any
) -> ImportReport:
    if lines:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return import_files(database, {"gifts": path}, ImportOptions(max_bad=max_bad, **more))


@pytest.mark.parametrize("outcome", ["accepted", "declined", "expired", "redeemed", "refunded"])
def test_outcome_of_a_gift_of_ours_in_a_file_is_a_bad_row_and_changes_nothing(
    database, tmp_path, ours, outcome
) -> None:
    before = _rows(database)
    row = f"{ours},an,bo,cake,{format_time(AT)},{outcome}"
    with pytest.raises(
        FileRefused, match=r"gifts.csv:2: gift: already recorded with another state, origin"
    ):
        _bring(database, tmp_path / "gifts.csv", f"{HEAD},outcome", row)
    assert _rows(database) == before
    other = f"theirs,an,bo,cake,{format_time(AT)},{outcome}"
    path = tmp_path / "both.csv"
    report = _bring(database, path, f"{HEAD},outcome", row, other, max_bad=1)
    assert (report.files[0].new, report.files[0].changed, report.files[0].bad) == (1, 0, 1)
    assert _rows(database)[0] == before[0]


def test_file_without_outcomes_ends_no_gift_of_ours(database, tmp_path, ours) -> None:
    before = _rows(database)
    report = _bring(database, tmp_path / "gifts.csv", HEAD, f"{ours},an,bo,cake,{format_time(AT)}")
    assert (report.files[0].new, report.files[0].changed, report.files[0].known) == (0, 0, 1)
    assert _rows(database) == before


@pytest.mark.parametrize("state", ["sent", "accepted", "declined", "refunded"])
def test_export_of_our_own_gifts_that_comes_back_is_known_and_changes_nothing(
    database, tmp_path, ours, state
) -> None:
    ended = None if state == "sent" else AT + 5
    with database.writing() as unit:
        unit.execute(update(tables.gifts).values(state=state, outcome_at=ended))
    before = _rows(database)
    export_log(database, tmp_path / "log", before=AT + DAY)
    path = tmp_path / "log" / "gifts.parquet"
    more = {"mapping": {"gifts.outcome": "state"}, "times": NumericTimes("us")}
    told = _bring(database, path, **more).files[0]
    assert (told.new, told.changed, told.bad, told.known) == (0, 0, 0, 1)
    assert _rows(database) == before


def test_imported_gift_still_takes_its_outcome_beside_one_of_ours(database, tmp_path, ours) -> None:
    theirs = f"theirs,an,bo,cake,{format_time(AT)}"
    _bring(database, tmp_path / "1.csv", f"{HEAD},outcome", f"{theirs},sent")
    mine = f"{ours},an,bo,cake,{format_time(AT)},sent"
    report = _bring(database, tmp_path / "2.csv", f"{HEAD},outcome", mine, f"{theirs},accepted")
    assert (report.files[0].changed, report.files[0].known) == (1, 1)
    assert [row.state for row in _rows(database)] == ["sent", "accepted"]
