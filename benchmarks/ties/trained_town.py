"""A generated town in a ledger of its own with the tie model that was trained on it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from sqlalchemy import insert, select

from engine.domain.clock import now
from engine.domain.errors import InvalidInput
from engine.domain.people import Purpose
from engine.ledger import tables
from engine.ledger.database import Database
from engine.ledger.migration import migrate
from models.compiled_trees import compiled_files, stored_trees
from models.ties import TieModel
from training.importing import FILE_KINDS, ImportOptions, import_files
from training.refresh import refresh_structure
from training.registry import ModelRegistry
from training.simulate import write_town
from training.train import train

DAYS = 90
TIES = 150
"""How many ties each of the added people has."""
_OBJECTING = select(tables.consents.c.person).where(
    tables.consents.c.purpose == Purpose.TIE_SCORING.value, tables.consents.c.granted.is_(False)
)
_SCORABLE = select(tables.people.c.person).where(
    tables.people.c.birth_date < "2005", tables.people.c.person.not_in(_OBJECTING)
)


def make_town(home: Path, people: int, seed: int) -> None:
    """Make a town of `people` in the ledger under `home`, structure included, and train on it.

    Raises
    ------
    InvalidInput
        If the town is too small to learn from.
    """
    write_town(home / "town", people, DAYS, seed, date(2026, 1, 1))
    database = _ledger(home)
    migrate(database)
    files = {kind: home / "town" / f"{kind}.csv" for kind in FILE_KINDS}
    import_files(database, files, ImportOptions())
    refresh_structure(database, now())
    [trained] = train(database, ModelRegistry(None, home), ["ties"], seed, True, before=now())
    database.close()
    if trained.refused is not None:
        raise InvalidInput(trained.refused.message, "give the benchmark more people")


def champion(home: Path, compiled: bool = True) -> TieModel:
    """Return the model of the town under `home`, its trees compiled or not.

    Raises
    ------
    ModelError
        If there is none or it cannot be loaded.
    InvalidInput
        If its trees are compiled and should not be, or the other way round.
    """
    registry = ModelRegistry(None, home)
    version = registry.champion("ties")
    folder = registry.fetch("ties", str(version), home / "fetched")
    if not compiled:
        bare = home / "bare"
        shutil.copytree(folder, bare, dirs_exist_ok=True)
        for trees in stored_trees(bare):
            for file in compiled_files(trees):
                file.unlink(missing_ok=True)
        folder = bare
    if any(file.exists() != compiled for t in stored_trees(folder) for file in compiled_files(t)):
        raise InvalidInput(f"the trees at {folder} are {'not ' * compiled}compiled")
    return TieModel.load(folder, str(version))


def befriend_egos(home: Path, egos: int, seed: int) -> list[str]:
    """Add people with `TIES` ties each to the town's grown-ups; return their ids.

    States and structures are those of pairs of the town, drawn at random.
    """
    chance, at = np.random.default_rng(seed), now()
    database = _ledger(home)
    names = [f"ego{number:05d}" for number in range(egos)]
    with database.writing() as unit:
        people = list(unit.execute(_SCORABLE).scalars())
        states = list(unit.execute(select(tables.ties.c.state, tables.ties.c.newest_at)))
        around = list(unit.execute(select(tables.tie_structure.c.structure)).scalars())
        born = {"birth_date": "1990-01-01", "recorded_at": at}
        unit.execute(insert(tables.people), [{"person": name, **born} for name in names])
        for name in names:
            others = [people[n] for n in chance.permutation(len(people))[:TIES]]
            pairs = [pair for other in others for pair in ((name, other), (other, name))]
            drawn = chance.integers(len(states), size=len(pairs))
            ends = [{"sender": one, "recipient": other} for one, other in pairs]
            told = [{"state": states[n][0], "newest_at": states[n][1]} for n in drawn]
            rows = [{**end, **what} for end, what in zip(ends, told, strict=True)]
            unit.execute(insert(tables.ties), rows)
            since = {"since": 0, "recorded_at": at}
            friends = [{"person": one, "friend": other, **since} for one, other in pairs]
            unit.execute(insert(tables.friendships), friends)
            vectors = [around[n] for n in chance.integers(len(around), size=TIES)]
            unit.execute(insert(tables.tie_structure), _structures(name, others, vectors, at))
    database.close()
    return names


def _structures(
    name: str, others: Sequence[str], vectors: Sequence[bytes], at: int
) -> list[dict[str, object]]:
    found = []
    for other, vector in zip(others, vectors, strict=True):
        first, second = sorted((name, other))
        found.append({"first": first, "second": second, "structure": vector, "as_of": at})
    return found


def _ledger(home: Path) -> Database:
    return Database(f"sqlite:///{home / 'lishang.db'}")
