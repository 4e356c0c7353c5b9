"""The life of a gift over HTTP: every move, what each side sees, and the document about it."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api.app import create_app
from api.auth import scope_of
from api.settings import Settings
from engine.domain.clock import DAY, HOUR, format_time
from engine.domain.gift_life import ACCEPT_WITHIN, TRANSITIONS, Move
from engine.domain.gifts import UNSENT, GiftState
from engine.ledger import gifts, tables
from engine.ledger.keys import Scope

DOCUMENT = Path(__file__).parents[2] / "docs" / "gift_life.md"
MOVED_BY = {
    Scope.GIFTS_ANSWER: {"accept", "decline", "swap", "voucher"},
    Scope.GIFTS_REDEEM: {"redeem"},
    Scope.GIFTS_REFUND: {"refund"},
    Scope.GIFTS_REVIEW: {"approve", "reject"},
}
LIFE = {
    GiftState.HELD: (),
    GiftState.CANCELLED: ("reject",),
    GiftState.SENT: (),
    GiftState.ACCEPTED: ("accept",),
    GiftState.DECLINED: ("decline",),
    GiftState.EXPIRED: ("expire",),
    GiftState.REDEEMED: ("accept", "redeem"),
    GiftState.REFUNDED: ("accept", "refund"),
}
"""By state, the moves that lead to it."""


def _rows(heading: str) -> list[list[str]]:
    """The rows of the table below a heading of the document, without its head."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", DOCUMENT.read_text(), re.M | re.S)
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _made(counter, state: GiftState) -> str:
    """A gift in a state; an expired one takes a day."""
    item = "watch" if state in {GiftState.HELD, GiftState.CANCELLED} else "cake"
    gift = counter.send(item)
    for move in LIFE[state]:
        if move == "expire":
            counter.at += ACCEPT_WITHIN
            counter.sweep()
        else:
            counter.done(gift, move)
    assert counter.service.gifting.find(gift).state is state
    return gift


def test_document_names_exactly_the_moves_of_the_code() -> None:
    told = {
        (GiftState(a.strip("`")), Move(move.strip("`"))): GiftState(b.strip("`"))
        for a, move, b, *_ in _rows("Moves")
    }
    assert told == dict(TRANSITIONS)
    assert len(_rows("Moves")) == len(TRANSITIONS)


def test_document_names_the_events_and_the_scope_of_every_move(counter) -> None:
    for before, move, _, by, *_, events in _rows("Moves"):
        name = move.strip("`")
        told = re.findall(r"`(\w+)`", events)
        gift = _made(counter, GiftState(before.strip("`")))
        seen = counter.service.gifting.find(gift).events
        if name == "expire":
            counter.at += ACCEPT_WITHIN
            counter.sweep()
        else:
            counter.done(gift, name)
            [scope] = [scope for scope, moves in MOVED_BY.items() if name in moves]
            assert f"`{scope}`" in by
        with counter.database.reading() as unit:
            rows = unit.exec_driver_sql("SELECT gift, kind FROM outbox ORDER BY seq").all()
        kinds = [kind.removeprefix("gift.") for of, kind in rows if of == gift]
        assert kinds[seen:] == told, (before, move)


def test_document_names_the_routes_with_their_scopes(counter) -> None:
    scopes = {}
    for rule in counter.app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?\w+>", "{id}", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            view = counter.app.view_functions[rule.endpoint]
            scopes[f"{method} {path}"] = scope_of(view)
    for route, scope, *_ in _rows("Routes"):
        assert scopes[route.strip("`").partition("?")[0]] == scope.strip("`")


@pytest.mark.parametrize("state", list(GiftState))
def test_every_move_outside_the_table_is_refused_and_changes_nothing(counter, state) -> None:
    gift = _made(counter, state)
    before, tried = counter.kept(), 0
    for moves in MOVED_BY.values():
        for move in moves - {"voucher"}:
            if (state, Move(move)) in TRANSITIONS:
                continue
            answer = counter.move(gift, move)
            never_heard = state in UNSENT and move in MOVED_BY[Scope.GIFTS_ANSWER]
            expected = (404, "NOT_FOUND") if never_heard else (409, "MOVE_REFUSED")
            assert (answer.status_code, answer.get_json(force=True)["code"]) == expected, move
            tried += 1
    if (state, Move.EXPIRE) not in TRANSITIONS:
        counter.at += 400 * DAY
        counter.sweep()
    else:
        counter.sweep()
    assert counter.kept() == before
    lawful = sum(a is state and move is not Move.EXPIRE for a, move in TRANSITIONS)
    assert tried == 7 - lawful


