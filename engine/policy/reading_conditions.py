"""CEL text to a typed condition: what fits the safe envelope is read, all else is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from lark import Tree

from engine.domain.errors import PackInvalid
from engine.domain.verdicts import FactValue
from engine.policy.catalogue import FactCatalogue
from engine.policy.cel_tree import Syntax, chain, child, parse_cel, span, token_of, unwrap
from engine.policy.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    FactName,
    Membership,
    Negation,
    Operator,
)
from engine.policy.constants import Constant, calculate, text_constant, whole_number
from engine.policy.entries import FactType

ParamValue = bool | int | str | tuple[int | str, ...]
"""What a pack's parameter may be."""

DEEPEST_NESTING = 40

_MOST_NAMED = 100
"""Known names that an unknown one is compared with; to compare two takes 0.1 ms."""

_OPERATORS = {
    "relation_eq": Operator.EQUAL,
    "relation_ne": Operator.NOT_EQUAL,
    "relation_lt": Operator.LESS,
    "relation_le": Operator.AT_MOST,
    "relation_gt": Operator.MORE,
    "relation_ge": Operator.AT_LEAST,
}
_ARITHMETIC = {
    "addition_add": "+",
    "addition_sub": "-",
    "multiplication_mul": "*",
    "multiplication_div": "/",
    "multiplication_mod": "%",
}
_FUNCTION = ("functions cannot be compiled", "ask for a derived fact instead")
_REFUSED = {
    "expr": ("a choice with ?: cannot be compiled", "write two rules, or use && and ||"),
    **dict.fromkeys(("member_dot_arg", "ident_arg", "dot_ident_arg"), _FUNCTION),
    "member_index": ("an index cannot be compiled", "facts are flat: ask for a derived fact"),
    "member_object": ("an object cannot be compiled", "facts are flat: ask for a derived fact"),
    "map_lit": ("a map cannot be compiled", "use a list, or several comparisons"),
    "dot_ident": ("a leading dot cannot be compiled", "name the fact as the catalogue does"),
}


@dataclass(frozen=True, slots=True)
class _Fact:
    name: str
    type: FactType


@dataclass(frozen=True, slots=True)
class _List:
    values: tuple[Constant, ...]


_Operand = _Fact | Constant | _List


def read_condition(
    text: str,
    catalogue: FactCatalogue,
    params: Mapping[str, ParamValue],
    locate: Callable[[int], str],
) -> Condition:
    """Read a condition over the facts of one decision.

    Parameters
    ----------
    text
        CEL: comparisons of a fact with a constant, a parameter or another fact; `&&`, `||`, `!`,
        `in [list]`, bare boolean facts, whole-number arithmetic over parameters and constants.
    catalogue
        The facts that may be named.
    params
        The pack's parameters, read as `params.<name>`.
    locate
        Turns a character offset within `text` into `file:line:column`.

    Raises
    ------
    PackInvalid
        If the text is no CEL, names an unknown fact or parameter, mixes types, or says something
        that durable_rules cannot be trusted with. The message begins with the place.
    """
    tree = parse_cel(text, locate)
    return _Reader(text, catalogue, params, locate).condition(tree, 0)


