"""CEL text to its syntax tree, and small steps through such trees."""

from __future__ import annotations

from collections.abc import Callable

from celpy.celparser import CELParseError, CELParser
from lark import Token, Tree
from lark.exceptions import UnexpectedToken

from engine.domain.errors import PackInvalid

Syntax = Tree[Token]
"""A node of the CEL grammar; offsets are in characters of the expression."""

LONGEST_CONDITION = 2_000
"""Characters of one condition."""

_TRANSPARENT = frozenset(
    (
        "expr",
        "conditionalor",
        "conditionaland",
        "relation",
        "addition",
        "multiplication",
        "unary",
        "member",
        "primary",
        "paren_expr",
    )
)
"""Nodes that say nothing when they have one child; `a{}` and `[a]` do say something."""


def parse_cel(text: str, locate: Callable[[int], str]) -> Syntax:
    """Return the syntax tree of a CEL expression.

    Raises
    ------
    PackInvalid
        If `text` is too long or no CEL; `locate` turns its offsets into `file:line:column`.
    """
    if len(text) > LONGEST_CONDITION:
        raise PackInvalid(
            f"{locate(0)}: a condition of {len(text)} characters",
            f"at most {LONGEST_CONDITION}: write several rules",
            "OUT_OF_RANGE",
        )
    try:
        tree: Syntax = CELParser().parse(text)
    except CELParseError as error:
        offset = _offset(text, error)
        found = text[offset : offset + 1]
        what = f"unexpected {found!r}" if found.strip() else "it ends too early"
        raise PackInvalid(
            f"{locate(offset)}: the condition is no CEL expression: {what}",
            "compare with ==, !=, <, <=, >, >=, in; join with && and ||; negate with !",
            "NOT_CEL",
        ) from error
    return tree


def unwrap(tree: Syntax) -> Syntax:
    """Go down to the first node that says something: through single children and brackets."""
    while tree.data in _TRANSPARENT and len(tree.children) == 1:
        tree = child(tree, 0)
    return tree


def chain(tree: Syntax) -> list[Syntax]:
    """Return the parts of `a && b && c`, which the grammar nests to the left, in order."""
    kind = tree.data
    parts: list[Syntax] = []
    while tree.data == kind:
        parts.append(child(tree, 1))
        tree = unwrap(child(tree, 0))
    return [tree, *reversed(parts)]


def child(tree: Syntax, index: int) -> Syntax:
    """Return the child at `index`, which the grammar says is a node."""
    found = tree.children[index]
    assert isinstance(found, Tree)
    return found


def token_of(tree: Syntax) -> Token:
    """Return the last child of `tree`, which the grammar says is a token."""
    found = tree.children[-1]
    assert isinstance(found, Token)
    return found


def span(tree: Syntax) -> tuple[int, int] | None:
    """Return the offsets between which `tree` is written; celpy loses those of `true`, `false`."""
    start, end = getattr(tree.meta, "start_pos", None), getattr(tree.meta, "end_pos", None)
    return None if start is None or end is None else (start, end)


def _offset(text: str, error: CELParseError) -> int:
    # At the end of the text lark reports the place of the last token.
    unexpected = error.__context__
    ended = isinstance(unexpected, UnexpectedToken) and unexpected.token.type == "$END"
    if ended or error.line is None or error.column is None:
        return len(text.rstrip())
    before = text.split("\n")[: error.line - 1]
    return sum(len(part) + 1 for part in before) + error.column - 1
