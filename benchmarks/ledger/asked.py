"""Pairs whose past is the same however many gifts of others lie around theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection, insert, text

from benchmarks.ledger.history import YEAR, item, price_fen
from engine.domain.clock import DAY, HOUR, local_day
from engine.domain.gift_life import ACCEPT_WITHIN
from engine.domain.gifts import GiftRequest
from engine.ledger import tables, ties
from engine.ledger.facts import pair_subject

Row = Mapping[str, str | int | bool | None]

THERE = 12
"""Gifts from the one to the other in the year."""
BACK = 8
SIDE = 2
"""Other friends of each, to whom both gave as well."""
TO_SIDE = 5
"""Gifts to each of those."""
GIFTS_A_PAIR = THERE + BACK + 1 + 2 * SIDE * TO_SIDE
"""Two dozen in the year for the one, ten of them in the last three months, one in the last hour."""


def requests(pairs: int) -> list[GiftRequest]:
    """Return what is asked: a gift to a friend for each pair."""
    return [GiftRequest(_one(n), _other(n), item(n % 1_000)) for n in range(pairs)]


def gifts(pairs: int, at: int) -> list[Row]:
    """Return the pairs' gifts of the year before `at` (microseconds), the oldest first."""
    rows = [row for n in range(pairs) for row in _gifts_of(n, at)]
    return sorted(rows, key=lambda row: int(row["occurred_at"] or 0))


def write_gifts(connection: Connection, rows: Sequence[Row]) -> None:
    """Write some of `gifts`."""
    if rows:
        connection.execute(insert(tables.gifts), [dict(row) for row in rows])


def write_people(connection: Connection, pairs: int, at: int) -> None:
    """Write the pairs' people with all that binds them, once their gifts are there."""
    known = [who for n in range(pairs) for who in (_one(n), _other(n), *_side(n))]
    connection.execute(
        insert(tables.people),
        [
            {
                "person": who,
                "birth_date": "1990-05-06",
                "zone": "Asia/Shanghai",
                "joined_at": at - 2 * YEAR,
                "recorded_at": at - 2 * YEAR,
            }
            for who in known
        ],
    )
    bound = [
        pair
        for n in range(pairs)
        for one, others in ((_one(n), [_other(n), *_side(n)]), (_other(n), _side(n)))
        for other in others
        for pair in ((one, other), (other, one))
    ]
    connection.execute(
        insert(tables.friendships),
        [
            {"person": a, "friend": b, "since": at - 2 * YEAR, "recorded_at": at - 2 * YEAR}
            for a, b in bound
        ],
    )
    _count(connection, pairs, at)
    told = {(str(row["sender"]), str(row["recipient"])) for row in gifts(pairs, at)}
    ties.rebuild_ties(connection, told)


def _count(connection: Connection, pairs: int, at: int) -> None:
    counted: dict[tuple[str, str, int], list[int]] = {}
    for row in gifts(pairs, at):
        sender, recipient = str(row["sender"]), str(row["recipient"])
        day, fen = int(row["sender_day"] or 0), int(row["price_fen"] or 0)
        for scope, subject in (
            ("sender", sender),
            ("pair", pair_subject(sender, recipient)),
            ("recipient", recipient),
        ):
            so_far = counted.setdefault((scope, subject, day), [0, 0])
            so_far[0] += 1
            so_far[1] += fen
    connection.execute(
        text("INSERT INTO counters (scope, subject, day, gifts, fen) VALUES (:s, :w, :d, :g, :f)"),
        [
            {"s": scope, "w": subject, "d": day, "g": many, "f": fen}
            for (scope, subject, day), (many, fen) in sorted(counted.items())
        ],
    )


def _gifts_of(pair: int, at: int) -> Iterator[Row]:
    one, other = _one(pair), _other(pair)
    given = [(one, other, (k + 1) * YEAR // (THERE + 1)) for k in range(THERE)]
    given += [(other, one, (k + 1) * YEAR // (BACK + 2)) for k in range(BACK)]
    given.append((one, _side(pair)[0], HOUR // 2))
    given += [
        (who, friend, (5 * k + place + 2) * 7 * DAY)
        for who in (one, other)
        for place, friend in enumerate(_side(pair))
        for k in range(TO_SIDE)
    ]
    for number, (sender, recipient, ago) in enumerate(given):
        # The pairs' times differ a little, as everybody's do.
        occurred_at = at - ago - pair * 61_000_003 % (HOUR // 4)
        answered = ago > ACCEPT_WITHIN
        sku = (pair + number) % 1_000
        yield {
            "gift": f"gift_past{pair:06d}n{number:04d}{15 * '0'}",
            "sender": sender,
            "recipient": recipient,
            "item": item(sku),
            "price_fen": price_fen(sku),
            "relation": "friend",
            "scene": "chat",
            "occasion": "none",
            "state": "accepted" if answered else "sent",
            "origin": "live",
            "occurred_at": occurred_at,
            "outcome_at": occurred_at + HOUR if answered else None,
            "payment_ref": f"pay_past{pair:06d}n{number:04d}",
            "sender_day": local_day(occurred_at),
            "recipient_day": local_day(occurred_at),
            "due_at": None if answered else occurred_at + ACCEPT_WITHIN,
            "events": 2,
            "recorded_at": occurred_at,
        }


def _one(pair: int) -> str:
    return f"a{pair:08d}"


def _other(pair: int) -> str:
    return f"b{pair:08d}"


def _side(pair: int) -> list[str]:
    return [f"c{pair:08d}-{n}" for n in range(SIDE)]
