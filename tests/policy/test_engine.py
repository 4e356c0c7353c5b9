"""The policy engine: one pack at a time, deny beats review, and an explanation per comparison."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.domain.clock import parse_time
from engine.domain.errors import FactsInvalid, PackInvalid, PolicyError, UnknownReference
from engine.domain.verdicts import ConditionTrace, Effect, FactSet
from engine.policy import guarded as guarded_module
from engine.policy.engine import PolicyEngine

AT = parse_time("2026-06-01T12:00:00+08:00")

Gift = Callable[..., FactSet]


def test_decide_many_gives_verdicts_in_order(engine: PolicyEngine, gift: Gift) -> None:
    asked = [gift(), gift({"gift.mechanics": "lottery"}), gift(), gift({"gift.to_self": True})]
    verdicts = engine.decide_many("gift_send", asked, AT)
    assert [v.reasons for v in verdicts] == [(), ("LOTTERY_STYLE",), (), ("GIFT_TO_SELF",)]
    assert [v.allowed for v in verdicts] == [True, False, True, False]
    assert {v.pack for v in verdicts} == {engine.packs()[0]}


def test_decide_many_no_facts_gives_no_verdicts(engine: PolicyEngine) -> None:
    assert engine.decide_many("gift_send", [], AT) == []


def test_verdict_deny_beats_review_beats_allow(engine: PolicyEngine, gift: Gift) -> None:
    dear = {"gift.price_fen": 150_000, "gift.tier": "goods"}
    review, deny = engine.decide_many(
        "gift_send", [gift(dear), gift({**dear, "gift.in_stock": False})], AT
    )
    assert (review.effect, review.reasons) == (Effect.REVIEW, ("HELD_FOR_REVIEW",))
    assert (deny.effect, deny.reasons) == (Effect.DENY, ("ITEM_UNAVAILABLE",))
    assert [f.rule for f in deny.fired] == ["item_to_be_had", "dear_gift_on_weak_tie"]


def test_decide_many_one_unsound_fact_set_refuses_all(engine: PolicyEngine, gift: Gift) -> None:
    broken = FactSet({**gift().values, "gift.price_fen": "900"})
    with pytest.raises(FactsInvalid, match=r"gift\.price_fen"):
        engine.decide_many("gift_send", [gift(), broken], AT)


def test_decide_many_unknown_decision_is_refused(engine: PolicyEngine) -> None:
    with pytest.raises(UnknownReference, match="gift_eat"):
        engine.decide_many("gift_eat", [], AT)


def test_decide_many_anomaly_raises_and_is_counted(
    rules_folder: Path, gift: Gift, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = PolicyEngine.from_folder(rules_folder)
    with monkeypatch.context() as patch:
        patch.setattr(guarded_module.durable, "start_action_for_state", lambda *_: None)
        with pytest.raises(PolicyError) as caught:
            own.decide_many("gift_send", [gift()], AT)
    assert caught.value.code == "POLICY_UNAVAILABLE"
    assert own.retired_engines == 1
    assert own.decide_many("gift_send", [gift()], AT)[0].allowed
    own.close()


def test_effective_window_switches_packs_at_the_instant(
    tmp_path: Path, rules_folder: Path, gift: Gift
) -> None:
    text = (rules_folder / "gift_send.yaml").read_text(encoding="utf-8")
    begins = "  from: 2026-01-01T00:00:00+08:00\n"
    ended = text.replace(begins, begins + "  until: 2026-07-01T00:00:00+08:00\n")
    later = (
        text.replace(begins, "  from: 2026-07-01T00:00:00+08:00\n")
        .replace("version: 1", "version: 2")
        .replace("daily_gifts: 10", "daily_gifts: 3")
    )
    reasons = (rules_folder / "reasons.yaml").read_text(encoding="utf-8")
    for name, content in (("a", ended), ("b", later), ("reasons", reasons)):
        (tmp_path / f"{name}.yaml").write_text(content, encoding="utf-8")
    both = PolicyEngine.from_folder(tmp_path)
    switch = parse_time("2026-07-01T00:00:00+08:00")
    fourth = gift({"sender.day_gifts_after": 4})
    (before,) = both.decide_many("gift_send", [fourth], switch - 1)
    (after,) = both.decide_many("gift_send", [fourth], switch)
    assert (before.pack.version, before.effect) == (1, Effect.ALLOW)
    assert (after.pack.version, after.reasons) == (2, ("DAILY_CAP_REACHED",))
    with pytest.raises(PolicyError, match="no pack for gift_send is in effect"):
        both.decide_many("gift_send", [fourth], parse_time("2025-12-31T23:59:59+08:00"))
    (trace,) = both.explain(after, fourth)
    assert trace.conditions == (
        ConditionTrace("sender.day_gifts_after", 4, ">", 3, True, "params.daily_gifts"),
    )
    both.close()
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PackInvalid, match=r"a\.yaml and b\.yaml both decide gift_send"):
        PolicyEngine.from_folder(tmp_path)


def test_explain_names_every_comparison_of_every_fired_rule(
    engine: PolicyEngine, gift: Gift
) -> None:
    facts = gift({"pair.two_way_friends": False, "sender.day_fen_limit": 500})
    (verdict,) = engine.decide_many("gift_send", [facts], AT)
    friends, limits = engine.explain(verdict, facts)
    assert friends.rule == "two_way_friends"
    assert friends.conditions == (
        ConditionTrace("gift.relation", "friend", "==", "friend", True),
        ConditionTrace("pair.two_way_friends", False, "!=", True, True),
    )
    assert limits.rule == "own_limits"
    assert limits.conditions == (
        ConditionTrace(
            "sender.day_gifts_after", 1, ">", 2**53 - 1, False, "sender.day_gifts_limit"
        ),
        ConditionTrace("sender.day_fen_after", 900, ">", 500, True, "sender.day_fen_limit"),
    )


def test_explain_verdict_of_another_pack_is_refused(
    engine: PolicyEngine, gift: Gift, tmp_path: Path, rules_folder: Path
) -> None:
    for path in rules_folder.glob("*.yaml"):
        text = path.read_text(encoding="utf-8").replace("daily_gifts: 10", "daily_gifts: 1")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    other = PolicyEngine.from_folder(tmp_path)
    facts = gift({"sender.day_gifts_after": 2})
    (verdict,) = other.decide_many("gift_send", [facts], AT)
    with pytest.raises(PolicyError, match="not loaded"):
        engine.explain(verdict, facts)
    other.close()
