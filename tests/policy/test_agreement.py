"""Five evaluations of random packs give one answer: ours, and one that nobody here wrote."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

Compare = Callable[[int, int], int]

TAME = ["t.a > 100", "t.b in [1, 99] && !t.p", "t.s == '礼' || u.c <= t.a"]
BENT = ["t.a >= 100", "t.b in [1, 99] && !t.p", "t.s == '礼' || u.c <= t.a"]


@pytest.fixture
def compare(evaluations: ModuleType) -> Compare:
    """Compare all evaluations on so many random packs, on so many facts each; return how many
    sets of facts that came to."""

    def run(examples: int, facts_each: int) -> int:
        compared = 0

        # Fact sets are drawn by a seeded generator, not by hypothesis, for their sheer number.
        @settings(
            max_examples=examples,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        )
        @given(evaluations.packs, st.integers(0, 2**32))
        def agree(written: list[str], seed: int) -> None:
            nonlocal compared
            pack, kept = evaluations.random_pack(written)
            if not kept:
                return
            asked = evaluations.random_facts(pack, evaluations.CATALOGUE, facts_each, Random(seed))
            panel = evaluations.Panel(pack, kept, evaluations.CATALOGUE)
            try:
                assert panel.differences(asked) == []
            finally:
                panel.close()
            compared += len(asked)

        agree()
        return compared

    return run


def test_evaluations_of_random_packs_agree_on_20_000_random_facts(compare: Compare) -> None:
    assert compare(120, 200) >= 20_000


@pytest.mark.slow
@pytest.mark.parametrize("quarter", range(4))  # so that no single test takes long
def test_evaluations_of_random_packs_agree_on_2_000_000_random_facts(
    compare: Compare, quarter: int
) -> None:
    assert compare(510, 1_000) >= 500_000


@pytest.mark.parametrize(
    "bent", ["by_durable_rules", "by_generated_function", "by_traces", "by_rust"]
)
def test_comparison_notices_an_evaluation_that_is_off_by_one(
    evaluations: ModuleType, bent: str
) -> None:
    pack, kept = evaluations.random_pack(TAME)
    panel = evaluations.Panel(pack, kept, evaluations.CATALOGUE)
    wrong = evaluations.Panel(*evaluations.random_pack(BENT), evaluations.CATALOGUE)
    asked = evaluations.random_facts(pack, evaluations.CATALOGUE, 200, Random(1))
    assert panel.differences(asked) == []
    names = {evaluation.__name__: name for name, evaluation in panel.evaluations.items()}
    panel.evaluations[names[bent]] = getattr(wrong, bent)
    differences = panel.differences(asked)
    assert differences
    assert all(
        d.startswith(f"{names[bent]} and holds differ on ['t.a > 100']") for d in differences
    )


def test_random_facts_reach_every_side_of_a_threshold(evaluations: ModuleType) -> None:
    pack, _ = evaluations.random_pack(TAME)
    asked = evaluations.random_facts(pack, evaluations.CATALOGUE, 200, Random(1))
    assert {99, 100, 101} <= {facts["t.a"] for facts in asked}
    assert {0, 1, 2, 98, 99, 100} <= {facts["t.b"] for facts in asked}
    assert "礼" in {facts["t.s"] for facts in asked}
    assert any(facts["t.a"] == facts["u.c"] for facts in asked)
