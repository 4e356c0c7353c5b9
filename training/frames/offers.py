"""Showings of offers as they stood: what was known before each, and whether it was redeemed."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray

from engine.domain.clock import DAY
from engine.domain.pair_state import Ints
from engine.domain.people import Purpose
from engine.domain.ports import HISTORY_LIMIT
from models.features.offer import FACT_NAMES, HALF_LIFE_DAYS, OfferFacts
from training.frames.signals import friends_at, held, kind_weight, newest, objectors, signals
from training.log import ExportedLog

MOST_ROWS = 40_000
"""More showings than this are sampled."""


@dataclass(frozen=True, slots=True, eq=False)
class OfferFrame:
    """n showings, or withheld showings, whose offers have ended."""

    event: tuple[str, ...]
    facts: OfferFacts
    at: Ints
    ends_at: Ints
    redeemed: NDArray[np.bool_]
    """Whether the person redeemed the offer after `at` and before it ended."""
    held_out: NDArray[np.bool_]
    """Whether the offer was withheld at random: not an example of a response to a showing."""


def offer_frame(log: ExportedLog, seed: int) -> OfferFrame:
    """Return the showings and withheld showings whose offers ended within the log, by time.

    People who refused offers, or took their consent back, are left out, and so is a showing to
    somebody who had been held out of that very offer. Facts are those recorded before the showing.
    """
    offers = log.table("offers")
    items = log.table("items").select("item", list_price_fen="price_fen")
    described = offers.left_join(items, "item").select(
        "offer",
        "brand",
        "category",
        "price_fen",
        "starts_at",
        "ends_at",
        list_price_fen=ibis.coalesce(items.list_price_fen, 0),
    )
    events = held(_events(log, described))
    # An offer that ended by the log's newest event has all its redemptions in the log.
    last = events.aggregate(last=events.occurred_at.max()).to_pyarrow().to_pylist()[0]["last"]
    rows = held(_showings(events, described, -1 if last is None else int(last), seed))
    found = rows
    for part in (_responses(rows, events), _histories(rows, log), _friends(rows, events, log)):
        found = found.left_join(part, "event").drop("event_right")
    found = found.mutate(since_start=found.at - found.starts_at, until_end=found.ends_at - found.at)
    table = found.order_by(["at", "event"]).to_pyarrow()
    columns = [
        table[name].cast("float64").fill_null(0.0).to_numpy(zero_copy_only=False)
        for name in FACT_NAMES
    ]
    return OfferFrame(
        tuple(table["event"].to_pylist()),
        OfferFacts(*columns),
        table["at"].to_numpy().astype(np.int64),
        table["ends_at"].to_numpy().astype(np.int64),
        table["label"].to_numpy(zero_copy_only=False).astype(bool),
        table["held_out"].to_numpy(zero_copy_only=False).astype(bool),
    )


def _events(log: ExportedLog, described: Table) -> Table:
    """Return the offer events of who did not object, with the offer's brand and category."""
    events = log.table("offer_events").anti_join(objectors(log, Purpose.OFFERS), "person")
    joined = events.join(described, "offer")
    return joined.select(
        "event",
        "person",
        "offer",
        "kind",
        "occurred_at",
        "brand",
        "category",
        known_at=ibis.greatest(joined.occurred_at, joined.recorded_at),
    )


def _showings(events: Table, described: Table, last: int, seed: int) -> Table:
    """Return the rows of the frame with their offers and `label`."""
    shown = events.filter(events.kind.isin(("shown", "held_out")))
    shown = shown.select(
        "event", "person", "offer", at="occurred_at", held_out=shown.kind != "shown"
    )
    rows = shown.join(described, "offer")
    rows = rows.filter((rows.ends_at <= last) & (rows.at < rows.ends_at))
    withheld = shown.filter(shown.held_out).select("person", "offer")
    contaminated = rows.filter(~rows.held_out).semi_join(withheld, ["person", "offer"])
    rows = rows.anti_join(contaminated, "event")
    drawn = rows.order_by((rows.event + ibis.literal(f"/{seed}")).hexdigest("md5"), "event").limit(
        MOST_ROWS
    )
    taken = events.filter(events.kind == "redeemed").select(
        "person", "offer", taken_at="occurred_at"
    )
    after = drawn.join(taken, ["person", "offer"])
    after = after.filter((after.taken_at > after.at) & (after.taken_at <= after.ends_at))
    answered = after.select("event", answered=ibis.literal(True)).distinct()
    joined = drawn.left_join(answered, "event").drop("event_right")
    return joined.mutate(label=joined.answered.notnull()).drop("answered")


def _responses(rows: Table, events: Table) -> Table:
    """Return the counts of what each row's person was shown and did before."""
    asked = rows.select("event", "person", "at", "offer", "brand", "category")
    past = events.select(
        "person",
        "kind",
        "known_at",
        past_offer="offer",
        past_brand="brand",
        past_category="category",
    )
    joined = asked.join(past, "person")
    before = joined.filter(joined.known_at < joined.at)
    shown, redeemed = before.kind == "shown", before.kind == "redeemed"
    category = before.past_category == before.category
    brand = before.past_brand == before.brand
    return before.group_by("event").aggregate(
        shown=shown.sum(),
        clicked=(before.kind == "clicked").sum(),
        redeemed=redeemed.sum(),
        category_shown=(shown & category).sum(),
        category_redeemed=(redeemed & category).sum(),
        brand_shown=(shown & brand).sum(),
        brand_redeemed=(redeemed & brand).sum(),
        offer_shown=(shown & (before.past_offer == before.offer)).sum(),
    )


def _histories(rows: Table, log: ExportedLog) -> Table:
    """Return what each row's person had done with items before, newest signals only."""
    known = signals(log, Purpose.OFFERS)
    items = log.table("items").select("item", item_category="category", item_brand="brand")
    asked = rows.select("event", "person", "at", "category", "brand")
    joined = asked.join(known, "person")
    recent = newest(joined.filter(joined.known_at < joined.at), "event", HISTORY_LIMIT)
    seen = recent.left_join(items, "item")
    age = (seen.at - seen.occurred_at).cast("float64")
    weight = kind_weight(seen.kind) * (age / (-HALF_LIFE_DAYS * DAY) * np.log(2.0)).exp()
    same = (seen.item_category == seen.category).fill_null(False)
    return (
        seen.mutate(
            weight=weight,
            category_weight=same.ifelse(weight, 0.0),
            same_brand=(seen.item_brand == seen.brand).fill_null(False),
        )
        .group_by("event")
        .aggregate(
            weight=ibis._.weight.sum(),
            category_weight=ibis._.category_weight.sum(),
            signals=ibis._.count(),
            brand_signals=ibis._.same_brand.sum(),
        )
    )


def _friends(rows: Table, events: Table, log: ExportedLog) -> Table:
    """Return how many of each row's person's friends had redeemed an offer of the brand."""
    circle = friends_at(rows.select("event", "person", "at", "brand"), log)
    taken = events.filter(events.kind == "redeemed").select(
        "brand", "known_at", friend=events.person
    )
    joined = circle.join(taken, ["friend", "brand"])
    did = joined.filter(joined.known_at < joined.at)
    return did.group_by("event").aggregate(friends_redeemed=did.friend.nunique())
