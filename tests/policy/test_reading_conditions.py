"""Conditions: what is read, and the exact words and place of every refusal."""

from __future__ import annotations

import pytest

from engine.domain.errors import PackInvalid
from engine.policy.catalogue import FactCatalogue
from engine.policy.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    FactName,
    Membership,
    Negation,
    Operator,
)
from engine.policy.reading_conditions import ParamValue, read_condition

PARAMS: dict[str, ParamValue] = {"cap": 10, "flag": True, "tie": "red", "ties": ("red", "blue")}


def read(text: str, catalogue: FactCatalogue) -> object:
    return read_condition(text, catalogue, PARAMS, lambda offset: f"f.yaml:1:{offset + 1}")


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("t.p", Comparison("t.p", Operator.EQUAL, True)),
        ("!t.p", Negation(Comparison("t.p", Operator.EQUAL, True))),
        ("t.p == false", Comparison("t.p", Operator.EQUAL, False)),
        ("t.p != params.flag", Comparison("t.p", Operator.NOT_EQUAL, True)),
        ("t.a > 3", Comparison("t.a", Operator.MORE, 3)),
        ("3 >= t.a", Comparison("t.a", Operator.AT_MOST, 3)),
        ("t.a<params.cap-1", Comparison("t.a", Operator.LESS, 9)),
        ("t.a < -params.cap", Comparison("t.a", Operator.LESS, -10)),
        ("t.a == -0x10", Comparison("t.a", Operator.EQUAL, -16)),
        ("t.a > 2 + 3 * params.cap", Comparison("t.a", Operator.MORE, 32)),
        ("t.a > (2 + 3) * params.cap", Comparison("t.a", Operator.MORE, 50)),
        ("t.a > -7 / 2", Comparison("t.a", Operator.MORE, -3)),
        ("t.a > -7 % 2", Comparison("t.a", Operator.MORE, -1)),
        ("t.a > 10 - 3 - 2", Comparison("t.a", Operator.MORE, 5)),
        ("t.a >= t.b", Comparison("t.a", Operator.AT_LEAST, FactName("t.b"))),
        ("t.s != t.u", Comparison("t.s", Operator.NOT_EQUAL, FactName("t.u"))),
        ("t.kind == 'red'", Comparison("t.kind", Operator.EQUAL, "red")),
        ('t.s == "礼"', Comparison("t.s", Operator.EQUAL, "礼")),
        ("t.kind in ['red', params.tie]", Membership("t.kind", ("red",))),
        ("t.kind in params.ties", Membership("t.kind", ("red", "blue"))),
        ("t.a in [1, 1 + 1]", Membership("t.a", (1, 2))),
        (
            "t.p && t.q && (t.p || t.q)",
            AllOf(
                (
                    Comparison("t.p", Operator.EQUAL, True),
                    Comparison("t.q", Operator.EQUAL, True),
                    AnyOf(
                        (
                            Comparison("t.p", Operator.EQUAL, True),
                            Comparison("t.q", Operator.EQUAL, True),
                        )
                    ),
                )
            ),
        ),
        (
            "t.p || t.q && t.a > 1",
            AnyOf(
                (
                    Comparison("t.p", Operator.EQUAL, True),
                    AllOf(
                        (
                            Comparison("t.q", Operator.EQUAL, True),
                            Comparison("t.a", Operator.MORE, 1),
                        )
                    ),
                )
            ),
        ),
    ],
)
def test_read_condition_in_envelope_gives_tree(
    small: FactCatalogue, text: str, condition: object
) -> None:
    assert read(text, small) == condition


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("t.p && x.elsewhere", 8, "unknown fact 'x.elsewhere'", "known: t.p"),
        ("t.kinds == 'red'", 1, "unknown fact 't.kinds'", "did you mean t.kind?"),
        ("t.a > params.caps", 7, "unknown parameter 'caps'", "did you mean cap?"),
        ("t.kind == 'rad'", 1, "unknown value of t.kind 'rad'", "did you mean red?"),
        ("t.kind in ['red', 'pink']", 1, "unknown value of t.kind 'pink'", "known: red"),
        ("t.a == 'x'", 1, "t.a is a whole number and is compared with a text", "like with like"),
        ("t.p == 1", 1, "t.p is true or false and is compared with a whole number", "like"),
        ("t.a == t.s", 1, "t.a is a whole number and is compared with a text", "like"),
        ("t.s < 'x'", 1, "t.s is a text and has no order", "only whole numbers are ordered"),
        ("t.p > t.q", 1, "t.p is true or false and has no order", "only whole numbers"),
        ("t.p && t.a", 8, "t.a is no condition", "compare it with something"),
        ("true", 1, "a constant is no condition", "compare it"),
        ("1 < 2", 1, "no fact is compared here", "one side must be a fact"),
        ("t.a + 1 > 3", 1, "arithmetic on the fact t.a", "ask for a derived fact"),
        ("t.a > t.b / 2", 7, "arithmetic on the fact t.b", "ask for a derived fact"),
        ("t.a > 1 / 0", 7, "1 / 0 cannot be calculated", "divide by no zero"),
        ("t.a > 9007199254740993", 7, "9007199254740993 is no value a fact can have", "2^53"),
        ("t.a > 1.5", 7, "1.5 is no value a fact can have", "money in fen"),
        ("t.a > 5u", 7, "5u is no value a fact can have", "whole number"),
        ("t.a == null", 8, "null is no value a fact can have", "true, false"),
        (r"t.s == 'a\n'", 8, r"'a\n' is no value a fact can have", "plain text"),
        ("t.a > 'x' + 1", 7, "'x' is no whole number", "calculate with whole numbers"),
        ("t.s.matches('[一-龥]')", 1, "functions cannot be compiled", "derived fact"),
        ("size(t.s) > 3", 1, "functions cannot be compiled", "derived fact"),
        ("t.p && has(t.a)", 8, "functions cannot be compiled", "derived fact"),
        ("t.p ? t.q : t.p", 1, "a choice with ?: cannot be compiled", "two rules"),
        ("t.s[0] == 'x'", 1, "an index cannot be compiled", "derived fact"),
        ("t.p{}", 1, "an object cannot be compiled", "derived fact"),
        ("t.a in {1: 2}", 8, "a map cannot be compiled", "use a list"),
        ("t.a in []", 1, "an empty list holds nothing", "at least one"),
        ("t.a in [t.b]", 9, "t.b is no constant", "constants only"),
        ("t.a in t.b", 1, "no list stands after in", "fact in [values]"),
        ("t.a == [1]", 1, "a list is compared as a value", "use in"),
        ("(t.a > 3) == true", 2, "t.a > 3 stands where a value must", "join comparisons"),
        ("t.a ==", 7, "the condition is no CEL expression: it ends too early", "compare"),
        ("t.a = 3", 5, "the condition is no CEL expression: unexpected '='", "compare"),
        ("t.a > 3 and t.p", 9, "the condition is no CEL expression: unexpected 'a'", "&&"),
        ("t.s == 'x", 8, 'the condition is no CEL expression: unexpected "\'"', "compare"),
    ],
)
def test_read_condition_outside_envelope_says_what_and_where(
    small: FactCatalogue, text: str, column: int, message: str, hint: str
) -> None:
    with pytest.raises(PackInvalid) as caught:
        read(text, small)
    assert caught.value.message == f"f.yaml:1:{column}: {message}"
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "text", ["!" * 60 + "t.p", "(" * 900 + "t.p" + ")" * 900 + " && !" * 3, "t.p || " * 400 + "t.p"]
)
def test_read_condition_monstrous_text_is_refused(small: FactCatalogue, text: str) -> None:
    with pytest.raises(PackInvalid):
        read(text, small)


def test_read_condition_many_brackets_change_nothing(small: FactCatalogue) -> None:
    assert read("(" * 500 + "t.p" + ")" * 500, small) == read("t.p", small)