def test_each_route_opens_to_its_own_scope_only(counter) -> None:
    gift = counter.send()
    for scope, moves in MOVED_BY.items():
        others = counter.bearer(*(set(Scope) - {scope, Scope.ADMIN}))
        for move in moves:
            answer = counter.move(gift, move, auth=others)
            assert answer.status_code == 403
            assert str(scope) in answer.get_json(force=True)["detail"]
        # With it, the answer is about the gift.
        for move in moves - {"accept", "decline", "swap"}:
            answer = counter.move(gift, move, auth=counter.bearer(scope))
            assert answer.status_code == 409


def test_each_side_has_its_own_view_of_an_accepted_gift(counter) -> None:
    gift = counter.send()
    answer = counter.done(gift, "accept", address="1 Plum Lane\n2nd floor")
    theirs, mine = counter.view(gift, "recipient"), counter.view(gift, "sender")
    assert answer == theirs
    assert (theirs["address"], theirs["price_fen"]) == ("1 Plum Lane\n2nd floor", None)
    assert (mine["address"], mine["price_fen"]) == (None, 900)
    assert mine["state"] == theirs["state"] == "accepted"
    handed = counter.done(gift, "redeem")
    assert (handed["state"], handed["address"], handed["price_fen"]) == ("redeemed", None, None)


def test_recipient_has_never_heard_of_a_gift_that_was_not_sent(counter) -> None:
    held, cancelled = counter.send("watch"), counter.send("watch")
    counter.done(cancelled, "reject")
    for gift, state in ((held, "held"), (cancelled, "cancelled")):
        assert counter.view(gift, "recipient")["code"] == "NOT_FOUND"
        mine = counter.view(gift, "sender")
        assert (mine["state"], mine["sent_at"], mine["answer_by"]) == (state, None, None)
        # Nor does a refused answer say more than of an id that nobody ever gave.
        for move in ("accept", "decline", "swap", "voucher"):
            told, of_none = (
                counter.move(one, move).get_json(force=True) for one in (gift, "gift_nowhere")
            )
            del told["instance"], of_none["instance"]
            assert (told, told["status"]) == (of_none, 404)


def test_declined_gift_looks_to_its_sender_sent_and_then_expired(counter) -> None:
    declined, ignored = counter.send(), counter.send()
    counter.done(declined, "decline")
    assert counter.view(declined, "recipient")["state"] == "declined"
    sent_at = counter.at
    for at, state in (
        (sent_at + HOUR, "sent"),
        (sent_at + ACCEPT_WITHIN - 1, "sent"),
        (sent_at + ACCEPT_WITHIN, "expired"),
        (sent_at + 9 * DAY, "expired"),
    ):
        for swept in (False, True):
            counter.at = at
            if swept:
                counter.sweep()
            views = [counter.view(gift, "sender") for gift in (declined, ignored)]
            assert views[0].pop("gift") != views[1].pop("gift")
            assert views[0] == views[1]
            assert views[0]["state"] == state
    assert counter.view(declined, "recipient")["state"] == "declined"
    assert counter.view(ignored, "recipient")["state"] == "expired"


@pytest.mark.parametrize("move", ["accept", "decline", "swap"])
def test_answer_that_waits_until_the_sender_was_told_of_an_expiry_is_refused(
    counter, monkeypatch, move
) -> None:
    gift, seen = counter.send(), []
    before, due, lock = counter.kept(), counter.at + ACCEPT_WITHIN, gifts.lock

    def late(unit, asked):
        """Wait for the gift until its 24 hours are over, and let the sender look at it."""
        counter.at = due
        seen.append(counter.view(gift, "sender")["state"])
        return lock(unit, asked)

    counter.at = due - 1
    monkeypatch.setattr(gifts, "lock", late)
    answer = counter.move(gift, move)
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (409, "MOVE_REFUSED")
    assert seen == ["expired"]
    assert counter.kept() == before


def test_voucher_that_ends_while_its_move_waits_opens_nothing(counter, monkeypatch) -> None:
    gift = counter.send("coffee")
    counter.done(gift, "accept")
    code = counter.done(gift, "voucher")["code"]
    end, lock = counter.at + DAY, gifts.lock
    with counter.database.writing() as unit:
        unit.execute(tables.gifts.update().values(due_at=end))

    def late(unit, asked):
        counter.at = end
        return lock(unit, asked)

    monkeypatch.setattr(gifts, "lock", late)
    for move, body in (("redeem", {"code": code}), ("voucher", {})):
        counter.at = end - 1
        assert counter.move(gift, move, **body).get_json(force=True)["code"] == "MOVE_REFUSED"


def test_view_says_until_when_it_can_be_answered(counter) -> None:
    gift = counter.send()
    by = format_time(counter.at + ACCEPT_WITHIN)
    assert counter.view(gift, "recipient")["answer_by"] == by
    counter.done(gift, "accept")
    assert counter.view(gift, "recipient")["answer_by"] is None


