"""Gift queries as they stood: whom a gift was sought for, what was known then, what was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import ibis
import numpy as np
from ibis.expr.types import StringColumn, Table

from engine.domain.clock import DAY
from engine.domain.errors import NotEnoughData
from engine.domain.gifts import Item, Mechanics, Relation, Tier
from engine.domain.pair_state import Floats, Ints
from engine.domain.people import Purpose
from engine.domain.ports import (
    FRIENDS_HISTORY_LIMIT,
    GAVE,
    HISTORY_LIMIT,
    RECEIVED,
    GiftContext,
    ItemSignal,
)
from models.item_popularity import occasion_index
from training.frames.signals import (
    agreed_at,
    agreements,
    friends_at,
    held,
    kind_weight,
    newest,
    objectors,
    signals,
)
from training.log import ExportedLog

ENOUGH_GIFTS = 500
"""With fewer friend gifts than this, what people chose for themselves stands in for gifts."""

_ENOUGH_TIMES = 20
"""A log with fewer distinct times is taken as one without usable times."""
_PLACES = 1_000
"""Without times, a person's signals stand in random order at places 0 … 999."""


@dataclass(frozen=True, slots=True)
class GiftQuery:
    """What was asked and what was chosen; `chosen` is never empty."""

    context: GiftContext
    chosen: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """Who has what at an instant, one entry a person and item."""

    person: Ints
    """Codes from 0."""
    item: tuple[str, ...]
    weight: Floats


