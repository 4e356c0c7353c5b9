"""Lint and replays of hostile packs: what they may cost is counted before it is spent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from engine.domain.errors import PackInvalid
from engine.policy import lint as linting
from engine.policy.catalogue import FactCatalogue
from engine.policy.compiling import MOST_COMPARISONS_OF_A_PACK, check_compilable
from engine.policy.conditions import Membership, Negation
from engine.policy.decisions import CATALOGUES
from engine.policy.findings import Finding
from engine.policy.lint import lint_pack
from engine.policy.number_sets import ALL_NUMBERS
from engine.policy.packs import MOST_FAULTS, Pack, Rule, read_pack
from engine.policy.satisfying import Budget, Possible, satisfy
from engine.policy.vocabulary import vocabulary_of

GENEROUS = 60.0
"""Seconds of the processor: 20 times what the slowest of these takes, and far less than without a
bound."""
HEAD = """\
pack: gift_send
decides: gift_send
version: 9
owner: test
jurisdiction: CN
effective: {from: '2026-01-01T00:00:00+08:00'}
"""


def pack(*conditions: str, params: str = "") -> str:
    lines = "".join(
        f"- {{id: r{n}, description: x, when: '{when}', then: deny, reason: NO}}\n"
        for n, when in enumerate(conditions)
    )
    return f"{HEAD}{params}rules:\n{lines}"


def lint(text: str) -> list[Finding]:
    return lint_pack(text, "pack.yaml", None)


def said(text: str) -> list[tuple[str, str | None]]:
    return [(one.code, one.rule) for one in lint(text) if one.code != "UNCITED"]


def numbers(count: int) -> str:
    return f"[{', '.join(str(2 * n) for n in range(count))}]"


@contextmanager
def bounded() -> Iterator[None]:
    begun = time.process_time()
    yield
    assert time.process_time() - begun < GENEROUS


def test_number_set_without_many_numbers_is_one_pass() -> None:
    with bounded():
        left = ALL_NUMBERS.without(range(0, 400_000, 2)).without(range(1, 400_000, 4))
    assert len(left.intervals) == 100_001
    assert left.first_from(0) == 3


@pytest.mark.parametrize("negated", [False, True])
def test_satisfy_list_costs_as_many_comparisons_as_it_has_values(negated: bool) -> None:
    asked = Membership("gift.price_fen", tuple(range(1, 501)))
    vocabulary, budget = vocabulary_of(CATALOGUES["gift_send"]), Budget(2_000)
    condition = Negation(asked) if negated else asked
    assert satisfy([condition], vocabulary, budget).possible is Possible.YES
    assert budget.left == 2_000 - 501
    assert satisfy([condition], vocabulary, Budget(500)).possible is Possible.UNKNOWN


@pytest.mark.parametrize("rule", ["!(gift.price_fen in params.l)", "gift.price_fen in params.l"])
def test_lint_list_longer_than_can_be_compiled_is_out_of_range(rule: str) -> None:
    asked = [f"{rule} && gift.price_fen > {n}" for n in range(20)]
    text = pack(*asked, params="params: {l: LIST}\n")
    with bounded():
        assert said(text.replace("LIST", numbers(8_000))) == [("OUT_OF_RANGE", None)]
    shortest = text.replace("LIST", numbers(101))
    assert said(shortest) == [("OUT_OF_RANGE", None)]
    with pytest.raises(PackInvalid, match=r"pack\.yaml:7:13: params\.l: .*at most 100 items"):
        read_pack(shortest, "pack.yaml", CATALOGUES)
    read_pack(text.replace("LIST", numbers(100)), "pack.yaml", CATALOGUES)


def test_lint_rule_that_is_too_large_is_not_reasoned_about(monkeypatch) -> None:
    judged: list[str] = []

    def watched(found: Pack, _: object) -> Iterator[Finding]:
        judged.extend(rule.id for rule in found.rules)
        yield from ()

    monkeypatch.setattr(linting, "rule_findings", watched)
    text = pack(f"!(gift.price_fen in {numbers(101)})", "pair.blocked", "gift.to_self")
    assert said(text) == [("TOO_MANY_COMPARISONS", "r0")]
    assert judged == ["r1", "r2"]


def test_lint_lists_within_rules_are_bounded() -> None:
    many = [f"!(gift.price_fen in {numbers(400)}) && gift.price_fen != {n}" for n in range(30)]
    with bounded():
        assert said(pack(*many)) == [("TOO_MANY_COMPARISONS", f"r{n}") for n in range(30)]


def test_lint_faults_are_told_up_to_a_hundred() -> None:
    text = f"{HEAD}params:\n" + "".join(f"  A{n}: 1\n" for n in range(12_000))
    with bounded():
        found = lint(f"{text}rules:\n" + "- 1\n" * 30_000)
    assert len(found) == MOST_FAULTS
    assert [one for one in found if "more faults than these 100" in one.message] == [found[-1]]


def test_lint_faults_of_conditions_end_the_reading_after_a_hundred() -> None:
    known = ", ".join(f"{'a' * 40}{n:05}: 1" for n in range(2_000))
    asked = [f"gift.price_fen == params.{'a' * 40}{n:05}x" for n in range(1_000)]
    with bounded():
        found = lint(pack(*asked, params=f"params: {{{known}}}\n"))
    unknown = [one for one in found if one.code == "UNKNOWN_PARAM"]
    assert [one.rule for one in unknown] == [f"r{n}" for n in range(MOST_FAULTS)]
    assert unknown[-1].message.endswith("; there are more faults than these 100")


def test_lint_faults_name_the_rule_they_lie_in() -> None:
    rules = "[{id: a, when: 1}, 2, {when: 3}, {id: b, when: 4}]"
    found = {(one.place[2], one.rule) for one in lint(f"{HEAD}rules: {rules}\n")}
    assert {rule for column, rule in found if column < 26} == {"a"}
    assert {rule for column, rule in found if 26 < column < 40} == {None}
    assert {rule for column, rule in found if column > 40} == {"b"}


def test_lint_questions_beyond_the_bounds_are_undecided() -> None:
    ands = [" && ".join(f"gift.price_fen != {40 * n + k}" for k in range(40)) for n in range(80)]
    with bounded():
        found = lint(pack(*ands))
    assert {one.code for one in found} == {"UNCITED", "UNDECIDED"}


def test_check_compilable_pack_is_counted_without_being_built(
    small: FactCatalogue, rule: Callable[[str, str, FactCatalogue], Rule]
) -> None:
    text = f"(t.p || t.q && t.a == 1) && t.b in {list(range(20))} && !(t.a in {list(range(40))})"
    one = rule("one", text, small)  # 20 alternatives of 42 comparisons, 20 of 43
    each = 20 * 42 + 20 * 43
    fitting = read_pack(pack("gift.to_self"), "pack.yaml", CATALOGUES)
    most = MOST_COMPARISONS_OF_A_PACK // each
    check_compilable(replace(fitting, rules=(one,) * most))
    with pytest.raises(PackInvalid, match=rf"^.*pack\.yaml:1:1: .* join {(most + 1) * each} comp"):
        check_compilable(replace(fitting, rules=(one,) * (most + 1)))


def test_lint_pack_that_joins_too_much_is_refused() -> None:
    text = pack(*["!(gift.price_fen in params.l)"] * 201, params=f"params: {{l: {numbers(100)}}}\n")
    assert said(text) == [("TOO_MANY_COMPARISONS", None)]


def test_check_compilable_condition_with_millions_is_refused_at_once() -> None:
    memberships = " && ".join(["!(gift.price_fen in params.l)"] * 55)
    text = pack(
        *[f"{memberships} && pair.friends_days in params.m"] * 40,
        params=f"params: {{l: {numbers(100)}, m: {numbers(60)}}}\n",
    )
    with bounded(), pytest.raises(PackInvalid, match="joins 5501 comparisons"):
        check_compilable(read_pack(text, "pack.yaml", CATALOGUES))
