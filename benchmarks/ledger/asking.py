"""What is asked over HTTP: sends that are all different, checks and batches, with their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle

import orjson

from benchmarks.http_load import post
from benchmarks.ledger.clients import Asked
from benchmarks.ledger.history import CIRCLE, ITEMS, item, person
from engine.domain.gifts import GiftRequest
from engine.ledger.keys import Scope

FRIENDS = 8
"""To so many friends everybody sends once: fewer than the rules allow in a day."""
DENIED = 8
"""Every how many checks of a batch one is of a gift to a stranger."""
_DIFFERENT = 4_096
SCOPES = frozenset({Scope.GIFTS_CHECK, Scope.GIFTS_SEND})


def pair(number: int, people: int) -> tuple[str, str]:
    """Return the n-th pair of sender and recipient, no two of them alike."""
    sender, turn = number % people, number // people
    friend = sender // CIRCLE * CIRCLE + (sender + 1 + turn) % CIRCLE
    return person(sender), person(friend)


def send(number: int, people: int) -> GiftRequest:
    """Return the n-th gift to send."""
    sender, recipient = pair(number, people)
    return GiftRequest(sender, recipient, item(number % ITEMS))


def sends(secret: str, people: int) -> Iterator[Asked]:
    """Yield every send that the people may make, each with a key and a payment of its own."""
    for number in range(people * FRIENDS):
        request = send(number, people)
        body = orjson.dumps({**_body(request), "payment_ref": f"pay_{number:024d}"})
        head = f"Idempotency-Key: send-{number:024d}"
        yield Asked(post("/v1/gifts", body, secret, head), _was_sent)


def checks(secret: str, people: int) -> Iterator[Asked]:
    """Yield checks of gifts that are allowed, without end."""
    found = [
        Asked(post("/v1/gifts/check", orjson.dumps(_body(send(n, people))), secret), _is_allowed)
        for n in range(_DIFFERENT)
    ]
    yield from cycle(found)


def batches(secret: str, people: int, size: int) -> Iterator[Asked]:
    """Yield batches of checks without end; one check in eight is of a gift to a stranger."""
    found = []
    for begin in range(0, _DIFFERENT, size):
        asked = [_mixed(number, people) for number in range(begin, begin + size)]
        body = orjson.dumps({"gifts": [_body(request) for request, _ in asked]})
        holds = _holds_all([verdict for _, verdict in asked])
        found.append(Asked(post("/v1/gifts/check:batch", body, secret), holds))
    yield from cycle(found)


def _mixed(number: int, people: int) -> tuple[GiftRequest, str]:
    request = send(number, people)
    if number % DENIED:
        return request, "allow"
    return replace(request, recipient="nobody-knows"), "deny"


def _body(request: GiftRequest) -> dict[str, str]:
    return {"sender": request.sender, "recipient": request.recipient, "item": request.item}


def _was_sent(status: bytes, body: bytes) -> bool:
    return status == b"201" and b'"verdict":"allow"' in body and b'"gift":"gift_' in body


def _is_allowed(status: bytes, body: bytes) -> bool:
    return status == b"200" and b'"verdict":"allow"' in body and b'"decision_id":"dec_' in body


def _holds_all(verdicts: list[str]) -> Callable[[bytes, bytes], bool]:
    def holds(status: bytes, body: bytes) -> bool:
        if status != b"200":
            return False
        told = [one["verdict"] for one in orjson.loads(body)["results"]]
        distinct = {one["decision_id"] for one in told}
        return len(distinct) == len(verdicts) and [one["verdict"] for one in told] == verdicts

    return holds
