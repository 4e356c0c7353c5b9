"""The whole life of gifts, step by step beside a plain model of what should be true."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, insert, select, text, update

from engine.domain.clock import DAY, HOUR, SECOND
from engine.domain.errors import (
    CodeRefused,
    Conflict,
    IdempotencyConflict,
    LishangError,
    MoveRefused,
    PriceDiffers,
    SwapRefused,
    UnknownReference,
)
from engine.domain.gift_life import state_for_recipient, state_for_sender
from engine.domain.gifts import GiftRequest, Relation
from engine.domain.pair_state import DEFAULT_LAYOUT, Kind, from_bytes
from engine.gift_policy import GiftPolicy
from engine.gift_terms import GiftTerms
from engine.gifting import GiftAnswer, Gifting
from engine.ledger import gifts, tables, ties
from engine.ledger.audit import audit
from engine.ledger.database import Database
from engine.ledger.facts import pair_subject
from engine.ledger.idempotency import RequestKey
from engine.ledger.keys import ApiKey, Scope
from engine.moving import Moving
from engine.policy.engine import PolicyEngine
from engine.reviewing import Reviewing
from engine.swapping import Swapping

SHIPPED = Path(__file__).parents[2] / "rules"
BEGIN = 20_500 * DAY + 4 * HOUR
"""Noon in Shanghai, where everybody lives."""
PEOPLE = ("an", "bo", "cy")
REVIEWER = ApiKey("key-r", "rita", frozenset({Scope.GIFTS_REVIEW}), 0, None, None)

SENDER_GIFTS, PAIR_GIFTS, RECIPIENT_GIFTS, SENDER_FEN, HELD_FEN = 5, 3, 4, 12_000, 3_001
VOUCHER_DAYS = 3
UNHEARD = {"held", "cancelled"}
"""States of which the recipient never heard."""

# price, kind, stock, brand, creator, owner of the name on it
ITEMS = {
    "coffee": (999, "voucher", None, "bean", None, None),
    "tea": (999, "voucher", 2, "leaf", None, None),
    "cake": (999, "cake", 3, None, None, None),
    "badge": (999, "badge", None, None, "cy", None),
    "edition": (2_001, "edition", 2, "bean", None, "studio"),
    "watch": (HELD_FEN, "watch", 2, "tick", None, None),
    "clock": (HELD_FEN, "watch", None, "tick", None, None),
}

SKUS = sorted(ITEMS)


def _pack() -> str:
    caps = (
        ("sender.day_gifts_after", SENDER_GIFTS),
        ("pair.day_gifts_after", PAIR_GIFTS),
        ("recipient.day_gifts_after", RECIPIENT_GIFTS),
        ("sender.day_fen_after", SENDER_FEN),
    )
    rules = [(f"{fact} > {most}", "deny", "DAILY_CAP_REACHED") for fact, most in caps]
    rules.append(("!gift.in_stock || !gift.on_sale", "deny", "ITEM_UNAVAILABLE"))
    rules.append((f"gift.price_fen >= {HELD_FEN}", "review", "HELD_FOR_REVIEW"))
    return (
        "pack: gift_send\ndecides: gift_send\nversion: 1\nowner: tests\njurisdiction: CN\n"
        "effective: {from: 2020-01-01T00:00:00+08:00}\nrules:\n"
        + "".join(
            f"  - {{id: r{n}, description: A rule., when: '{when}', then: {then}, reason: {why},"
            " cite: {source: ours, verified: false}, examples: []}\n"
            for n, (when, then, why) in enumerate(rules)
        )
    )


@dataclass
class Known:
    """A gift as the model has it."""

    gift: str
    sender: str
    recipient: str
    item: str
    relation: Relation
    state: str
    days: int
    """The local day whose counters it counts in."""
    at: int
    """When it was sent; while it is held, when it was asked for."""
    due: int | None = None
    swept: bool = False
    captured: bool = False
    code: str | None = None
    events: list[tuple[str, str | None, int]] = field(default_factory=list)
    """Kind, payment action and its fen."""

    @property
    def price(self) -> int:
        return ITEMS[self.item][0]

    @property
    def tax(self) -> int:
        return self.price // 5 if self.relation is Relation.COMPANY else 0

    @property
    def is_voucher(self) -> bool:
        return ITEMS[self.item][1] == "voucher"

    @property
    def counts(self) -> bool:
        """Whether it takes up a place in the day's counters."""
        return self.state not in {"cancelled", "expired"} and not self.swept

    @property
    def holds_stock(self) -> bool:
        return self.counts and self.state != "refunded"

    def told(self, kind: str, action: str | None = None) -> None:
        fen = self.price + (self.tax if self.captured else 0)
        self.events.append((f"gift.{kind}", action, fen if action else 0))

    def capture(self) -> str:
        self.captured = True
        return "capture"

    def release(self) -> str:
        return "refund" if self.captured else "release"

    def seen_by_sender(self, at: int) -> str:
        if self.state in {"sent", "declined"}:
            return "expired" if self.swept or at >= self.at + 24 * HOUR else "sent"
        return self.state

    def seen_by_recipient(self, at: int) -> str:
        return "expired" if self.state == "sent" and at >= self.at + 24 * HOUR else self.state

    def shares(self) -> dict[tuple[str, str], int]:
        """What lies where of its money now."""
        if self.state in {"cancelled", "expired", "refunded"} or self.swept:
            return {}
        if not self.captured:
            return {("payer", self.sender): -self.price, ("escrow", self.gift): self.price}
        price, kind, _, brand, creator, owner = ITEMS[self.item]
        to: Counter[tuple[str, str]] = Counter()
        to["payer", self.sender] -= price + self.tax
        to["tax", self.recipient] += self.tax
        percent = 30 if creator else 20 if kind == "voucher" and brand else 25
        platform = price * percent // 100
        owners = price // 10 if owner and kind == "edition" else 0
        to["platform", ""] += platform
        if owner:
            to["ip_owner", owner] += owners
        supplier = ("brand", brand) if brand else ("creator", creator) if creator else None
        to[supplier or ("platform", "")] += price - platform - owners
        return dict(to)


