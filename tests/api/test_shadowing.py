"""What shadows would have said is counted by kind, and logged without flooding or naming anyone."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from api.metrics import Metrics
from api.shadowing import LOG_SECONDS, MOST_DIFFERENCES, ShadowCounts, difference
from engine.domain.errors import PolicyError
from engine.domain.verdicts import Effect, FiredRule, PackRef, Verdict

pytestmark = pytest.mark.usefixtures("every_line_logged")

NOW, NEW = PackRef("p", 1, "a" * 64), PackRef("p", 2, "b" * 64)
CAP = FiredRule("cap", Effect.DENY, "CAP")
DEAR = FiredRule("dear", Effect.REVIEW, "DEAR")
SHARE = FiredRule("share", Effect.ALLOW, None, None, (("x", 1),))


def verdict(*fired: FiredRule, pack: PackRef = NOW) -> Verdict:
    effect = max((f.effect for f in fired), key=lambda e: e.severity, default=Effect.ALLOW)
    return Verdict("d", effect, fired, pack)


@pytest.mark.parametrize(
    ("enforced", "shadowed", "kind"),
    [
        ((), (), None),
        ((CAP, DEAR), (DEAR, CAP), None),
        ((), (CAP,), "newly_blocked"),
        ((DEAR,), (CAP, DEAR), "newly_blocked"),
        ((), (DEAR,), "newly_held"),
        ((CAP,), (DEAR,), "newly_held"),
        ((CAP,), (), "newly_allowed"),
        ((DEAR,), (SHARE,), "newly_allowed"),
        ((CAP,), (CAP, DEAR), "other_rules"),
        ((SHARE,), (FiredRule("share", Effect.ALLOW, None, None, (("x", 2),)),), "other_rules"),
    ],
)
def test_difference_has_the_kind_that_the_documentation_says(enforced, shadowed, kind) -> None:
    assert difference(verdict(*enforced), verdict(*shadowed, pack=NEW)) == kind


def test_evaluations_are_counted_by_version_and_kind() -> None:
    metrics, counts = Metrics(), ShadowCounts()
    counts.evaluated(NEW, [verdict()], [verdict(CAP, pack=NEW)])  # nowhere to count yet
    counts.count_in(metrics)
    counts.evaluated(
        NEW,
        [verdict(), verdict(), verdict(CAP)],
        [verdict(pack=NEW), verdict(CAP, pack=NEW), verdict(pack=NEW)],
    )
    counts.failed(NEW, PolicyError("gave up"))
    text = metrics.render().decode()
    labels = 'pack="p",version="2"'
    assert f"lishang_shadow_verdicts_total{{{labels}}} 3.0" in text
    for kind in ("newly_blocked", "newly_allowed"):
        sample = f'lishang_shadow_differences_total{{kind="{kind}",{labels}}} 1.0'
        assert sample in text
    assert "newly_held" not in text
    assert f"lishang_shadow_failures_total{{{labels}}} 1.0" in text


def test_difference_is_logged_with_rules_and_effects_once_a_minute_with_its_count() -> None:
    time = [0.0]
    counts = ShadowCounts(lambda: time[0])
    with capture_logs() as logs:
        for _ in range(5):
            counts.evaluated(NEW, [verdict(DEAR)], [verdict(CAP, pack=NEW)])
        counts.evaluated(NEW, [verdict()], [verdict(CAP, pack=NEW)])  # another one: logged at once
        time[0] = LOG_SECONDS
        counts.evaluated(NEW, [verdict(DEAR)], [verdict(CAP, pack=NEW)])
    assert [(line["kind"], line["rules"], line["times"]) for line in logs] == [
        ("newly_blocked", ["dear"], 1),
        ("newly_blocked", [], 1),
        ("newly_blocked", ["dear"], 5),
    ]
    assert logs[0] == {
        "event": "shadow differs",
        "log_level": "info",
        "kind": "newly_blocked",
        "decision": "d",
        "shadow": "p@2",
        "enforced": "p@1",
        "effect": "review",
        "rules": ["dear"],
        "shadow_effect": "deny",
        "shadow_rules": ["cap"],
        "times": 1,
    }


def test_differences_without_end_take_bounded_memory() -> None:
    counts = ShadowCounts()
    with capture_logs() as logs:
        for n in range(MOST_DIFFERENCES + 100):
            fired = FiredRule(f"r{n}", Effect.DENY, "CAP")
            counts.evaluated(NEW, [verdict()], [verdict(fired, pack=NEW)])
        counts.evaluated(NEW, [verdict()], [verdict(fired, pack=NEW)])
    assert len(logs) == MOST_DIFFERENCES + 100
    assert len(counts._lines) == MOST_DIFFERENCES


def test_failure_is_logged_with_the_version_and_why() -> None:
    with capture_logs() as logs:
        ShadowCounts().failed(NEW, PolicyError("gave up"))
    assert (logs[0]["pack"], logs[0]["version"]) == ("p", 2)
    assert "gave up" in logs[0]["why"]