def test_answer_for_somebody_else_is_404_and_says_no_more_than_for_no_gift(counter) -> None:
    gift = counter.send()
    counter.done(gift, "accept")
    for move in ("accept", "decline", "swap", "voucher"):
        told = {
            (answer.status_code, answer.get_json(force=True)["detail"])
            for answer in (
                counter.move(gift, move, person="an"),
                counter.move(gift, move, person="nobody"),
                counter.move("gift_nowhere", move),
            )
        }
        assert told == {(404, "no such gift")}


def test_swap_answers_with_the_codes_of_its_refusals(counter) -> None:
    gift = counter.send()
    assert counter.move(gift, "swap", item="watch").get_json(force=True)["code"] == "PRICE_DIFFERS"
    with counter.database.writing() as unit:
        unit.exec_driver_sql("UPDATE items SET stock = 0 WHERE item = 'tart'")
    refused = counter.move(gift, "swap")
    assert (refused.status_code, refused.get_json(force=True)["code"]) == (409, "SWAP_REFUSED")
    assert counter.move(gift, "swap", item="nowhere").status_code == 404
    swapped = counter.done(gift, "swap", item="coffee")
    assert (swapped["item"], swapped["state"], swapped["price_fen"]) == ("coffee", "sent", None)


def test_voucher_is_shown_once_and_redeemed_once_under_16_clients(counter) -> None:
    gift = counter.send("coffee")
    counter.done(gift, "accept")
    void = counter.done(gift, "voucher")["code"]
    code = counter.done(gift, "voucher")["code"]
    assert code != void
    assert counter.move(gift, "redeem", code=void).status_code == 409
    app = create_app(Settings(), counter.service)

    def redeem(_: int) -> int:
        route = f"/v1/gifts/{gift}:redeem"
        answer = app.test_client().post(route, json={"code": code}, headers=counter.everything)
        return answer.status_code

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(redeem, range(16))) == [200] + [409] * 15
    assert "redeemed" in counter.move(gift, "voucher").get_json(force=True)["detail"]


def test_code_that_does_not_open_gets_one_answer_whatever_is_wrong_with_it(counter) -> None:
    gift, other = counter.send("coffee"), counter.send("coffee")
    for one in (gift, other):
        counter.done(one, "accept")
    void = counter.done(gift, "voucher")["code"]
    code = counter.done(gift, "voucher")["code"]
    foreign = counter.done(other, "voucher")["code"]
    answers = []
    for tried in (void, foreign, code[:-1], "x", "ÿ" * 128, None):
        answer = counter.move(gift, "redeem", code=tried)
        body = answer.get_json(force=True)
        body.pop("instance")
        answers.append((answer.status_code, sorted(body.items())))
    assert answers == [answers[0]] * len(answers)
    assert answers[0][0] == 409
    assert dict(answers[0][1])["code"] == "CODE_REFUSED"
    assert dict(answers[0][1])["hint"]


def test_retry_with_its_key_is_word_for_word_the_same_and_another_request_409(counter) -> None:
    gift = counter.send()
    first = counter.move(gift, "swap", key="k")
    counter.done(gift, "accept")
    retry = counter.move(gift, "swap", key="k")
    assert (retry.status_code, retry.get_data()) == (200, first.get_data())
    for move, told in (("swap", {"item": "coffee"}), ("accept", {}), ("refund", {})):
        answer = counter.move(gift, move, key="k", **told)
        assert answer.get_json(force=True)["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert counter.move(gift, "swap").status_code == 409
    # Just within the time that a key is remembered the gift itself is long over.
    counter.at += ACCEPT_WITHIN - 1
    assert counter.move(gift, "swap", key="k").get_data() == first.get_data()


def test_key_of_one_gifts_move_is_no_key_for_another_gift_or_move(counter) -> None:
    gift, other = counter.send(), counter.send()
    counter.move(gift, "accept", key="k")
    before = counter.kept()
    for asked, move in ((other, "accept"), (other, "decline"), (gift, "decline")):
        answer = counter.move(asked, move, key="k")
        assert answer.get_json(force=True)["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert counter.kept() == before


@pytest.mark.parametrize(
    ("move", "body"),
    [
        ("accept", {}),
        ("accept", {"person": "bo", "address": ""}),
        ("accept", {"person": "bo", "address": "x" * 513}),
        ("accept", {"person": "bo", "address": "a\u0000b"}),
        ("decline", {"person": "bo", "why": "dislike"}),
        ("swap", {"person": "bo"}),
        ("redeem", {"code": 1}),
        ("redeem", {"code": "x" * 129}),
        ("voucher", {"person": 7}),
    ],
)
def test_malformed_move_is_422_and_changes_nothing(counter, move, body) -> None:
    gift = counter.send()
    before = counter.kept()
    route = f"/v1/gifts/{gift}:{move}"
    answer = counter.client.post(route, json=body, headers=counter.everything)
    assert answer.status_code == 422
    assert counter.kept() == before