def _day(at: int) -> int:
    # Day numbers of datetime.date for Shanghai, eight hours ahead all year.
    return (at + 8 * HOUR) // DAY + 719_163


_SELDOM = st.integers(0, 11).map(lambda n: n == 11)
_MOVES = ("review", "accept", "decline", "swap", "voucher", "redeem", "refund")


class Life(RuleBasedStateMachine):
    """One ledger and its model, moved together."""

    database: Database
    policy: PolicyEngine

    def __init__(self) -> None:
        super().__init__()
        gift_policy, terms = GiftPolicy(self.policy, _NoModels()), GiftTerms(self.policy)
        self.gifting = Gifting(self.database, gift_policy, terms)
        self.moving = Moving(self.database)
        self.swapping = Swapping(self.database, gift_policy, terms)
        self.reviewing = Reviewing(self.database, gift_policy)
        self.at = BEGIN
        self.known: list[Known] = []
        self.off_sale: set[str] = set()
        self.sendings: list[tuple[GiftRequest, str, RequestKey, int, GiftAnswer]] = []
        self.keys = 0
        self.chosen: Known | None = None

    @initialize()
    def begin(self) -> None:
        with self.database.writing() as unit:
            for table in reversed(tables.metadata.sorted_tables):
                unit.execute(delete(table))
            for item, (price, kind, stock, brand, creator, owner) in ITEMS.items():
                unit.execute(
                    insert(tables.items).values(
                        item=item,
                        name=item,
                        price_fen=price,
                        tier="goods",
                        category="things",
                        kind=kind,
                        mechanics="direct",
                        relations="friend,creator,company",
                        scenes="chat",
                        brand=brand,
                        creator=creator,
                        stock=stock,
                        ip_owner=owner,
                        recorded_at=0,
                    )
                )
        for item, relation in (("coffee", Relation.FRIEND), ("watch", Relation.COMPANY)):
            self.send(sender="an", recipient="bo", item=item, relation=relation)

    # What is done

    @rule(
        sender=st.sampled_from(PEOPLE),
        recipient=st.sampled_from(PEOPLE),
        item=st.sampled_from(SKUS),
        relation=st.sampled_from([Relation.FRIEND, *Relation]),
    )
    def send(self, sender: str, recipient: str, item: str, relation: Relation) -> None:
        request = GiftRequest(sender, recipient, item, relation)
        key, payment = self._key(), f"pay-{self.keys}"
        expected = self._verdict(sender, recipient, item, _day(self.at))
        answer = self.gifting.send(request, "none", payment, key, self.at)
        assert answer.effect.value == expected
        self.sendings.append((request, payment, key, self.at, answer))
        if expected == "deny":
            assert answer.gift is None
            return
        assert answer.gift is not None
        state = "held" if expected == "review" else "sent"
        made = Known(answer.gift, sender, recipient, item, relation, state, _day(self.at), self.at)
        made.due = None if state == "held" else self.at + 24 * HOUR
        made.told(state)
        self.known.append(made)

    @precondition(lambda self: self.sendings)
    @rule(pick=st.integers(0, 1_000), other=st.sampled_from(["same", "body", "payment"]))
    def send_again(self, pick: int, other: str) -> None:
        request, payment, key, at, answer = self.sendings[pick % len(self.sendings)]
        if other == "payment":
            if answer.gift is None:
                return
            # A payment pays once, whatever the key, unless the gift would be denied anyway.
            verdict = self._verdict(request.sender, request.recipient, request.item, _day(self.at))
            if verdict != "deny":
                with pytest.raises(Conflict):
                    self.gifting.send(request, "none", payment, self._key(), self.at)
        elif self.at - at < 24 * HOUR:
            if other == "same":
                assert self.gifting.send(request, "none", payment, key, self.at) == answer
            else:
                changed = RequestKey(key.key_id, key.idempotency_key, "another body")
                with pytest.raises(IdempotencyConflict):
                    self.gifting.send(request, "none", payment, changed, self.at)

    @precondition(lambda self: self._has("held"))
    @rule(pick=st.integers(0, 1_000), approve=st.booleans())
    def review(self, pick: int, approve: bool) -> None:
        one = self._pick(pick, "held")
        key, expected = self._key(), None if one.state == "held" else MoveRefused
        told = self._try(
            expected, lambda: self.reviewing.decide(one.gift, approve, REVIEWER, key, self.at)
        )
        if told is None:
            return
        verdict = self._verdict(one.sender, one.recipient, one.item, one.days, one)
        when = max(self.at, one.at)
        if approve and verdict != "deny":
            one.state, one.at, one.due = "sent", when, when + 24 * HOUR
            one.told("review_decided")
            one.told("sent")
        else:
            one.told("review_decided", "release")
            one.state = "cancelled"
        again = self.reviewing.decide(one.gift, approve, REVIEWER, key, self.at)
        assert again.gift == told.gift

    @precondition(lambda self: self._has("sent"))
    @rule(
        pick=st.integers(0, 1_000),
        stranger=_SELDOM,
        keyed=st.booleans(),
    )
    def accept(self, pick: int, stranger: bool, keyed: bool) -> None:
        one = self._pick(pick, "sent")
        person = self._person(one, stranger)
        key = self._key() if keyed else None
        expected = self._answering(one, stranger)
        told = self._try(
            expected, lambda: self.moving.accept(one.gift, person, "Street 1", key, self.at)
        )
        if told is None:
            return
        when = max(self.at, one.at)
        one.state = "accepted"
        one.due = when + VOUCHER_DAYS * DAY if one.is_voucher else None
        one.told("accepted", None if one.is_voucher else one.capture())
        self._again(
            key, told, lambda: self.moving.accept(one.gift, person, "Street 1", key, self.at)
        )

    @precondition(lambda self: self._has("sent"))
    @rule(pick=st.integers(0, 1_000), stranger=_SELDOM, keyed=st.booleans())
    def decline(self, pick: int, stranger: bool, keyed: bool) -> None:
        one = self._pick(pick, "sent")
        person = self._person(one, stranger)
        key = self._key() if keyed else None
        expected = self._answering(one, stranger)
        told = self._try(expected, lambda: self.moving.decline(one.gift, person, key, self.at))
        if told is None:
            return
        one.state = "declined"
        self._again(key, told, lambda: self.moving.decline(one.gift, person, key, self.at))

    @precondition(lambda self: self._has("sent"))
    @rule(
        pick=st.integers(0, 1_000),
        item=st.sampled_from(SKUS),
        stranger=_SELDOM,
        keyed=st.booleans(),
    )
    def swap(self, pick: int, item: str, stranger: bool, keyed: bool) -> None:
        one = self._pick(pick, "sent")
        person = self._person(one, stranger)
        key = self._key() if keyed else None
        expected: type[LishangError] | None = self._answering(one, stranger)
        if expected is None and item == one.item:
            expected = Conflict
        elif expected is None and ITEMS[item][0] != one.price:
            expected = PriceDiffers
        elif expected is None:
            verdict = self._verdict(one.sender, one.recipient, item, one.days, one)
            expected = None if verdict == "allow" else SwapRefused

        def swapping() -> object:
            return self.swapping.swap(one.gift, person, item, key, self.at)

        told = self._try(expected, swapping)
        if expected is SwapRefused and key is not None:
            self._try(SwapRefused, swapping)
        if told is not None:
            one.item = item
            one.told("swapped")
            self._again(key, told, swapping)

    @precondition(lambda self: self._has("accepted"))
    @rule(pick=st.integers(0, 1_000), stranger=_SELDOM)
    def voucher(self, pick: int, stranger: bool) -> None:
        one = self._pick(pick, "accepted")
        person = self._person(one, stranger)
        expected: type[LishangError] | None = None
        if stranger or one.state in UNHEARD:
            expected = UnknownReference
        elif not one.is_voucher or one.state != "accepted" or self._ended(one):
            expected = MoveRefused
        code = self._try(expected, lambda: self.moving.issue_voucher(one.gift, person, self.at))
        one.code = str(code) if code is not None else one.code

    @precondition(lambda self: self._has("accepted"))
    @rule(
        pick=st.integers(0, 1_000),
        wrong=_SELDOM,
        keyed=st.booleans(),
    )
    def redeem(self, pick: int, wrong: bool, keyed: bool) -> None:
        one = self._pick(pick, "accepted")
        code = "0000-0000" if wrong else one.code
        key = self._key() if keyed else None
        expected: type[LishangError] | None = None
        if one.state != "accepted" or self._ended(one):
            expected = MoveRefused
        elif (one.is_voucher and code is None) or wrong:
            expected = CodeRefused
        told = self._try(expected, lambda: self.moving.redeem(one.gift, code, key, self.at))
        if told is None:
            return
        one.state, one.due = "redeemed", None
        one.told("redeemed", one.capture() if one.is_voucher else None)
        self._again(key, told, lambda: self.moving.redeem(one.gift, code, key, self.at))

    @precondition(lambda self: self._has("accepted"))
    @rule(pick=st.integers(0, 1_000), keyed=st.booleans())
    def refund(self, pick: int, keyed: bool) -> None:
        one = self._pick(pick, "accepted")
        key = self._key() if keyed else None
        expected = None if one.state == "accepted" else MoveRefused
        told = self._try(expected, lambda: self.moving.refund(one.gift, key, self.at))
        if told is None:
            return
        self._refunded(one)
        self._again(key, told, lambda: self.moving.refund(one.gift, key, self.at))

    @precondition(lambda self: self.known)
    @rule(pick=st.integers(0, 1_000), order=st.permutations(_MOVES), item=st.sampled_from(SKUS))
    def everything_at_once(self, pick: int, order: list[str], item: str) -> None:
        """Try every move on one gift, lawful or not."""
        self.chosen = self.known[pick % len(self.known)]
        more = {
            "review": {"approve": pick % 2 == 0},
            "accept": {"stranger": False, "keyed": True},
            "decline": {"stranger": False, "keyed": True},
            "swap": {"item": item, "stranger": False, "keyed": True},
            "voucher": {"stranger": False},
            "redeem": {"wrong": False, "keyed": True},
            "refund": {"keyed": True},
        }
        for move in order:
            getattr(self, move)(pick=0, **more[move])
        self.chosen = None

    @rule(item=st.sampled_from(["watch", "tea"]))
    def change_sale(self, item: str) -> None:
        self.off_sale ^= {item}
        end = 0 if item in self.off_sale else None
        with self.database.writing() as unit:
            unit.execute(
                update(tables.items).where(tables.items.c.item == item).values(sale_until=end)
            )

    @rule(minutes=st.sampled_from([1, 60, 23 * 60, 24 * 60, 80 * 60, -60]))
    def time_passes(self, minutes: int) -> None:
        self.at += minutes * 60 * SECOND

    @rule()
    def sweep(self) -> None:
        due = [one for one in self.known if one.due is not None and one.due <= self.at]
        assert self.moving.expire_due(self.at) == len(due)
        for one in due:
            one.due = None
            if one.state == "accepted":
                self._refunded(one)
            else:
                one.told("expired", "release")
                one.swept = one.state == "declined"
                one.state = "declined" if one.swept else "expired"

    # What must be true

    @invariant()
    def gifts_stand_as_they_should(self) -> None:
        for one in self.known:
            found = self.gifting.find(one.gift)
            assert found is not None
            assert (found.state, found.item, found.due_at) == (one.state, one.item, one.due)
            assert (found.occurred_at, found.price_fen) == (one.at, one.price)
            assert state_for_sender(found, self.at) == one.seen_by_sender(self.at)
            assert state_for_recipient(found, self.at) == one.seen_by_recipient(self.at)
        with self.database.reading() as unit:
            assert unit.execute(text("SELECT count(*) FROM gifts")).scalar() == len(self.known)
            held = {one.gift for one in gifts.held(unit, None, 1_000)}
        assert held == {one.gift for one in self.known if one.state == "held"}

    @invariant()
    def money_lies_where_it_should(self) -> None:
        expected: Counter[tuple[str, str]] = Counter()
        for one in self.known:
            for place, fen in one.shares().items():
                expected[place] += fen
        with self.database.reading() as unit:
            rows = unit.execute(
                text("SELECT account, holder, sum(fen) FROM postings GROUP BY account, holder")
            ).all()
        kept = {(row[0], row[1]): int(row[2]) for row in rows}
        assert {k: v for k, v in kept.items() if v} == {k: v for k, v in expected.items() if v}

    @invariant()
    def counters_and_stock_are_what_the_gifts_take_up(self) -> None:
        expected: Counter[tuple[str, str, int]] = Counter()
        fen: Counter[tuple[str, str, int]] = Counter()
        for one in self.known:
            if one.counts:
                places = [
                    ("sender", one.sender, one.days),
                    ("pair", pair_subject(one.sender, one.recipient), one.days),
                ]
                if one.relation is not Relation.CREATOR:
                    places.append(("recipient", one.recipient, one.days))
                for place in places:
                    expected[place] += 1
                    fen[place] += one.price
        with self.database.reading() as unit:
            counted = unit.execute(select(tables.counters)).all()
            items = unit.execute(select(tables.items)).all()
        kept = {(c.scope, c.subject, c.day): (c.gifts, c.fen) for c in counted}
        assert {k: v for k, v in kept.items() if v != (0, 0)} == {
            place: (expected[place], fen[place]) for place in expected
        }
        for item in items:
            stock = ITEMS[item.item][2]
            if stock is not None:
                taken = sum(one.holds_stock for one in self.known if one.item == item.item)
                assert (item.stock, item.stock_taken) == (stock - taken, taken)

    @invariant()
    def callers_were_told_of_everything_once_and_in_order(self) -> None:
        with self.database.reading() as unit:
            rows = unit.execute(text("SELECT gift, number, body FROM outbox ORDER BY seq")).all()
        told: dict[str, list[tuple[str, str | None, int]]] = {}
        for gift, number, body in rows:
            event = orjson.loads(body)
            payment = event["payment"] or {"action": None, "fen": 0}
            told.setdefault(gift, []).append((event["kind"], payment["action"], payment["fen"]))
            assert number == len(told[gift])
        assert told == {one.gift: one.events for one in self.known}

    @invariant()
    def ties_are_what_the_log_says(self) -> None:
        expected: Counter[tuple[str, str, Kind]] = Counter()
        for one in self.known:
            if one.state not in {"held", "cancelled"}:
                expected[one.sender, one.recipient, Kind.GIFT] += 1
            if one.state in {"accepted", "redeemed"}:
                expected[one.recipient, one.sender, Kind.ACCEPTED] += 1
        kept = self._ties()
        pairs = set(kept)
        with self.database.writing() as unit, unit.begin_nested() as savepoint:
            ties.rebuild_ties(unit, pairs)
            rows = unit.execute(select(tables.ties)).all()
            savepoint.rollback()
        for row in rows:
            stored = kept[row.sender, row.recipient]
            rebuilt = from_bytes(DEFAULT_LAYOUT, row.state)
            np.testing.assert_allclose(stored, rebuilt, rtol=1e-9, atol=1e-9)
            for kind in (Kind.GIFT, Kind.ACCEPTED):
                assert stored[DEFAULT_LAYOUT.counts][kind] == expected.pop(
                    (row.sender, row.recipient, kind), 0
                )
        assert not expected

    def teardown(self) -> None:
        self.gifting.log.close()
        with self.database.reading(snapshot=True) as unit:
            proved = audit(unit, self.at)
        assert proved.clean, proved

    # Steps of the model

    def _verdict(
        self, sender: str, recipient: str, item: str, day: int, without: Known | None = None
    ) -> str:
        others = [one for one in self.known if one is not without]
        counted = [one for one in others if one.counts and one.days == day]
        mine = [one for one in counted if one.sender == sender]
        pair = [one for one in mine if one.recipient == recipient]
        theirs = [
            one
            for one in counted
            if one.recipient == recipient and one.relation is not Relation.CREATOR
        ]
        price, _, stock, *_ = ITEMS[item]
        left = (
            None if stock is None else stock - sum(o.holds_stock for o in others if o.item == item)
        )
        if (
            len(mine) >= SENDER_GIFTS
            or len(pair) >= PAIR_GIFTS
            or len(theirs) >= RECIPIENT_GIFTS
            or sum(one.price for one in mine) + price > SENDER_FEN
            or left == 0
            or item in self.off_sale
        ):
            return "deny"
        return "review" if price >= HELD_FEN else "allow"

    def _answering(self, one: Known, stranger: bool) -> type[LishangError] | None:
        if stranger or one.state in UNHEARD:
            return UnknownReference
        open_still = one.state == "sent" and self.at < one.at + 24 * HOUR
        return None if open_still else MoveRefused

    def _refunded(self, one: Known) -> None:
        one.told("refunded", one.release())
        one.state, one.due = "refunded", None

    def _ended(self, one: Known) -> bool:
        return one.state == "accepted" and one.due is not None and self.at >= one.due

    def _pick(self, pick: int, state: str) -> Known:
        """Return a gift in `state`, or the one that is moved whatever its state."""
        if self.chosen is not None:
            return self.chosen
        fitting = [one for one in self.known if one.state == state]
        return fitting[pick % len(fitting)]

    def _has(self, state: str) -> bool:
        return any(one.state == state for one in self.known)

    @staticmethod
    def _person(one: Known, stranger: bool) -> str:
        return "zoe" if stranger else one.recipient

    def _key(self) -> RequestKey:
        self.keys += 1
        return RequestKey("service", f"key-{self.keys}", "the body")

    @staticmethod
    def _try(expected, act):
        """Return what `act` gives; None where it is refused as it should be."""
        if expected is None:
            return act()
        with pytest.raises(expected) as refused:
            act()
        assert type(refused.value) is expected
        return None

    @staticmethod
    def _again(key, told, act) -> None:
        """A retry with the key gets the same answer; without one it is a second move."""
        if key is not None:
            assert act() == told
        else:
            with pytest.raises(Conflict):
                act()

    def _ties(self):
        with self.database.reading() as unit:
            rows = unit.execute(select(tables.ties)).all()
        return {(r.sender, r.recipient): from_bytes(DEFAULT_LAYOUT, r.state) for r in rows}


