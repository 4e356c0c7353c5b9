"""The people of an exported log, numbered: ids are joined once, whatever follows is integers."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import numpy as np
import pyarrow as pa
from ibis.expr.types import IntegerColumn, Table
from ibis.util import gen_name
from numpy.typing import NDArray

from engine.domain.pair_state import Ints

Texts = NDArray[np.object_]


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """Everyone of a log; a person's number is the place of their id in the order of all.

    `numbers` (person, number) says the same as a temporary table of the log's database.
    """

    ids: pa.StringArray
    numbers: Table

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.ids)

    @classmethod
    def of(cls, *events: Table) -> People:
        """Number every sender and recipient of `events`, tables of one database that have both."""
        ends = [table.select(person=end) for table in events for end in ("sender", "recipient")]
        # The distinct of each end first: what is joined then is people, not events.
        every = ibis.union(*(end.distinct() for end in ends), distinct=True).order_by("person")
        ids = every.to_pyarrow()["person"].combine_chunks().cast(pa.string())
        number = pa.array(np.arange(len(ids), dtype=np.int64))
        numbered = ibis.memtable(pa.table({"person": ids, "number": number}))
        backend = events[0].get_backend()
        return cls(ids, backend.create_table(gen_name("people"), numbered, temp=True))

    def named(self, numbers: Ints) -> Texts:
        """Return the ids (n) of people by their numbers."""
        found = self.ids.take(pa.array(numbers))
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=object)

    def pair_keys(
        self, one: Ints | IntegerColumn, other: Ints | IntegerColumn
    ) -> Ints | IntegerColumn:
        """Return the keys (n, ordered as the ends are) of pairs by the numbers of their ends.

        Of arrays an array, of columns a column. They hold wherever these people are used.
        """
        return one * max(len(self), 1) + other

    def pair_ends(self, keys: Ints) -> tuple[Ints, Ints]:
        """Return the numbers (n each) that `pair_keys` was given."""
        return keys // max(len(self), 1), keys % max(len(self), 1)


def numbered_events(events: Table, people: People) -> Table:
    """Return `events` with the numbers of their ends instead of their ids.

    Parameters
    ----------
    events
        As `pair_log.pair_events` returns them. One of whose ends is not in `people` is left out.
    people
        Numbered in the events' database.

    Returns
    -------
    Table
        Lazy: sender, recipient (int64), kind, weight, occurred_at.
    """
    kept = ("kind", "weight", "occurred_at")
    sender, recipient = people.numbers.view(), people.numbers.view()
    half = events.join(sender, events.sender == sender.person).select(
        *(events[name] for name in ("recipient", *kept)), one=sender.number
    )
    return half.join(recipient, half.recipient == recipient.person).select(
        *(half[name] for name in kept), sender=half.one, recipient=recipient.number
    )
