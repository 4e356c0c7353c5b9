"""A ledger of an older schema is brought to this one and goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import select

from engine.domain.errors import InvalidInput
from engine.domain.events import Interacted
from engine.domain.pair_state import DEFAULT_LAYOUT, from_bytes
from engine.ledger import migration, tables


def _states(house: Any) -> dict[tuple[str, str], np.ndarray]:
    with house.database.reading() as unit:
        rows = unit.execute(select(tables.ties)).all()
    return {(row.sender, row.recipient): from_bytes(DEFAULT_LAYOUT, row.state) for row in rows}


def _downgrade(house: Any, revision: str) -> None:
    config = Config()
    scripts = Path(migration.__file__).parent / "migrations"
    config.set_main_option("script_location", str(scripts))
    with house.database.writing() as unit:
        config.attributes["connection"] = unit
        command.downgrade(config, revision)


def test_ledger_with_tie_states_of_before_migrates_and_sends_go_on(house: Any) -> None:
    house.send("coffee")
    house.world.tell(Interacted("i", house.now, "bo", "an", "message", 3.0))
    before = _states(house)
    _downgrade(house, "0004")
    assert _states(house) == {}
    old = b"\0" * 8 * 32  # the layout of then
    with house.database.writing() as unit:
        rows = [
            {"sender": a, "recipient": b, "state": old, "newest_at": house.now} for a, b in before
        ]
        unit.execute(tables.ties.insert(), rows)
    with pytest.raises(InvalidInput, match="32 numbers"):
        _states(house)
    assert migration.migrate(house.database) == migration.head()
    after = _states(house)
    assert after.keys() == before.keys()
    for pair, state in before.items():
        np.testing.assert_allclose(after[pair], state, rtol=1e-9, atol=1e-9)
    house.send("coffee", at=house.now + 1)
    assert _states(house)["an", "bo"][DEFAULT_LAYOUT.counts][0] == 2