class _NoModels:
    """A service before its first training."""

    ties = gifts = offers = None


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PolicyEngine]:
    folder = tmp_path_factory.mktemp("rules")
    shutil.copy(SHIPPED / "reasons.yaml", folder)
    (folder / "gift_send.yaml").write_text(_pack(), encoding="utf-8")
    settle = (SHIPPED / "gift_settle.yaml").read_text(encoding="utf-8")
    ends = (
        "\n  - {id: voucher_ends, description: A voucher ends., when: gift.kind == 'voucher',"
        f" then: {{set: {{settle.voucher_days: {VOUCHER_DAYS}}}}},"
        " cite: {source: ours, verified: false}, examples: []}\n"
    )
    (folder / "gift_settle.yaml").write_text(settle.rstrip() + ends, encoding="utf-8")
    engine = PolicyEngine.from_folder(folder)
    yield engine
    engine.close()


def _live(database: Database, policy: PolicyEngine, examples: int, steps: int) -> None:
    machine = type("LifeHere", (Life,), {"database": database, "policy": policy})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_life_of_gifts_agrees_with_a_plain_model(sqlite_database, policy) -> None:
    _live(sqlite_database, policy, examples=15, steps=50)


@pytest.mark.slow
def test_life_of_gifts_agrees_with_a_plain_model_for_long(database, policy) -> None:
    _live(database, policy, examples=200, steps=60)
