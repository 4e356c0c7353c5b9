"""Our reading of CEL is that of the library whose parser we use; a negation traces the opposite."""

from __future__ import annotations

from random import Random
from types import ModuleType

import celpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.policy.evaluating import holds, traces


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_our_reading_of_cel_and_celpy_agree(
    evaluations: ModuleType, data: st.DataObject, seed: int
) -> None:
    pack, kept = evaluations.random_pack([data.draw(evaluations.conditions)])
    params = {k: list(v) if isinstance(v, tuple) else v for k, v in pack.params.items()}
    environment = celpy.Environment()
    for rule, text in zip(pack.rules, kept, strict=True):
        program = environment.program(environment.compile(text))
        for facts in evaluations.random_facts(pack, evaluations.CATALOGUE, 5, Random(seed)):
            given_facts = {"params": params, **evaluations.nested(facts)}
            activation = {name: celpy.json_to_cel(value) for name, value in given_facts.items()}
            assert bool(program.evaluate(activation)) is holds(rule.condition, facts), (text, facts)


@given(data=st.data(), seed=st.integers(0, 2**32))
def test_trace_of_a_negation_is_the_opposite(
    evaluations: ModuleType, data: st.DataObject, seed: int
) -> None:
    atom = data.draw(evaluations.atoms)
    pack, _ = evaluations.random_pack([atom, f"!({atom})"])
    (facts,) = evaluations.random_facts(pack, evaluations.CATALOGUE, 1, Random(seed))
    (plain,), (negated,) = (traces(rule.condition, facts) for rule in pack.rules)
    assert plain.holds is not negated.holds
    assert (plain.attribute, plain.value) == (negated.attribute, negated.value)
    assert (plain.threshold, plain.source) == (negated.threshold, negated.source)


@pytest.mark.parametrize("text", ["t.a > params.cap * 2", "!(t.a > params.cap * 2)"])
def test_trace_names_what_a_threshold_was_written_as(evaluations: ModuleType, text: str) -> None:
    pack, _ = evaluations.random_pack([text])
    (facts,) = evaluations.random_facts(pack, evaluations.CATALOGUE, 1, Random(0))
    (told,) = traces(pack.rules[0].condition, facts)
    assert (told.threshold, told.source) == (200, "params.cap * 2")
