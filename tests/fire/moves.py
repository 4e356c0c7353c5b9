"""Groups of moves that exclude each other, each with what must come of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from sends import send
from storm import Call, Told
from town import Town

_NUMBERS = count()


@dataclass(frozen=True)
class Race:
    """Moves of one gift (or of several that contend) made at once."""

    name: str
    gifts: tuple[str, ...]
    calls: tuple[Call, ...]
    fault: Callable[[Town, Sequence[Told]], str | None]
    """What is wrong with what they were told and what the ledger says then."""


def move(gift: str, name: str, key: str | None = None, **body: object) -> Call:
    """Return a move of a gift, under a key of its own."""
    path = f"/v1/gifts/{gift}:{name}"
    return Call(path, dict(body), key or f"move-{next(_NUMBERS)}", about=name)


def review(gift: str, approve: bool) -> Call:
    """Return a reviewer's decision."""
    name = "approve" if approve else "reject"
    return Call(f"/v1/reviews/{gift}", {"approve": approve}, f"move-{next(_NUMBERS)}", about=name)


def done(told: Sequence[Told]) -> list[str]:
    """Return the names of the moves that were made."""
    return [one.call.about for one in told if one.status == 200]


def settled(*states: str, won: Sequence[str]) -> Callable[[Town, Sequence[Told]], str | None]:
    """Return what sees that exactly one of `won` was made, whatever else was, and no other twice;
    `states` are those in which the gift may be then, one for each of `won`."""

    def fault(town: Town, told: Sequence[Told]) -> str | None:
        made = [name for name in done(told) if name in won]
        if len(made) != 1:
            return f"{made} were made of {won}"
        odd = {one.status for one in told} - {200, 409}
        gift = told[0].call.path.split("/")[3].partition(":")[0]
        state = town.one("SELECT state FROM gifts WHERE gift = :gift", gift=gift)
        if state != states[won.index(made[0])]:
            return f"{made[0]} was made, and the gift is {state}"
        return f"answered with {sorted(odd)}" if odd else None

    return fault


def answers(gift: str, person: str) -> Race:
    """Return acceptances, declines and swaps of one sent gift."""
    calls = (
        move(gift, "accept", person=person, address="Street 1"),
        move(gift, "swap", person=person, item="tea"),
        move(gift, "decline", person=person),
        move(gift, "accept", person=person),
        move(gift, "decline", person=person),
    )
    return Race(
        "answers", (gift,), calls, settled("accepted", "declined", won=["accept", "decline"])
    )


def endings(gift: str, code: str | None) -> Race:
    """Return redemptions of one accepted gift with one code, and refunds."""
    calls = (
        move(gift, "redeem", code=code),
        move(gift, "refund"),
        move(gift, "redeem", code=code),
        move(gift, "redeem", code=code),
        move(gift, "refund"),
    )
    return Race(
        "endings", (gift,), calls, settled("redeemed", "refunded", won=["redeem", "refund"])
    )


def repeated(gift: str, person: str) -> Race:
    """Return one acceptance that is asked for four times under one key."""
    calls = (move(gift, "accept", person=person),) * 4

    def fault(town: Town, told: Sequence[Told]) -> str | None:
        if done(told) != ["accept"] * 4 or any(one.body != told[0].body for one in told):
            return f"one key, several answers: {[(one.status, one.body) for one in told]}"
        events = town.one("SELECT events FROM gifts WHERE gift = :gift", gift=gift)
        return None if events == 2 else f"{events} events instead of 2"

    return Race("repeated", (gift,), calls, fault)


def reviews(gift: str) -> Race:
    """Return approvals and rejections of one held gift."""
    calls = (review(gift, True), review(gift, False), review(gift, True))
    return Race("reviews", (gift,), calls, settled("sent", "cancelled", won=["approve", "reject"]))


def swaps(gifts: Sequence[tuple[str, str]], item: str, stock: int) -> Race:
    """Return swaps of many gifts for an item of which there are few."""
    calls = tuple(move(gift, "swap", person=person, item=item) for gift, person in gifts)

    def fault(town: Town, told: Sequence[Told]) -> str | None:
        left = town.one("SELECT stock FROM items WHERE item = :item", item=item)
        made = len(done(told))
        codes = {one.body.get("code") for one in told if one.status != 200}
        if (made, left) != (stock, 0) or codes != {"SWAP_REFUSED"}:
            return f"{made} swaps of {stock}, {left} left, {codes}"
        return None

    return Race("swaps", tuple(gift for gift, _ in gifts), calls, fault)


def new_gifts(town: Town, number: int, item: str) -> list[tuple[str, str]]:
    """Send that many gifts, each between two people of its own; return them with recipients."""
    calls = []
    for _ in range(number):
        n = next(_NUMBERS)
        calls.append(send(f"from{n}", f"to{n}", item))
    told = town.storm().run(calls)
    assert {one.status for one in told} <= {201, 202}
    return [(one.body["gift"], one.call.body["recipient"]) for one in told]


def accepted(town: Town, number: int, item: str) -> list[tuple[str, str | None]]:
    """Send and accept that many gifts; return them with their codes."""
    gifts = new_gifts(town, number, item)
    told = town.storm().run([move(gift, "accept", person=person) for gift, person in gifts])
    assert {one.status for one in told} == {200}
    if item not in {"coffee", "tea"}:
        return [(gift, None) for gift, _ in gifts]
    asked = [Call(f"/v1/gifts/{gift}:voucher", {"person": person}) for gift, person in gifts]
    codes = town.storm().run(asked)
    return [(gift, one.body["code"]) for (gift, _), one in zip(gifts, codes, strict=True)]
