"""Gifts answered, redeemed, refunded and ended, on both databases, with the real rules."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import select

from engine.domain.clock import DAY, HOUR
from engine.domain.errors import (
    CodeRefused,
    Conflict,
    IdempotencyConflict,
    LishangError,
    MoveRefused,
    UnknownReference,
)
from engine.domain.gift_life import (
    ACCEPT_WITHIN,
    Move,
    moved,
    state_for_recipient,
    state_for_sender,
)
from engine.domain.gifts import GiftState, Relation, Scene
from engine.domain.pair_state import DEFAULT_LAYOUT, Kind
from engine.ledger import outbox, tables
from engine.ledger.idempotency import RequestKey
from engine.ledger.vouchers import hash_of
from engine.policy.engine import PolicyEngine

RULES = Path(__file__).parents[2] / "rules"
PAYER = {("payer", "an"): -900}


def _accept(house, gift: str, at: int | None = None, address: str | None = None):
    return house.moving.accept(gift, "bo", address, None, at or house.now + HOUR)


def _accepted_voucher(house) -> str:
    gift = house.send()
    _accept(house, gift)
    return gift


def _together(*jobs: Callable[[], object]) -> list[object]:
    """Run jobs at once; return what each answered or the conflict that it met."""
    barrier = Barrier(len(jobs))

    def run(job: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return job()
        except Conflict as refused:
            return refused

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def test_accept_of_goods_pays_everybody_and_tells_the_caller_to_capture(house) -> None:
    gift = house.send("cake")
    assert house.balances(gift) == {**PAYER, ("escrow", gift): 900}
    accepted = _accept(house, gift, address="1 Plum Lane")
    assert (accepted.state, accepted.address) == (GiftState.ACCEPTED, "1 Plum Lane")
    assert (accepted.outcome_at, accepted.due_at) == (house.now + HOUR, None)
    assert house.find(gift) == accepted
    assert house.balances(gift) == {**PAYER, ("platform", ""): 225, ("brand", "bakery"): 675}
    told = house.events(gift)[-1]
    assert (told["kind"], told["number"], told["state"]) == ("gift.accepted", 2, "accepted")
    payment = {"payment_ref": accepted.payment_ref, "action": "capture", "fen": 900}
    assert told["payment"] == payment


def test_accept_of_a_voucher_pays_nobody_until_it_is_redeemed(house) -> None:
    gift = _accepted_voucher(house)
    assert house.events(gift)[-1]["payment"] is None
    assert house.balances(gift) == {**PAYER, ("escrow", gift): 900}
    code = house.moving.issue_voucher(gift, "bo", house.now + HOUR)
    redeemed = house.moving.redeem(gift, code, None, house.now + 2 * HOUR)
    assert redeemed.state is GiftState.REDEEMED
    assert redeemed.outcome_at == house.now + HOUR
    assert house.balances(gift) == {**PAYER, ("platform", ""): 900}
    assert house.events(gift)[-1]["payment"]["action"] == "capture"


def test_tax_of_a_company_gift_is_captured_with_its_price_and_refunded_with_it(house) -> None:
    house.world.item("hamper", kind="cake", relations="company", scenes="bulk_order")
    told = {"relation": Relation.COMPANY, "scene": Scene.BULK_ORDER}
    gift = house.send("hamper", sender="acme", **told)
    house.reviewing.decide(gift, True, house.reviewer, None, house.now)
    _accept(house, gift)
    assert house.events(gift)[-1]["payment"]["fen"] == 1_080
    assert house.balances(gift)["tax", "bo"] == 180
    house.moving.refund(gift, None, house.now + 2 * HOUR)
    payment = house.events(gift)[-1]["payment"]
    assert (payment["action"], payment["fen"]) == ("refund", 1_080)
    assert house.balances(gift) == {}


def test_declined_gift_is_to_its_sender_what_an_unanswered_one_is_at_every_instant(house) -> None:
    house.world.befriend("an", "cy")
    house.world.item("limited", kind="cake", stock=5)
    declined = house.send("limited", recipient="bo")
    ignored = house.send("limited", recipient="cy")
    before = house.counted("sender")
    house.moving.decline(declined, "bo", None, house.now + HOUR)
    assert state_for_recipient(house.find(declined), house.now + HOUR) is GiftState.DECLINED
    due = house.now + ACCEPT_WITHIN
    for at in (house.now + HOUR, due - 1):
        assert house.moving.expire_due(at) == 0
        assert house.counted("sender") == before
        assert house.stock("limited") == (3, 2)
        assert house.kinds(declined) == house.kinds(ignored) == ["sent"]
        for gift in (declined, ignored):
            assert state_for_sender(house.find(gift), at) is GiftState.SENT
    assert house.moving.expire_due(due + HOUR) == 2
    assert house.counted("sender") == [(0, 0)]
    assert house.counted("pair") == house.counted("recipient") == [(0, 0), (0, 0)]
    assert house.stock("limited") == (5, 0)
    told = []
    for gift, recipient in ((declined, "bo"), (ignored, "cy")):
        assert house.balances(gift) == {}
        # Even after the clock was set back to before the instant.
        for at in (due - HOUR, due, due + HOUR):
            if at >= due or gift == declined:
                assert state_for_sender(house.find(gift), at) is GiftState.EXPIRED
        event = house.events(gift)[-1]
        assert event["payment"].pop("payment_ref") == house.find(gift).payment_ref
        assert (event.pop("gift"), event.pop("recipient")) == (gift, recipient)
        told.append(event)
    assert told[0] == told[1]
    with house.database.reading() as unit:
        undone = select(tables.postings.c.occurred_at).where(tables.postings.c.kind == "reversal")
        assert set(unit.execute(undone).scalars()) == {due}
    assert (told[0]["occurred_at"], told[0]["state"]) == (due, "expired")
    assert told[0]["payment"] == {"action": "release", "fen": 900}
    assert house.find(ignored).outcome_at == due
    assert house.find(declined).outcome_at == house.now + HOUR
    assert house.moving.expire_due(due + DAY) == 0


def test_refusals_name_no_decline_to_whoever_acts_for_the_sender(house) -> None:
    house.world.befriend("an", "cy")
    declined, ignored = house.send(), house.send(recipient="cy")
    house.moving.decline(declined, "bo", None, house.now)
    for swept in (False, True):
        for at in (house.now + HOUR, house.now + ACCEPT_WITHIN):
            if swept and at < house.now + ACCEPT_WITHIN:
                continue
            told = set()
            for gift in (declined, ignored):
                for move in (
                    lambda gift=gift, at=at: house.moving.refund(gift, None, at),
                    lambda gift=gift, at=at: house.moving.redeem(gift, "x", None, at),
                    lambda gift=gift, at=at: house.reviewing.decide(
                        gift, True, house.reviewer, None, at
                    ),
                ):
                    with pytest.raises(MoveRefused) as refused:
                        move()
                    assert "declined" not in str(refused.value)
                    told.add(str(refused.value))
            assert len(told) == 3
        house.moving.expire_due(house.now + ACCEPT_WITHIN)


def test_expiry_gives_back_what_the_gift_took_up_and_keeps_the_tie(house) -> None:
    house.send("cake")
    tie = house.tie_states()["an", "bo"].copy()
    house.moving.expire_due(house.now + 2 * DAY)
    assert (house.tie_states()["an", "bo"] == tie).all()
    with house.database.reading() as unit:
        assert unit.execute(tables.gifts.select()).one().due_at is None


def test_sweep_takes_the_longest_due_first_and_no_more_than_asked(house) -> None:
    gifts, told = [house.send(at=house.now + n) for n in (2, 0, 1)], iter([True, False])
    assert house.moving.expire_due(house.now + ACCEPT_WITHIN + 5, lambda: next(told)) == 2
    states = [house.find(gift).state for gift in gifts]
    assert states == [GiftState.SENT, GiftState.EXPIRED, GiftState.EXPIRED]


@pytest.mark.parametrize("spoilt", [{"state": "redeemed"}, {"terms": "{"}])
def test_sweep_passes_gifts_that_cannot_end_however_many_and_tells_of_them(
    house, spoilt, monkeypatch
) -> None:
    monkeypatch.setattr("engine.moving._GIFTS_AT_ONCE", 2)
    # More than a page of them, and some due at one instant with those that can.
    times = [0, 0, 0, 0, 0, 1, 1]
    gifts = sorted(house.send(at=house.now + n) for n in times)
    told = []
    with house.database.writing() as unit:
        some = tables.gifts.c.gift.in_(gifts[:5])
        unit.execute(tables.gifts.update().where(some).values(**spoilt))
    with pytest.raises((MoveRefused, ValueError)):
        house.moving.expire_due(house.now + 2 * DAY, lambda: not told.append(1))
    assert [house.find(gift).state for gift in gifts[5:]] == [GiftState.EXPIRED] * 2
    assert len(told) == 2


def test_answers_that_waited_until_the_24_hours_were_over_are_refused(house) -> None:
    gift, due = house.send("cake"), house.now + ACCEPT_WITHIN
    before, times = house.everything(), [due - 1, due]

    def waiting() -> int:
        # Asked once before the wait for the gift and once after it.
        return times.pop(0)

    for move in (
        lambda: house.moving.accept(gift, "bo", None, None, waiting(), waiting),
        lambda: house.moving.decline(gift, "bo", None, waiting(), waiting),
        lambda: house.swapping.swap(gift, "bo", "tart", None, waiting(), waiting),
    ):
        times[:] = [due - 1, due]
        with pytest.raises(MoveRefused, match="expired"):
            move()
        assert times == []
    assert house.everything() == before
    times[:] = [due - 1, due - 2]
    assert house.moving.accept(gift, "bo", None, None, waiting(), waiting).outcome_at == due - 1


def test_sweeps_at_once_end_every_gift_once(house) -> None:
    gifts = [house.send() for _ in range(6)]
    at = house.now + ACCEPT_WITHIN
    moved = _together(*[lambda: house.moving.expire_due(at) for _ in range(4)])
    assert sum(moved) == 6
    assert [house.kinds(gift) for gift in gifts] == [["sent", "expired"]] * 6
    assert house.counted("sender") == [(0, 0)]


def test_accept_decline_and_expiry_at_once_exactly_one_wins(house) -> None:
    due = house.now + ACCEPT_WITHIN
    for _ in range(8):
        gift = house.send("cake")
        answers = _together(
            lambda gift=gift: house.moving.accept(gift, "bo", None, None, due - 1),
            lambda gift=gift: house.moving.decline(gift, "bo", None, due - 1),
            # A worker whose clock is ahead.
            lambda: house.moving.expire_due(due),
        )
        refused = [isinstance(answer, MoveRefused) for answer in answers[:2]]
        state = house.find(gift).state
        if state is GiftState.ACCEPTED:
            assert refused == [False, True]
            assert house.kinds(gift) == ["sent", "accepted"]
            assert house.balances(gift)["brand", "bakery"] == 675
        elif state is GiftState.DECLINED:
            assert refused == [True, False]
            house.moving.expire_due(due)
            assert (house.kinds(gift), house.balances(gift)) == (["sent", "expired"], {})
        else:
            assert (state, refused) == (GiftState.EXPIRED, [True, True])
            assert (house.kinds(gift), house.balances(gift)) == (["sent", "expired"], {})
        house.moving.expire_due(due)
    with house.database.reading() as unit:
        states = list(unit.execute(select(tables.gifts.c.state)).scalars())
    accepted = states.count("accepted")
    # Only accepted gifts keep their place.
    assert house.counted("sender") == [(accepted, accepted * 900)]
    house.assert_ties_equal_a_rebuild()


def test_voucher_is_redeemed_once_under_16_threads(house) -> None:
    gift = _accepted_voucher(house)
    code = house.moving.issue_voucher(gift, "bo", house.now + HOUR)
    at = house.now + 2 * HOUR
    answers = _together(*[lambda: house.moving.redeem(gift, code, None, at) for _ in range(16)])
    assert sum(not isinstance(answer, Conflict) for answer in answers) == 1
    assert house.kinds(gift) == ["sent", "accepted", "redeemed"]
    assert house.balances(gift) == {**PAYER, ("platform", ""): 900}


def test_codes_wrong_void_or_missing_get_one_answer_and_change_nothing(house) -> None:
    never_asked, gift = _accepted_voucher(house), _accepted_voucher(house)
    void = house.moving.issue_voucher(gift, "bo", house.now + HOUR)
    code = house.moving.issue_voucher(gift, "bo", house.now + HOUR)
    other = _accepted_voucher(house)
    others = house.moving.issue_voucher(other, "bo", house.now + HOUR)
    before = house.everything()
    answers = set()
    tried = [(gift, void), (gift, "guess"), (gift, others), (gift, None), (never_asked, code)]
    for asked, tried_code in tried:
        with pytest.raises(CodeRefused) as refused:
            house.moving.redeem(asked, tried_code, None, house.now + 2 * HOUR)
        answers.add((refused.value.code, refused.value.message, refused.value.hint))
    assert len(answers) == 1
    assert house.everything() == before
    assert house.moving.redeem(gift, code, None, house.now + 2 * HOUR).gift == gift


def test_code_is_kept_as_a_hash_and_read_however_it_is_typed(house) -> None:
    gift = _accepted_voucher(house)
    code = house.moving.issue_voucher(gift, "bo", house.now + HOUR)
    assert code not in str(house.everything())
    assert hash_of(code) in str(house.everything()["vouchers"])
    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    house.moving.redeem(gift, typed, None, house.now + 2 * HOUR)


def test_code_is_issued_to_the_recipient_of_an_accepted_voucher_only(house) -> None:
    gift, cake = house.send(), house.send("cake")
    _accept(house, cake)
    held = house.send("watch")
    for asked, person, error in (
        (held, "bo", UnknownReference),
        (gift, "bo", MoveRefused),
        (cake, "bo", MoveRefused),
        (gift, "an", UnknownReference),
        ("gift_nowhere", "bo", UnknownReference),
    ):
        with pytest.raises(error):
            house.moving.issue_voucher(asked, person, house.now)
    _accept(house, gift)
    code = house.moving.issue_voucher(gift, "bo", house.now)
    house.moving.redeem(gift, code, None, house.now + HOUR)
    with pytest.raises(MoveRefused, match="redeemed"):
        house.moving.issue_voucher(gift, "bo", house.now)


def test_goods_are_handed_over_without_a_code_and_move_no_money(house) -> None:
    gift = house.send("cake")
    _accept(house, gift)
    before = house.balances(gift)
    with pytest.raises(CodeRefused):
        house.moving.redeem(gift, "x", None, house.now + 2 * HOUR)
    house.moving.redeem(gift, None, None, house.now + 2 * HOUR)
    assert house.events(gift)[-1]["payment"] is None
    assert house.balances(gift) == before


@pytest.fixture
def ending(house, tmp_path):
    """The house where vouchers can be redeemed for three days."""
    rules = shutil.copytree(RULES, tmp_path / "rules")
    pack = rules / "gift_settle.yaml"
    said = "{settle.pay_on: redemption}"
    text = pack.read_text(encoding="utf-8")
    assert said in text
    changed = text.replace(said, "{settle.pay_on: redemption, settle.voucher_days: 3}")
    pack.write_text(changed, encoding="utf-8")
    engine = PolicyEngine.from_folder(rules)
    yield house.under(engine)
    engine.close()


def test_voucher_that_nobody_redeemed_is_refunded_at_its_end(ending) -> None:
    house = ending
    house.world.item("limited", stock=1)
    gift = house.send("limited")
    _accept(house, gift)
    end = house.now + HOUR + 3 * DAY
    assert house.find(gift).due_at == end
    code = house.moving.issue_voucher(gift, "bo", end - 1)
    assert house.moving.expire_due(end - 1) == 0
    with pytest.raises(MoveRefused):
        house.moving.redeem(gift, code, None, end)
    with pytest.raises(MoveRefused, match="ended"):
        house.moving.issue_voucher(gift, "bo", end)
    # Also where it came to its end while the move waited for others.
    with pytest.raises(MoveRefused):
        house.moving.redeem(gift, code, None, end - 1, lambda: end)
    with pytest.raises(MoveRefused, match="ended"):
        house.moving.issue_voucher(gift, "bo", end - 1, lambda: end)
    assert house.moving.expire_due(end + DAY) == 1
    ended = house.find(gift)
    assert (ended.state, ended.due_at, ended.outcome_at) == (
        GiftState.REFUNDED,
        None,
        house.now + HOUR,
    )
    event = house.events(gift)[-1]
    assert (event["kind"], event["occurred_at"]) == ("gift.refunded", end)
    assert (event["payment"]["action"], event["payment"]["fen"]) == ("release", 900)
    assert (house.balances(gift), house.stock("limited")) == ({}, (1, 0))
    assert house.counted("sender") == [(1, 900)]
    house.assert_ties_equal_a_rebuild()


def test_redemption_just_before_the_end_takes_the_voucher_off_the_sweep(ending) -> None:
    gift = ending.send()
    _accept(ending, gift)
    code = ending.moving.issue_voucher(gift, "bo", ending.now + HOUR)
    end = ending.find(gift).due_at
    ending.moving.redeem(gift, code, None, end - 1)
    assert ending.moving.expire_due(end + DAY) == 0
    assert ending.find(gift).state is GiftState.REDEEMED


def test_refund_reverses_exactly_returns_stock_and_keeps_the_cap(house) -> None:
    house.world.item("limited", kind="cake", stock=1)
    gift = house.send("limited")
    _accept(house, gift)
    assert house.tie_states()["bo", "an"][DEFAULT_LAYOUT.counts][Kind.ACCEPTED] == 1
    refunded = house.moving.refund(gift, None, house.now + 2 * HOUR)
    assert (refunded.state, refunded.outcome_at) == (GiftState.REFUNDED, house.now + HOUR)
    assert (house.balances(gift), house.stock("limited")) == ({}, (1, 0))
    assert house.counted("sender") == [(1, 900)]
    assert ("bo", "an") not in house.tie_states()
    house.assert_ties_equal_a_rebuild()


def test_clock_set_back_gives_no_outcome_before_the_sending(house) -> None:
    gift, other = house.send("cake"), house.send("cake")
    accepted = _accept(house, gift, at=house.now - DAY)
    assert accepted.outcome_at == house.now
    declined = house.moving.decline(other, "bo", None, house.now - DAY)
    assert declined.outcome_at == house.now
    refunded = house.moving.refund(gift, None, house.now - 2 * DAY)
    assert refunded.state is GiftState.REFUNDED
    assert [event["occurred_at"] for event in house.events(gift)] == [house.now] * 3
    house.assert_ties_equal_a_rebuild()


def test_clock_set_back_after_an_expiry_brings_no_gift_back(house) -> None:
    house.world.befriend("an", "cy")
    ignored, declined = house.send("cake"), house.send("cake", recipient="cy")
    house.moving.decline(declined, "cy", None, house.now)
    house.moving.expire_due(house.now + ACCEPT_WITHIN)
    before = house.everything()
    for gift, person in ((ignored, "bo"), (declined, "cy")):
        with pytest.raises(MoveRefused):
            house.moving.accept(gift, person, None, None, house.now)
        with pytest.raises(MoveRefused):
            house.moving.decline(gift, person, None, house.now)
    assert house.moving.expire_due(house.now) == 0
    assert house.moving.expire_due(house.now + 9 * DAY) == 0
    assert house.everything() == before


def test_answer_is_possible_to_the_last_microsecond_and_not_after_it(house) -> None:
    gift, other = house.send(), house.send()
    due = house.now + ACCEPT_WITHIN
    with pytest.raises(MoveRefused, match="expired"):
        house.moving.decline(gift, "bo", None, due)
    with pytest.raises(MoveRefused, match="expired"):
        _accept(house, gift, at=due)
    assert _accept(house, other, at=due - 1).state is GiftState.ACCEPTED


def test_somebody_elses_gift_is_answered_as_if_there_were_none(house) -> None:
    gift = house.send()
    before, told = house.everything(), set()
    for asked, person in ((gift, "an"), (gift, "cy"), ("gift_nowhere", "bo")):
        for move in (
            lambda asked=asked, person=person: house.moving.accept(
                asked, person, None, None, house.now
            ),
            lambda asked=asked, person=person: house.moving.decline(asked, person, None, house.now),
        ):
            with pytest.raises(UnknownReference) as refused:
                move()
            told.add(str(refused.value))
    assert len(told) == 1
    assert house.everything() == before


def test_imported_gift_is_history_and_cannot_be_moved(house) -> None:
    gift = house.send("cake")
    with house.database.writing() as unit:
        unit.execute(
            tables.gifts.update().values(
                origin="imported", terms=None, payment_ref=None, due_at=None
            )
        )
    before = house.everything()
    for move in (
        lambda: _accept(house, gift),
        lambda: house.moving.decline(gift, "bo", None, house.now),
        lambda: house.swapping.swap(gift, "bo", "tart", None, house.now),
        lambda: house.moving.refund(gift, None, house.now),
        lambda: house.moving.issue_voucher(gift, "bo", house.now),
    ):
        with pytest.raises(MoveRefused, match="imported"):
            move()
    assert house.moving.expire_due(house.now + 2 * DAY) == 0
    assert house.everything() == before


def test_decline_has_its_consequences_once(house) -> None:
    gift = house.send("cake")
    due = house.now + ACCEPT_WITHIN
    declined = house.moving.decline(gift, "bo", None, house.now)
    with pytest.raises(MoveRefused):
        moved(declined, Move.EXPIRE, due - 1)
    assert moved(declined, Move.EXPIRE, due) is GiftState.DECLINED
    house.moving.expire_due(due)
    with pytest.raises(MoveRefused):
        moved(house.find(gift), Move.EXPIRE, due)


def test_retry_with_its_key_is_the_same_answer_and_without_one_a_conflict(house) -> None:
    gift = house.send("cake")
    key = RequestKey("service", "k", "accept")
    first = house.moving.accept(gift, "bo", "1 Plum Lane", key, house.now)
    house.moving.redeem(gift, None, None, house.now)
    before = house.everything()
    assert house.moving.accept(gift, "bo", "1 Plum Lane", key, house.now + HOUR) == first
    with pytest.raises(MoveRefused):
        _accept(house, gift)
    with pytest.raises(IdempotencyConflict):
        house.moving.refund(gift, RequestKey("service", "k", "refund"), house.now)
    assert house.everything() == before


def test_duplicates_at_once_with_one_key_all_get_the_first_answer(house) -> None:
    gift = house.send("cake")
    key = RequestKey("service", "k", "accept")
    answers = _together(
        *[lambda: house.moving.accept(gift, "bo", None, key, house.now) for _ in range(8)]
    )
    assert [answer == answers[0] for answer in answers] == [True] * 8
    assert house.kinds(gift) == ["sent", "accepted"]


def test_refused_move_leaves_its_key_free(house) -> None:
    gift = house.send("cake")
    key = RequestKey("service", "k", "refund")
    with pytest.raises(MoveRefused):
        house.moving.refund(gift, key, house.now)
    _accept(house, gift)
    assert house.moving.refund(gift, key, house.now).state is GiftState.REFUNDED


def test_failure_in_a_move_leaves_everything_as_it_was(house, monkeypatch) -> None:
    class Torn(LishangError):
        pass

    def fail(*_: object) -> None:
        raise Torn("torn")

    gift, other = house.send("cake"), house.send("cake")
    _accept(house, other)
    before = house.everything()
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "append", fail)
        for move in (
            lambda: _accept(house, gift),
            lambda: house.moving.refund(other, None, house.now),
            lambda: house.moving.expire_due(house.now + ACCEPT_WITHIN),
        ):
            with pytest.raises(Torn):
                move()
    assert house.everything() == before
    assert house.moving.expire_due(house.now + ACCEPT_WITHIN) == 1


def test_ties_equal_a_rebuild_after_every_kind_of_life(house) -> None:
    at = house.now
    house.moving.decline(house.send("cake"), "bo", None, at)
    _accept(house, house.send("cake"))
    refunded = house.send("cake")
    _accept(house, refunded)
    house.moving.refund(refunded, None, at + 3 * HOUR)
    swapped = house.send("cake")
    house.swapping.swap(swapped, "bo", "tart", None, at + HOUR)
    _accept(house, swapped, at=at + 2 * HOUR)
    house.reviewing.decide(house.send("watch"), True, house.reviewer, None, at + HOUR)
    house.reviewing.decide(house.send("watch"), False, house.reviewer, None, at + HOUR)
    redeemed = _accepted_voucher(house)
    code = house.moving.issue_voucher(redeemed, "bo", at)
    house.moving.redeem(redeemed, code, None, at + 4 * HOUR)
    house.send("cake", sender="bo", recipient="an")
    house.moving.expire_due(at + 3 * DAY)
    house.assert_ties_equal_a_rebuild()
