"""Constants of a condition: literals, and whole-number arithmetic folded when a pack is read."""

from __future__ import annotations

from dataclasses import dataclass

from engine.domain.verdicts import GREATEST_NUMBER, LONGEST_TEXT, FactValue
from engine.policy.entries import FactType


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is known when the pack is read."""

    value: FactValue

    @property
    def type(self) -> FactType:
        """Return the type of fact that it can be compared with."""
        if isinstance(self.value, bool):
            return FactType.BOOL
        return FactType.INT if isinstance(self.value, int) else FactType.TEXT


def whole_number(value: int) -> Constant | None:
    """Return `value` as a constant, or None outside ±2^53."""
    return Constant(value) if -GREATEST_NUMBER <= value <= GREATEST_NUMBER else None


def text_constant(literal: str) -> Constant | None:
    """Return the text that a quoted CEL literal stands for, or None if it uses escapes."""
    if literal[0] in "rR":
        return None
    text = literal[1:-1]
    return None if "\\" in text or len(text) > LONGEST_TEXT else Constant(text)


def calculate(left: int, sign: str, right: int) -> Constant | None:
    """Return `left sign right` for + - * / %, or None where it has no value within ±2^53.

    Division truncates toward zero and the remainder takes the sign of `left` (CEL language
    definition, "Arithmetic").
    """
    if sign in "/%":
        if right == 0:
            return None
        quotient = abs(left) // abs(right) * (1 if (left < 0) is (right < 0) else -1)
        return whole_number(quotient if sign == "/" else left - quotient * right)
    return whole_number({"+": left + right, "-": left - right, "*": left * right}[sign])
