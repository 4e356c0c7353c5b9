"""The flat attribute names that durable_rules sees, and the proof that no two of them are one."""

from __future__ import annotations

from collections.abc import Iterable
from string import ascii_letters

from engine.domain.errors import PolicyError

KIND = "kind"
"""The attribute that tells a fact of ours from the engine's own state fact."""

RESERVED = ("id", "sid", "$s", KIND)
"""Attributes that the engine or its wrapper gives a meaning of their own."""

MAX_ATTRIBUTES = 200
"""durable_rules fails at 252 attributes of one fact."""


def attribute_name(fact: str) -> str:
    """Return a catalogue fact as one flat name.

    Dots would address a nested object, so `gift.price_fen` becomes `gift_price_fen`.
    """
    return fact.replace(".", "_")


def asserted_name(number: int) -> str:
    """Return the attribute under which the fact with this number in a ruleset is asserted.

    As short as can be: durable_rules reads every name byte by byte, and copies all of them into
    its answer for each rule that fires. That no two share a hash is checked with the ruleset.
    """
    return ascii_letters[number] if number < len(ascii_letters) else f"a{number}"


def attribute_hash(attribute: str) -> int:
    """Return the number that durable_rules keeps of an ASCII attribute name.

    FNV-1a with 32 bits (json.c and state.c of durable_rules 2.0.28): the engine never compares the
    names themselves, so two names with one hash are one attribute to it.
    """
    value = 2_166_136_261
    for byte in attribute.encode("ascii"):
        value = ((value ^ byte) * 16_777_619) & 0xFFFFFFFF
    return value


def check_attributes(facts: Iterable[str]) -> None:
    """Refuse a set of fact names that durable_rules could not tell apart.

    Raises
    ------
    PolicyError
        If there are too many, or if two of them, or one and a reserved attribute, share a hash.
    """
    seen = {attribute_hash(name): name for name in RESERVED}
    names = list(facts)
    if len(names) > MAX_ATTRIBUTES:
        raise PolicyError(
            f"{len(names)} facts in one catalogue", f"at most {MAX_ATTRIBUTES} can be asserted"
        )
    for name in names:
        number = attribute_hash(attribute_name(name))
        if number in seen:
            raise PolicyError(
                f"the facts {seen[number]!r} and {name!r} are one attribute to durable_rules",
                "rename one of them: the engine compares a 32-bit hash only",
            )
        seen[number] = name