class GiftLog:
    """The exported log, read for gifts.

    Time here is `known_at`: when a signal was both past and recorded. In a log without usable times
    it is a place in a random order of each person's signals, so that a cut at 800 of 1000 gives
    every person's random 80 %.

    Parameters
    ----------
    log
        The exported log.
    seed
        Of the random order and of sampling.

    Raises
    ------
    NotEnoughData
        If nobody did anything with an item.
    """

    def __init__(self, log: ExportedLog, seed: int) -> None:
        self._log = log
        self._seed = seed
        known = held(signals(log, Purpose.GIFT_SUGGESTIONS))
        chosen = known.filter(known.kind != RECEIVED)
        times = chosen.aggregate(times=chosen.known_at.nunique()).to_pyarrow().to_pylist()[0]
        if not times["times"]:
            raise NotEnoughData("the log holds no gift and no item event", "import some first")
        self.timed: bool = times["times"] >= _ENOUGH_TIMES
        self._signals: Table = known if self.timed else held(self._in_random_order(known))
        self._agreements = agreements(log, Purpose.GIFT_SUGGESTIONS)

    @property
    def knows_consent(self) -> bool:
        """Whether the log tells who agreed to suggestions."""
        return self._agreements is not None

    @cached_property
    def items(self) -> dict[str, Item]:
        """The catalogue, by id in order."""
        rows = self._log.table("items").order_by("item").to_pyarrow().to_pylist()
        return {
            row["item"]: Item(
                row["item"],
                row["name"],
                row["price_fen"],
                Tier(row["tier"]),
                row["category"],
                row["kind"],
                Mechanics(row["mechanics"]),
                frozenset(row["relations"].split(",")),
                frozenset(row["scenes"].split(",")),
                row["brand"],
                row["creator"],
                row["stock"],
                row["sale_from"],
                row["sale_until"],
            )
            for row in rows
        }

    @cached_property
    def choices(self) -> Table:
        """What was chosen, for whom: query, sender, recipient, item, occasion, at."""
        gifts = self._log.table("gifts")
        given = gifts.filter(gifts.relation == Relation.FRIEND.value)
        # An objector's gifts are no lesson in what to suggest to them.
        no = objectors(self._log, Purpose.GIFT_SUGGESTIONS)
        given = given.anti_join(no, [("recipient", "person")])
        if self.timed and given.count().to_pyarrow().as_py() >= ENOUGH_GIFTS:
            return given.select(
                "sender", "recipient", "item", "occasion", query=given.gift, at=given.occurred_at
            )
        own = self._signals.filter(~self._signals.kind.isin((GAVE, RECEIVED)))
        query = own.signal if self.timed else own.person
        return own.select(
            "item",
            query=query,
            sender=ibis.literal(""),
            recipient=own.person,
            occasion=ibis.literal("none"),
            at=own.known_at,
        )

    def cuts(self, shares: Sequence[float]) -> list[int]:
        """Return the times before which these shares (0…1) of the choices were made."""
        if not self.timed:
            return [round(share * _PLACES) for share in shares]
        times = np.sort(self.choices.at.to_pyarrow().to_numpy())
        ends = np.append(times, times[-1] + 1)
        return [int(ends[round(share * len(times))]) for share in shares]

    def queries(self, since: int, until: int, limit: int) -> list[GiftQuery]:
        """Return up to `limit` queries, drawn at random, from since ≤ time < until.

        Each sees only what was known before it was asked: before the choice itself, or, without
        usable times, before `since`; if the log tells who agreed, no history at all where the
        recipient had not, and none of a sender or friend who had not.
        """
        made = self.choices
        made = made.filter((made.at >= since) & (made.at < until))
        asked = made.group_by("query", "sender", "recipient", "occasion").aggregate(
            at=made.at.min() if self.timed else ibis.literal(since, "int64"),
            chosen=made.item.collect(),
        )
        drawn = held(asked.order_by(self._random(asked.query), "query").limit(limit))
        people = drawn.select("query", "at", person=drawn.recipient)
        willing = self._agreeing(people)
        open_to = drawn.semi_join(willing, "query")
        recipients = self._histories(willing, self._signals, HISTORY_LIMIT)
        senders = self._histories(
            self._agreeing(open_to.select("query", "at", person=open_to.sender)),
            self._signals,
            HISTORY_LIMIT,
        )
        events = self._signals.filter(~self._signals.kind.isin((GAVE, RECEIVED)))
        circles = self._histories(self._circles(willing), events, FRIENDS_HISTORY_LIMIT)
        return [
            GiftQuery(
                GiftContext(
                    row["sender"],
                    row["recipient"],
                    row["occasion"],
                    None,
                    row["at"],
                    recipients.get(row["query"], ()),
                    senders.get(row["query"], ()),
                    recipient_friends_history=circles.get(row["query"], ()),
                ),
                frozenset(row["chosen"]),
            )
            for row in drawn.order_by("query").to_pyarrow().to_pylist()
        ]

    def taken(self, before: int | None) -> Taken:
        """Return who chose or received what before an instant (`None`: to the log's end)."""
        rows = self._known(before)
        rows = rows.filter(rows.kind != GAVE)
        grouped = rows.mutate(weight=rows.weight * kind_weight(rows.kind)).group_by(
            "person", "item"
        )
        found = grouped.aggregate(weight=ibis._.weight.sum()).order_by(["person", "item"])
        table = found.to_pyarrow()
        _, person = np.unique(table["person"].to_numpy(zero_copy_only=False), return_inverse=True)
        return Taken(
            np.asarray(person, dtype=np.int64),
            tuple(table["item"].to_pylist()),
            table["weight"].to_numpy(),
        )

    def daily_signals(self, before: int | None) -> tuple[tuple[str, ...], Floats, Ints]:
        """Return (item, weight, time) of what was chosen before an instant, summed by day."""
        rows = self._known(before)
        # A gift counts once, when it is given.
        rows = rows.filter(rows.kind != RECEIVED)
        by_day = rows.mutate(
            weight=rows.weight * kind_weight(rows.kind), day=rows.occurred_at // DAY
        )
        found = by_day.group_by("item", "day").aggregate(weight=ibis._.weight.sum())
        table = found.order_by(["item", "day"]).to_pyarrow()
        days = table["day"].to_numpy().astype(np.int64)
        return tuple(table["item"].to_pylist()), table["weight"].to_numpy(), days * DAY

    def given(self, before: int | None) -> tuple[tuple[str, ...], Ints, Ints]:
        """Return (item, time, index of the occasion) of the gifts known before an instant."""
        rows = self._log.table("gifts")
        if before is not None and self.timed:
            rows = rows.filter((rows.occurred_at < before) & (rows.recorded_at < before))
        table = rows.select("item", "occurred_at", "occasion", "gift").order_by("gift").to_pyarrow()
        occasions = [occasion_index(text) for text in table["occasion"].to_pylist()]
        return (
            tuple(table["item"].to_pylist()),
            table["occurred_at"].to_numpy().astype(np.int64),
            np.array(occasions, dtype=np.int64),
        )

    def _known(self, before: int | None) -> Table:
        rows = self._signals
        return rows if before is None else rows.filter(rows.known_at < before)

    def _random(self, text: StringColumn) -> StringColumn:
        """Return a column to order by: the same for the same seed, on any machine."""
        return (text + ibis.literal(f"/{self._seed}")).hexdigest("md5")

    def _in_random_order(self, rows: Table) -> Table:
        order = ibis.window(group_by="person", order_by=[self._random(rows.signal), rows.signal])
        count = rows.count().over(ibis.window(group_by="person"))
        place = ibis.row_number().over(order) * _PLACES // count
        return rows.mutate(known_at=place.cast("int64"))

    def _agreeing(self, people: Table) -> Table:
        """Return those of `people` (query, at, person) who had agreed to suggestions."""
        if self._agreements is None:
            return people
        if self.timed:
            return agreed_at(people, self._agreements)
        return people.semi_join(self._agreements, "person")

    def _circles(self, people: Table) -> Table:
        """Return the agreeing friends that each query's person had then: query, at, person."""
        circle = friends_at(people, self._log, timed=self.timed)
        return self._agreeing(circle.select("query", "at", person=circle.friend))

    def _histories(
        self, people: Table, known: Table, limit: int
    ) -> dict[str, tuple[ItemSignal, ...]]:
        """Return the newest of the `known` signals of each query's people, newest first."""
        joined = people.join(known, "person")
        joined = joined.filter(joined.known_at < joined.at)
        table = newest(joined, "query", limit).to_pyarrow()
        found: dict[str, list[ItemSignal]] = {}
        for query, item, kind, at in zip(
            table["query"].to_pylist(),
            table["item"].to_pylist(),
            table["kind"].to_pylist(),
            table["occurred_at"].to_pylist(),
            strict=True,
        ):
            found.setdefault(query, []).append(ItemSignal(item, kind, at))
        return {query: tuple(history) for query, history in found.items()}
