"""What a check costs with ten thousand gifts recorded, and with ten million."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, create_engine

from benchmarks.ledger import asked
from benchmarks.ledger.history import Stream, write_items, write_people
from engine.domain.errors import InvalidInput
from engine.domain.gifts import GiftRequest
from engine.domain.verdicts import Effect
from engine.gift_policy import GiftPolicy
from engine.ledger import tables
from engine.ledger.database import Database
from engine.ledger.migration import ensure

PAIRS = 100
"""Who is asked about."""
_SLICES = 50
"""Parts of the year between which the pairs' own gifts are written: they lie far apart on disk."""
_SORTED_LATER = ("gifts_pair", "gifts_sender", "gifts_recipient")
"""Indexes that are not in the order of time: built from sorted rows they take a tenth as long."""
_HASTE = (
    "journal_mode=OFF",
    "synchronous=OFF",
    "cache_size=-1000000",
    "threads=2",
)


@dataclass(frozen=True, slots=True)
class CheckCosts:
    """Microseconds that reads and rules of a check took, by size: one median a round."""

    warm: Mapping[int, Sequence[float]]
    """Over all pairs, each asked for the third time."""
    cold: Mapping[int, Sequence[float]]
    """Over all pairs, each asked once when the system held nothing of the file in memory."""


def load(path: Path, gifts: int, at: int, pairs: int = PAIRS) -> float:
    """Write a ledger with so many gifts up to `at` (microseconds); return the seconds it took."""
    begun = time.perf_counter()
    database = Database(f"sqlite:///{path}")
    ensure(database)
    database.close()
    stream = Stream(gifts - pairs * asked.GIFTS_A_PAIR, at)
    if stream.gifts < 1:
        raise InvalidInput(
            f"{gifts} gifts are too few", f"the pairs alone have {gifts - stream.gifts}"
        )
    with _hastily(path) as connection:
        later = [index for index in tables.gifts.indexes if index.name in _SORTED_LATER]
        for index in later:
            index.drop(connection)
        write_items(connection)
        write_people(connection, stream.people, at)
        own, written, told = asked.gifts(pairs, at), 0, 0
        for number in range(1, _SLICES + 1):
            until = stream.first_at + (at - stream.first_at) * number // _SLICES
            end = stream.gifts if number == _SLICES else stream.number_at(until)
            stream.write_gifts(connection, written, end)
            past = sum(1 for row in own if int(row["occurred_at"] or 0) <= until)
            asked.write_gifts(connection, own[told:past])
            written, told = end, past
        stream.write_counters(connection)
        for index in later:
            index.create(connection)
        asked.write_people(connection, pairs, at)
        connection.exec_driver_sql("ANALYZE")
    return time.perf_counter() - begun


def measure(
    paths: Mapping[int, Path], policy: GiftPolicy, at: int, rounds: int, pairs: int = PAIRS
) -> CheckCosts:
    """Return what a check costs by size, cold and warm; the sizes take turns.

    Raises
    ------
    InvalidInput
        If a verdict is not as expected.
    """
    warm: dict[int, list[float]] = {size: [] for size in paths}
    cold: dict[int, list[float]] = {size: [] for size in paths}
    ask = asked.requests(pairs)
    for _ in range(rounds):
        for size, path in paths.items():
            _forget(path)
            database = Database(f"sqlite:///{path}")
            cold[size].append(statistics.median(_each(database, policy, ask, at)))
            for _ in range(2):
                found = list(_each(database, policy, ask, at))
            warm[size].append(statistics.median(found))
            database.close()
    return CheckCosts(warm, cold)


def _each(
    database: Database, policy: GiftPolicy, ask: Sequence[GiftRequest], at: int
) -> Iterator[float]:
    """Yield how long the reads and the rules of each check take."""
    for request in ask:
        begun = time.perf_counter()
        with database.reading() as unit:
            [reading] = policy.read_pairs(unit, [(request.sender, request.recipient)], at)
            [decided] = policy.decide(unit, [request], [reading], at)
        yield (time.perf_counter() - begun) * 1e6
        facts = decided.facts.values
        expected = facts["sender.hour_gifts_after"] == 2 and facts["pair.two_way_friends"]
        if decided.verdict.effect is not Effect.ALLOW or not expected:
            raise InvalidInput(f"{request} was {decided.verdict.effect}", f"{facts}")


@contextmanager
def _hastily(path: Path) -> Iterator[Connection]:
    """Yield a connection that writes without a journal: a load that fails is begun anew."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        for setting in _HASTE:
            connection.exec_driver_sql(f"PRAGMA {setting}")
        connection.commit()
        yield connection
        connection.commit()
    engine.dispose()


def _forget(path: Path) -> None:
    """Let the system drop what it holds of a file in memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
