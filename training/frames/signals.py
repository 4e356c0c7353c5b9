"""What people did with items, as one table, and who asked to be left out of it."""

from __future__ import annotations

import ibis
from ibis.expr.types import NumericColumn, StringColumn, Table

from engine.domain.gifts import GiftState
from engine.domain.people import Purpose
from engine.domain.ports import GAVE, RECEIVED
from models.item_signals import OTHER_WEIGHT, SIGNAL_WEIGHTS
from training.log import ExportedLog

_TAKEN = (GiftState.ACCEPTED.value, GiftState.REDEEMED.value)
_NOT_GIVEN = (GiftState.HELD.value, GiftState.CANCELLED.value)


def signals(log: ExportedLog, purpose: Purpose) -> Table:
    """Return every signal of an item that people left, as the jobs read them.

    A gift leaves two: `gave` by the sender whatever becomes of it, and `received` by the recipient
    once it is accepted. People who withdrew their consent to `purpose`, or refused it, leave none.

    Returns
    -------
    Table
        signal (a unique text), person, item, kind, weight, occurred_at and known_at: the signal may
        be used for what happens after `known_at`.
    """
    events = log.table("item_events")
    gifts = log.table("gifts")
    accepted_at = ibis.coalesce(gifts.outcome_at, gifts.occurred_at)
    found = ibis.union(
        events.select(
            signal=ibis.literal("e:") + events.event,
            person=events.person,
            item=events.item,
            kind=events.kind,
            weight=events.weight.cast("float64"),
            occurred_at=events.occurred_at,
            known_at=ibis.greatest(events.occurred_at, events.recorded_at),
        ),
        gifts.filter(~gifts.state.isin(_NOT_GIVEN)).select(
            signal=ibis.literal("g:") + gifts.gift,
            person=gifts.sender,
            item=gifts.item,
            kind=ibis.literal(GAVE),
            weight=ibis.literal(1.0),
            occurred_at=gifts.occurred_at,
            known_at=ibis.greatest(gifts.occurred_at, gifts.recorded_at),
        ),
        gifts.filter(gifts.state.isin(_TAKEN)).select(
            signal=ibis.literal("r:") + gifts.gift,
            person=gifts.recipient,
            item=gifts.item,
            kind=ibis.literal(RECEIVED),
            weight=ibis.literal(1.0),
            occurred_at=gifts.occurred_at,
            known_at=ibis.greatest(accepted_at, gifts.recorded_at),
        ),
    )
    return found.anti_join(objectors(log, purpose), "person")


def objectors(log: ExportedLog, purpose: Purpose) -> Table:
    """Return who (`person`) last said no to `purpose`, or let their yes end, by the log's end.

    Who never said anything is not among them: their signals may teach what goes together, though
    nothing is personalised for them.
    """
    consents = log.table("consents")
    said = consents.filter(consents.purpose == purpose.value)
    newest_first = ibis.window(
        group_by="person", order_by=[ibis.desc("since"), ibis.desc("recorded_at")]
    )
    last = said.mutate(place=ibis.row_number().over(newest_first)).filter(ibis._.place == 0)
    return last.filter(~last.granted | last.until.notnull()).select("person")


def agreements(log: ExportedLog, purpose: Purpose) -> Table | None:
    """Return who agreed to `purpose` and when: person, agreed_since, agreed_until.

    None if the log knows of no agreement at all: then it tells nothing of who would have agreed.
    """
    consents = log.table("consents")
    given = consents.filter((consents.purpose == purpose.value) & consents.granted)
    if given.count().to_pyarrow().as_py() == 0:
        return None
    return given.select(
        "person",
        agreed_since=ibis.greatest(given.since, given.recorded_at),
        agreed_until=given.until,
    )


def agreed_at(rows: Table, agreements: Table) -> Table:
    """Return those of `rows` (with person and at) whose person agreed then."""
    joined = rows.join(agreements, "person")
    lasting = joined.agreed_until.isnull() | (joined.agreed_until > joined.at)
    held_then = joined.filter((joined.agreed_since <= joined.at) & lasting)
    return held_then.select(*rows.columns).distinct()


def friends_at(rows: Table, log: ExportedLog, *, timed: bool = True) -> Table:
    """Return `rows` (with person and at) once for each friend the person had then.

    Returns
    -------
    Table
        The columns of `rows`, and `friend`. Without usable times (`timed` false) every recorded
        friend counts.
    """
    friendships = log.table("friendships").select(
        "person", "friend", "since", "until", friendship_known="recorded_at"
    )
    joined = rows.join(friendships, "person")
    if timed:
        lasting = joined.until.isnull() | (joined.until > joined.at)
        begun = ibis.greatest(joined.since, joined.friendship_known) <= joined.at
        joined = joined.filter(begun & lasting)
    return joined.select(*rows.columns, "friend").distinct()


def newest(rows: Table, group: str, limit: int) -> Table:
    """Return the `limit` newest signals of each `group`, newest first within it."""
    order = [ibis.desc("occurred_at"), "item", "kind", "signal"]
    placed = rows.mutate(place=ibis.row_number().over(ibis.window(group_by=group, order_by=order)))
    return placed.filter(placed.place < limit).order_by([group, "place"])


def held(rows: Table) -> Table:
    """Return `rows` computed once and kept, to be read many times."""
    return ibis.memtable(rows.to_pyarrow())


def kind_weight(kind: StringColumn) -> NumericColumn:
    """Return how much a signal of each kind says of a taste."""
    cases = [(kind == name, weight) for name, weight in SIGNAL_WEIGHTS.items()]
    return ibis.cases(*cases, else_=OTHER_WEIGHT)
