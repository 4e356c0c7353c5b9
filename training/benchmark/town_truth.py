"""A generated town read back: its pairs, their latent closeness, and its log as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from engine.domain.pair_state import Floats, Ints
from training.simulate.circles import Circle
from training.simulate.timeline import NEVER, Span

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class TownEvents:
    """One entry a contact or a gift between two people of a pair; times in seconds."""

    pair: Ints
    from_a: Bools
    """Whether the pair's first person sent it."""
    kind: NDArray[np.str_]
    """A contact's kind, a gift's occasion."""
    at: Ints

    def taken(self, chosen: Ints | Bools) -> TownEvents:
        """Return the entries that an index or a mask names."""
        return TownEvents(
            self.pair[chosen], self.from_a[chosen], self.kind[chosen], self.at[chosen]
        )


@dataclass(frozen=True, slots=True, eq=False)
class TownTruth:
    """m pairs (a below b, indices of people) and what the town knows of them; times in seconds.

    `opens` and `closes` bound the part of the span in which a pair are friends both ways;
    `messages_per_day` is the true rate. `born` (day numbers) and `generosity` are of the people.
    """

    span: Span
    a: Ints
    b: Ints
    circle: Ints
    closeness_start: Floats
    closeness_end: Floats
    messages_per_day: Floats
    since: Ints
    """When both had called the other a friend, `NEVER` if they did not."""
    opens: Ints
    closes: Ints
    born: Ints
    generosity: Floats
    contacts: TownEvents
    gifts: TownEvents

    def __len__(self) -> int:
        return len(self.a)

    @classmethod
    def read(cls, folder: Path, span: Span) -> TownTruth:
        """Read the files of a town that `write_town` wrote into `folder`."""
        people = csv.read_csv(folder / "truth" / "people.csv")
        truth = csv.read_csv(folder / "truth" / "closeness.csv")
        a, b = _people(truth["a"]), _people(truth["b"])
        pairs = _Pairs(np.asarray(a * len(people) + b), len(people))
        since, until = _two_way(folder, pairs)
        return cls(
            span=span,
            a=a,
            b=b,
            circle=np.array([Circle[name.upper()] for name in truth["circle"].to_pylist()]),
            closeness_start=truth["closeness_start"].to_numpy(),
            closeness_end=truth["closeness_end"].to_numpy(),
            messages_per_day=truth["messages_per_day"].to_numpy(),
            since=since,
            opens=np.maximum(since, span.begins),
            closes=np.minimum(until, span.ends),
            born=people["birth_date"].combine_chunks().cast(pa.int32()).to_numpy().astype(np.int64),
            generosity=people["generosity"].to_numpy(),
            contacts=_events(folder / "interactions.csv", pairs, "kind"),
            gifts=_events(folder / "gifts.csv", pairs, "occasion"),
        )

    def two_way_at_the_end(self) -> Bools:
        """Tell which pairs are friends both ways when the span ends."""
        return (self.opens < self.closes) & (self.closes >= self.span.ends)

    def closeness_at(self, at: int) -> Floats:
        """Return every pair's closeness at a time (seconds): linear over the span."""
        part = (at - self.span.begins) / (self.span.ends - self.span.begins)
        drift = self.closeness_end - self.closeness_start
        return np.asarray(self.closeness_start + drift * min(max(part, 0.0), 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """The numbers of pairs by their two people; `keys` ascend."""

    keys: Ints
    people: int

    def numbered(self, one: Ints, other: Ints) -> Ints:
        """Return each pair's number, −1 where the two are none (a fan and a creator)."""
        key = np.minimum(one, other) * self.people + np.maximum(one, other)
        place = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        return np.where(self.keys[place] == key, place, -1)


def _events(path: Path, pairs: _Pairs, kind: str) -> TownEvents:
    rows = csv.read_csv(path)
    sender, recipient = _people(rows["sender"]), _people(rows["recipient"])
    number = pairs.numbered(sender, recipient)
    kinds = np.array(rows[kind].to_pylist(), np.str_)
    found = TownEvents(number, sender < recipient, kinds, _seconds(rows["occurred_at"]))
    return found.taken(number >= 0)


def _two_way(folder: Path, pairs: _Pairs) -> tuple[Ints, Ints]:
    """Return from when until when each pair is two-way (empty: ends first)."""
    rows = csv.read_csv(folder / "friendships.csv")
    person, friend = _people(rows["person"]), _people(rows["friend"])
    number, side = pairs.numbered(person, friend), (person > friend).astype(np.int64)
    known = number >= 0
    since, until = np.full((2, len(pairs.keys)), NEVER), np.full((2, len(pairs.keys)), NEVER)
    since[side[known], number[known]] = _seconds(rows["since"])[known]
    until[side[known], number[known]] = _seconds(rows["until"])[known]
    return since.max(axis=0), until.min(axis=0)


def _people(ids: pa.ChunkedArray) -> Ints:
    """Return people's indices from ids such as p000001."""
    numbers = pc.utf8_slice_codeunits(ids, 1).cast(pa.int64())
    return np.asarray(numbers.to_numpy() - 1)


def _seconds(times: pa.ChunkedArray) -> Ints:
    """Return times in seconds, `NEVER` for an empty cell."""
    seconds = times.cast(pa.timestamp("s", tz="UTC")).cast(pa.int64())
    return np.asarray(pc.fill_null(seconds, NEVER).to_numpy())
