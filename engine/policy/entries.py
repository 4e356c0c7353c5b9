"""What a rule may read, a fact, and what it may set, an output: one entry each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engine.domain.verdicts import GREATEST_NUMBER, LONGEST_TEXT, FactValue


class FactType(StrEnum):
    """What a fact may be."""

    BOOL = "bool"
    INT = "int"
    TEXT = "text"

    @property
    def python(self) -> type[FactValue]:
        """Return the exact Python type of a value."""
        return {"bool": bool, "int": int, "text": str}[self.value]

    @property
    def said(self) -> str:
        """Return the type as error messages name it."""
        return {"bool": "true or false", "int": "a whole number", "text": "a text"}[self.value]


@dataclass(frozen=True, slots=True)
class FactEntry:
    """One fact that a rule may read.

    `when_unknown` is the conservative value that stands for a fact nobody knows; an entry without
    one must always be known. `values` lists all texts that an enumerated text may be. A whole
    number lies within `least` and `greatest`, both included, and so does its conservative value;
    lint trusts these bounds, so that a rule beyond them never fires.
    """

    name: str
    type: FactType
    supplier: str
    description: str
    unit: str = ""
    when_unknown: FactValue | None = None
    values: tuple[str, ...] = ()
    derived_by: str = ""
    """The named function that computes it, for a derived fact."""
    least: int = -GREATEST_NUMBER
    greatest: int = GREATEST_NUMBER

    @property
    def may_be_unknown(self) -> bool:
        """Whether a companion `…_known` fact goes with this one."""
        return self.when_unknown is not None

    @property
    def neutral(self) -> FactValue:
        """The plainest value: false, the number nearest to 0, the first text or else an empty
        one."""
        if self.type is FactType.INT:
            return min(max(0, self.least), self.greatest)
        return False if self.type is FactType.BOOL else (*self.values, "")[0]

    @property
    def asked(self) -> str:
        """What a value must be, as hints name it."""
        if (self.least, self.greatest) == (-GREATEST_NUMBER, GREATEST_NUMBER):
            return self.type.said
        ends = "" if self.greatest == GREATEST_NUMBER else f" to {self.greatest}"
        return f"{self.type.said} from {self.least}{ends}"

    def fault(self, value: object) -> str | None:
        """Return what is wrong with `value` for this entry, or None."""
        if type(value) is not self.type.python:
            return f"must be {self.type.said}, not {type(value).__name__}"
        if isinstance(value, str):
            if self.values and value not in self.values:
                return f"must be one of {', '.join(self.values)}"
            return None if sound_text(value) else f"is no UTF-8 text of at most {LONGEST_TEXT}"
        return self._beyond(value) if type(value) is int else None

    def _beyond(self, number: int) -> str | None:
        if not -GREATEST_NUMBER <= number <= GREATEST_NUMBER:
            return "lies outside ±2^53"
        if number < self.least:
            return f"must be at least {self.least}"
        return f"must be at most {self.greatest}" if number > self.greatest else None


@dataclass(frozen=True, slots=True)
class Output:
    """A value that rules of a decision may set, beside allowing, holding back or denying.

    A whole number lies within `least` and `greatest`, a text is one of `values`.
    """

    name: str
    type: FactType
    description: str
    unit: str = ""
    least: int = -GREATEST_NUMBER
    greatest: int = GREATEST_NUMBER
    values: tuple[str, ...] = ()

    def fault(self, value: object) -> str | None:
        """Return what is wrong with `value` for this output, or None."""
        if type(value) is not self.type.python:
            return f"must be {self.type.said}, not {type(value).__name__}"
        if isinstance(value, str) and self.values and value not in self.values:
            return f"must be one of {', '.join(self.values)}"
        if type(value) is int and not self.least <= value <= self.greatest:
            return f"must lie within {self.least} and {self.greatest}"
        return None


def sound_text(text: str) -> bool:
    """Whether a text is short enough and can be written as UTF-8."""
    if len(text) > LONGEST_TEXT:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
