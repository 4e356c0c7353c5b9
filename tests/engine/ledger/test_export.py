"""What leaves the ledger for training: the columns it learns from, up to the watermark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from engine.ledger.export import EXPORTED, export_log
from training.log import TABLES


def _everything(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {path.stem: pq.read_table(path).to_pylist() for path in folder.glob("*")}


def test_export_holds_what_training_reads_and_nothing_of_money_or_places(house, tmp_path) -> None:
    gift = house.send("cake")
    house.moving.accept(gift, "bo", "1 Plum Lane", None, house.now)
    kept = house.find(gift)
    written = export_log(house.database, tmp_path / "log", house.now + 1)
    found = _everything(tmp_path / "log")
    assert {name: len(rows) for name, rows in found.items()} == written
    assert set(found) == set(TABLES) == set(EXPORTED)
    [row] = found["gifts"]
    assert (row["gift"], row["state"], row["outcome_at"]) == (gift, "accepted", house.now)
    assert tuple(row) == EXPORTED["gifts"]
    for unread in ("1 Plum Lane", kept.payment_ref, kept.decision_id, kept.terms.decision_id):
        assert unread not in str(found)


def test_export_ends_at_its_watermark(house, tmp_path) -> None:
    house.send(at=house.now)
    house.send(at=house.now + 1)
    assert export_log(house.database, tmp_path / "log", house.now + 1)["gifts"] == 1