class _Reader:
    """Walks one parsed condition."""

    def __init__(
        self,
        text: str,
        catalogue: FactCatalogue,
        params: Mapping[str, ParamValue],
        locate: Callable[[int], str],
    ) -> None:
        self._text = text
        self._catalogue = catalogue
        self._params = params
        self._locate = locate
        self._params_met = 0

    def condition(self, tree: Syntax, depth: int) -> Condition:
        tree = unwrap(tree)
        if depth > DEEPEST_NESTING:
            raise self._refusal(tree, "the condition is nested too deeply", "write several rules")
        if tree.data in ("conditionalor", "conditionaland"):
            join = AnyOf if tree.data == "conditionalor" else AllOf
            return join(tuple(self.condition(part, depth + 1) for part in chain(tree)))
        if tree.data == "unary" and child(tree, 0).data == "unary_not":
            return Negation(self.condition(child(tree, 1), depth + 1))
        if tree.data == "relation":
            return self._relation(tree, depth)
        operand = self._operand(tree, depth)
        if isinstance(operand, _Fact) and operand.type is FactType.BOOL:
            return Comparison(operand.name, Operator.EQUAL, True)
        raise self._refusal(
            tree,
            f"{self._source(tree)} is no condition",
            "compare it with something, or use a fact that is true or false",
        )

    def _relation(self, tree: Syntax, depth: int) -> Condition:
        sign = child(tree, 0)
        params_before = self._params_met
        sides = child(sign, 0), child(tree, 1)
        left, right = (self._operand(side, depth + 1) for side in sides)
        # One side is a fact, so a parameter was met on the other one.
        constant = sides[0] if isinstance(right, _Fact) else sides[1]
        source = self._source(constant) if self._params_met > params_before else None
        if sign.data == "relation_in":
            return self._membership(tree, left, right, source)
        asked = _OPERATORS[str(sign.data)]
        if not isinstance(left, _Fact):
            left, right, asked = right, left, asked.mirrored
        if not isinstance(left, _Fact):
            raise self._refusal(tree, "no fact is compared here", "one side must be a fact")
        if isinstance(right, _List):
            raise self._refusal(
                tree, "a list is compared as a value", "use in for lists", "WRONG_TYPE"
            )
        self._check_type(tree, left, right.type)
        if asked.orders and left.type is not FactType.INT:
            raise self._refusal(
                tree,
                f"{left.name} is {left.type.said} and has no order",
                "use == or != here: only whole numbers are ordered",
                "WRONG_TYPE",
            )
        if isinstance(right, _Fact):
            return Comparison(left.name, asked, FactName(right.name))
        self._check_listed(tree, left, right.value)
        return Comparison(left.name, asked, right.value, source)

    def _membership(
        self, tree: Syntax, left: _Operand, right: _Operand, source: str | None
    ) -> Condition:
        if not isinstance(left, _Fact):
            raise self._refusal(
                tree, "no fact stands before in", "write fact in [values]", "WRONG_TYPE"
            )
        if not isinstance(right, _List):
            raise self._refusal(
                tree, "no list stands after in", "write fact in [values]", "WRONG_TYPE"
            )
        if not right.values:
            raise self._refusal(tree, "an empty list holds nothing", "list at least one value")
        for constant in right.values:
            self._check_type(tree, left, constant.type)
            self._check_listed(tree, left, constant.value)
        values = tuple(dict.fromkeys(c.value for c in right.values))
        return Membership(left.name, values, source)

    def _operand(self, tree: Syntax, depth: int) -> _Operand:
        tree = unwrap(tree)
        kind = str(tree.data)
        if depth > DEEPEST_NESTING:
            raise self._refusal(tree, "the condition is nested too deeply", "write several rules")
        if kind in ("ident", "member_dot"):
            return self._named(tree)
        if kind == "literal":
            return self._literal(tree)
        if kind == "list_lit":
            return _List(tuple(self._constants(tree, depth)))
        if kind in ("addition", "multiplication"):
            return self._arithmetic(tree, depth)
        if kind == "unary" and child(tree, 0).data == "unary_neg":
            return Constant(-self._number(child(tree, 1), depth + 1))
        if kind in _REFUSED:
            raise self._refusal(tree, *_REFUSED[kind])
        raise self._refusal(
            tree, f"{self._source(tree)} stands where a value must", "join comparisons with &&, ||"
        )

    def _named(self, tree: Syntax) -> _Operand:
        name = self._dotted(tree)
        if name.startswith("params."):
            return self._param(tree, name.removeprefix("params."))
        if name not in self._catalogue:
            raise self._unknown(tree, "fact", name, self._catalogue.names, "UNKNOWN_FACT")
        return _Fact(name, self._catalogue[name].type)

    def _param(self, tree: Syntax, name: str) -> _Operand:
        if name not in self._params:
            raise self._unknown(tree, "parameter", name, tuple(self._params), "UNKNOWN_PARAM")
        self._params_met += 1
        value = self._params[name]
        if isinstance(value, tuple):
            return _List(tuple(Constant(item) for item in value))
        return Constant(value)

    def _dotted(self, tree: Syntax) -> str:
        tree = unwrap(tree)
        if tree.data == "ident":
            return str(token_of(tree))
        if tree.data == "member_dot":
            return f"{self._dotted(child(tree, 0))}.{token_of(tree)}"
        if str(tree.data) in _REFUSED:
            raise self._refusal(tree, *_REFUSED[str(tree.data)])
        raise self._refusal(tree, f"{self._source(tree)} is no name", "write subject.fact")

    def _literal(self, tree: Syntax) -> Constant:
        token = token_of(tree)
        constant: Constant | None = None
        if token.type == "BOOL_LIT":
            constant = Constant(token.value == "true")
        elif token.type == "STRING_LIT":
            constant = text_constant(str(token.value))
        elif token.type == "INT_LIT":
            constant = whole_number(int(token.value, 0 if "x" in token.value else 10))
        if constant is None:
            raise self._refusal(
                tree,
                f"{token.value} is no value a fact can have",
                "use true, false, a whole number within ±2^53 (money in fen) or a plain text",
                "OUT_OF_RANGE",
            )
        return constant

    def _constants(self, tree: Syntax, depth: int) -> Iterator[Constant]:
        for listed in tree.children:
            for item in listed.children if isinstance(listed, Tree) else ():
                assert isinstance(item, Tree)
                operand = self._operand(item, depth + 1)
                if not isinstance(operand, Constant):
                    raise self._refusal(
                        item, f"{self._source(item)} is no constant", "list constants only"
                    )
                yield operand

    def _arithmetic(self, tree: Syntax, depth: int) -> Constant:
        sign = child(tree, 0)
        left = self._number(child(sign, 0), depth + 1)
        right = self._number(child(tree, 1), depth + 1)
        result = calculate(left, _ARITHMETIC[str(sign.data)], right)
        if result is None:
            raise self._refusal(
                tree,
                f"{self._source(tree)} cannot be calculated",
                "divide by no zero and stay within ±2^53",
                "OUT_OF_RANGE",
            )
        return result

    def _number(self, tree: Syntax, depth: int) -> int:
        operand = self._operand(tree, depth)
        if isinstance(operand, _Fact):
            raise self._refusal(
                tree,
                f"arithmetic on the fact {operand.name}",
                "calculate with parameters and constants only, or ask for a derived fact",
            )
        if isinstance(operand, _List) or type(operand.value) is not int:
            raise self._refusal(
                tree,
                f"{self._source(tree)} is no whole number",
                "calculate with whole numbers",
                "WRONG_TYPE",
            )
        return operand.value

    def _check_type(self, tree: Syntax, fact: _Fact, other: FactType) -> None:
        if fact.type is not other:
            raise self._refusal(
                tree,
                f"{fact.name} is {fact.type.said} and is compared with {other.said}",
                "compare like with like",
                "WRONG_TYPE",
            )

    def _check_listed(self, tree: Syntax, fact: _Fact, value: FactValue) -> None:
        listed = self._catalogue[fact.name].values
        if listed and value not in listed:
            what = f"value of {fact.name}"
            raise self._unknown(tree, what, str(value), listed, "UNKNOWN_VALUE")

    def _unknown(
        self, tree: Syntax, what: str, name: str, known: tuple[str, ...], fault: str
    ) -> PackInvalid:
        near = get_close_matches(name, known[:_MOST_NAMED], n=1)
        listed = ", ".join(known[:_MOST_NAMED]) or "none"
        more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
        hint = f"did you mean {near[0]}?" if near else f"known: {listed}{more}"
        return self._refusal(tree, f"unknown {what} {name!r}", hint, fault)

    def _refusal(
        self, tree: Syntax, message: str, hint: str, fault: str = "NOT_COMPILABLE"
    ) -> PackInvalid:
        start, _ = span(tree) or (0, 0)
        return PackInvalid(f"{self._locate(start)}: {message}", hint, fault)

    def _source(self, tree: Syntax) -> str:
        written = span(tree)
        return "a constant" if written is None else self._text[slice(*written)]
