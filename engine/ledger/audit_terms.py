"""The proof of the terms: each gift's shares are those that a recorded decision gave it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

import orjson
from sqlalchemy import Connection

from engine.domain.verdicts import Effect, FactValue, PackRef, Verdict, fired_rules
from engine.ledger.audit_reading import KeptGift, mistyped
from engine.ledger.statements import Statement

_DECISION, _PURPOSE, _VOUCHER = "gift_settle", "settle", "voucher"
_FIND = Statement("""
SELECT decision_id, decision, purpose, effect, fired, facts
FROM {each:ids} JOIN decisions ON decision_id = ids.value ->> 0
""")


class Settlement(NamedTuple):
    """A recorded decision that a gift's terms name."""

    decision_id: str
    decision: str
    purpose: str
    effect: str
    fired: str
    facts: str


def settlements(connection: Connection, ids: Iterable[str]) -> Mapping[str, Settlement]:
    """Return the recorded decisions with these ids."""
    asked = orjson.dumps([[one] for one in ids]).decode()
    found = map(Settlement._make, _FIND.rows(connection, ids=asked))
    return {one.decision_id: one for one in found}


def fault_in_terms(gift: KeptGift, settled: Settlement | None) -> str | None:
    """Say what is wrong with a gift's terms; None where their decision gave them to such a gift.

    Who the brand, the creator and the owner are no decision says, only whether there is one.
    """
    named = gift.terms.decision_id
    if settled is None:
        return f"has terms of {named}, which is no recorded decision"
    if mistyped(Settlement, settled):
        return f"has terms of {named}, which cannot be read"
    if (settled.decision, settled.purpose, settled.effect) != (_DECISION, _PURPOSE, Effect.ALLOW):
        return f"has terms of {named}, which settled nothing"
    outputs, facts = _said(settled.fired), _told(settled.facts)
    if outputs is None or facts is None:
        return f"has terms of {named}, which cannot be read"
    for name, value, decided in (*_shares(gift, outputs), *_about(gift, facts)):
        if value != decided:
            return f"has {name} {value}, but {named} decided on {decided}"
    return None


_Held = Iterable[tuple[str, object, object]]
"""What the gift says and what was recorded, by name."""


def _shares(gift: KeptGift, outputs: Mapping[str, FactValue]) -> _Held:
    terms = gift.terms
    return (
        ("platform_ppm", terms.platform_ppm, outputs.get("settle.platform_ppm")),
        ("creator_ppm", terms.creator_ppm, outputs.get("settle.creator_ppm", 0)),
        ("ip_owner_ppm", terms.ip_owner_ppm, outputs.get("settle.ip_owner_ppm", 0)),
        ("tax_ppm", terms.tax_ppm, outputs.get("settle.tax_ppm", 0)),
        ("pay_on", terms.pay_on, outputs.get("settle.pay_on")),
        ("voucher_days", terms.voucher_days, outputs.get("settle.voucher_days", 0)),
    )


def _about(gift: KeptGift, facts: Mapping[str, object]) -> _Held:
    terms = gift.terms
    return (
        ("relation", gift.relation, facts.get("gift.relation")),
        ("price_fen", gift.price_fen, facts.get("gift.price_fen")),
        ("is_voucher", terms.is_voucher, facts.get("gift.kind") == _VOUCHER),
        ("a brand", terms.brand is not None, facts.get("gift.has_brand")),
        ("a creator", terms.creator is not None, facts.get("gift.has_creator")),
        ("an owner", terms.ip_owner is not None, facts.get("gift.has_ip_owner")),
    )


@lru_cache(maxsize=1_024)
def _said(fired: str) -> Mapping[str, FactValue] | None:
    """Return what the rules that fired set; None where they cannot be read."""
    try:
        rules = fired_rules(fired)
        return Verdict(_DECISION, Effect.ALLOW, rules, PackRef("", 0, "")).outputs
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


@lru_cache(maxsize=4_096)
def _told(facts: str) -> Mapping[str, object] | None:
    """Return the facts that were decided on; None where they cannot be read."""
    try:
        told = orjson.loads(facts)
    except orjson.JSONDecodeError:
        return None
    return told if isinstance(told, dict) else None
