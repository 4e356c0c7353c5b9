"""Groups of sends that contend for one thing, each with how many gifts must come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from rulebook import (
    HOUR_GIFTS,
    MONTH_FEN,
    PAIR_FEN,
    PAIR_GIFTS,
    RECIPIENT_FEN,
    RECIPIENT_GIFTS,
    SENDER_FEN,
    SENDER_GIFTS,
)
from storm import Call, Told
from town import Town

COFFEE_FEN, RING_FEN, CAKE_FEN = 900, 3_000, 5_000
_NUMBERS = count()
_UNSAID = frozenset({"NOT_POSSIBLE_NOW"})
"""Of what is refused for the recipient's sake nobody is told why."""


@dataclass(frozen=True)
class Group:
    """Calls that contend, and the exact number of gifts that they may make together."""

    name: str
    calls: tuple[Call, ...]
    gifts: int
    refusals: frozenset[str] = frozenset()
    """Reasons or codes that the others may be refused with."""


Kind = Callable[[Town, str], Group]


def send(sender: str, recipient: str, item: str = "coffee", **more: str) -> Call:
    """Return the sending of a gift under a key and with a payment of its own."""
    n = next(_NUMBERS)
    body = {"sender": sender, "recipient": recipient, "item": item, "payment_ref": f"pay-{n}"}
    key = more.pop("key", f"send-{n}")
    return Call("/v1/gifts", body | more, key)


def rounds(town: Town, times: int, only: Sequence[Kind] = ()) -> Iterator[Group]:
    """Return every kind of group (or `only` those) `times` times, each with its own people."""
    for n in range(times):
        for kind in only or KINDS:
            yield kind(town, f"{kind.__name__}{next(_NUMBERS)}-{n}")


def _sender_gifts(_: Town, n: str) -> Group:
    calls = tuple(send(n, f"{n}to{k}") for k in range(SENDER_GIFTS + 4))
    return Group("sender's gifts", calls, SENDER_GIFTS, frozenset({"DAILY_CAP_REACHED"}))


def _sender_fen(_: Town, n: str) -> Group:
    most = SENDER_FEN // CAKE_FEN
    calls = tuple(send(n, f"{n}to{k}", "cake") for k in range(most + 3))
    return Group("sender's fen", calls, most, frozenset({"AMOUNT_CAP_REACHED"}))


def sender_hour(_: Town, n: str) -> Group:
    calls = tuple(send(n, f"{n}to{k}", "rose") for k in range(HOUR_GIFTS + 5))
    return Group("sender's gifts of an hour", calls, HOUR_GIFTS, frozenset({"DAILY_CAP_REACHED"}))


def sender_month(_: Town, n: str) -> Group:
    most = MONTH_FEN // RING_FEN
    calls = tuple(send(n, f"{n}to{k}", "ring") for k in range(most + 3))
    return Group("sender's fen of a month", calls, most, frozenset({"AMOUNT_CAP_REACHED"}))


def _pair_gifts(_: Town, n: str) -> Group:
    calls = tuple(send(n, f"{n}to") for _ in range(PAIR_GIFTS * 2))
    return Group("pair's gifts", calls, PAIR_GIFTS, frozenset({"DAILY_CAP_REACHED"}))


def _pair_fen(_: Town, n: str) -> Group:
    most = PAIR_FEN // CAKE_FEN
    calls = tuple(send(n, f"{n}to", "cake") for _ in range(most + 3))
    return Group("pair's fen", calls, most, frozenset({"AMOUNT_CAP_REACHED"}))


def _recipient_gifts(_: Town, n: str) -> Group:
    calls = tuple(send(f"{n}by{k}", n) for k in range(RECIPIENT_GIFTS + 4))
    return Group("recipient's gifts", calls, RECIPIENT_GIFTS, _UNSAID)


def _recipient_fen(_: Town, n: str) -> Group:
    most = RECIPIENT_FEN // CAKE_FEN
    calls = tuple(send(f"{n}by{k}", n, "cake") for k in range(most + 3))
    return Group("recipient's fen", calls, most, _UNSAID)


def _stock(town: Town, n: str) -> Group:
    town.item(n, COFFEE_FEN, stock=5)
    calls = tuple(send(f"{n}by{k}", f"{n}to{k}", n) for k in range(12))
    return Group("stock", calls, 5, frozenset({"ITEM_UNAVAILABLE"}))


def _held_stock(town: Town, n: str) -> Group:
    town.item(n, 200_000, stock=2)
    calls = tuple(send(f"{n}by{k}", f"{n}to{k}", n) for k in range(4))
    return Group("held stock", calls, 2, frozenset({"ITEM_UNAVAILABLE"}))


def _same_key(_: Town, n: str) -> Group:
    return Group("same key", (send(n, f"{n}to", key=n),) * 4, 1)


def _other_body(_: Town, n: str) -> Group:
    one, other = send(n, f"{n}to", key=n), send(n, f"{n}to", "tea", key=n)
    codes = frozenset({"IDEMPOTENCY_KEY_REUSED"})
    return Group("key with another body", (one, other, one, other), 1, codes)


def _same_payment(_: Town, n: str) -> Group:
    calls = tuple(send(n, f"{n}to{k}", payment_ref=n) for k in range(4))
    return Group("same payment", calls, 1, frozenset({"CONFLICT"}))


def _crossing(_: Town, n: str) -> Group:
    both = [send(f"{n}a", f"{n}b"), send(f"{n}b", f"{n}a")]
    calls = [
        send(c.body["sender"], c.body["recipient"]) for _ in range(PAIR_GIFTS + 1) for c in both
    ]
    return Group("crossing", tuple(calls), 2 * PAIR_GIFTS, frozenset({"DAILY_CAP_REACHED"}))


def _circle(_: Town, n: str) -> Group:
    steps = [("a", "b"), ("b", "c"), ("c", "a")] * PAIR_GIFTS
    calls = tuple(send(f"{n}{one}", f"{n}{other}") for one, other in steps)
    return Group("circle", calls, 3 * PAIR_GIFTS)


KINDS: Sequence[Kind] = (
    _sender_gifts,
    _sender_fen,
    sender_hour,
    sender_month,
    _pair_gifts,
    _pair_fen,
    _recipient_gifts,
    _recipient_fen,
    _stock,
    _held_stock,
    _same_key,
    _other_body,
    _same_payment,
    _crossing,
    _circle,
)


def fault_of(group: Group, told: Sequence[Told]) -> str | None:
    """Return what is wrong with what a group was told, if anything is."""
    made = {one.body["gift"] for one in told if one.status in {201, 202}}
    if len(made) != group.gifts:
        return f"{group.name}: {len(made)} gifts instead of {group.gifts}"
    for one in told:
        if one.status in {201, 202}:
            continue
        reasons = {reason["code"] for reason in one.body.get("reasons", ())}
        codes = reasons or {str(one.body.get("code"))}
        if one.status not in {200, 409} or not codes <= group.refusals:
            return f"{group.name}: {one.status} {sorted(codes)}"
    by_key: dict[tuple[str | None, str], dict[str, object]] = {}
    for one in told:
        if one.status < 300:
            first = by_key.setdefault((one.call.key, str(one.call.body)), one.body)
            if one.body != first:
                return f"{group.name}: a retry got another answer: {one.body} after {first}"
    return None
