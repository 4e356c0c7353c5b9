"""How a candidate's answer differs from a recorded one, facts that the record lacks included."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from engine.domain.verdicts import Effect, FiredRule, Verdict


class Change(StrEnum):
    """What a candidate does to one recorded decision; exactly one of these holds."""

    NEWLY_BLOCKED = "newly_blocked"
    """Allowed or held for review before, denied now."""
    NEWLY_HELD = "newly_held"
    """Allowed or denied before, held for review now."""
    NEWLY_ALLOWED = "newly_allowed"
    """Denied before, allowed now."""
    NEWLY_RELEASED = "newly_released"
    """Held for review before, allowed now."""
    OTHER_OUTPUTS = "other_outputs"
    """The same effect, but other values are set."""
    UNCHANGED = "unchanged"
    """The same effect and the same outputs, whatever the rules."""
    NOT_EVALUABLE = "not_evaluable"
    """The answer depends on facts that the record lacks."""


@dataclass(frozen=True, slots=True)
class Parting:
    """What newly holds, what no longer holds, and what nobody can tell."""

    before: frozenset[str]
    now: frozenset[str]
    """Only what surely holds."""
    newly: frozenset[str]
    no_longer: frozenset[str]
    undecided: frozenset[str]
    answerable: frozenset[str]
    """What the change of effect rests on."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A recorded verdict beside the candidate's on the same facts."""

    change: Change
    before: Effect
    now: Effect | None
    """None where it depends on facts that the record lacks."""
    rules: Parting
    reasons: Parting


def difference(recorded: Verdict, surely: Verdict, possibly: Verdict) -> Difference:
    """Compare a recorded verdict with a candidate's.

    Parameters
    ----------
    recorded
        As it was recorded.
    surely, possibly
        The candidate's on the rules that surely and that possibly fire: one and the same where
        the record holds every fact.
    """
    settled = surely.effect is possibly.effect and surely.outputs == possibly.outputs
    change = _change(recorded, surely) if settled else Change.NOT_EVALUABLE
    undecided = set(possibly.fired) - set(surely.fired)
    stricter = surely.effect.severity > recorded.effect.severity
    answerable: tuple[Iterable[FiredRule], Iterable[str]]
    if change in (Change.UNCHANGED, Change.OTHER_OUTPUTS, Change.NOT_EVALUABLE):
        answerable = (), ()
    elif stricter:
        answerable = _carrying(surely, recorded), surely.reasons
    else:
        answerable = _carrying(recorded, surely), recorded.reasons
    # What surely fires gives its reason only where nothing weightier may fire beside it.
    given = surely.reasons if settled else ()
    maybe = set(possibly.reasons) if settled else set(surely.reasons) | _reasons(undecided)
    return Difference(
        change=change,
        before=recorded.effect,
        now=surely.effect if settled else None,
        rules=_parting(
            _ids(recorded.fired), _ids(surely.fired), _ids(possibly.fired), _ids(answerable[0])
        ),
        reasons=_parting(recorded.reasons, given, maybe, answerable[1]),
    )


def _change(recorded: Verdict, found: Verdict) -> Change:
    if recorded.effect is found.effect:
        same = recorded.outputs == found.outputs
        return Change.UNCHANGED if same else Change.OTHER_OUTPUTS
    if found.effect is Effect.DENY:
        return Change.NEWLY_BLOCKED
    if found.effect is Effect.REVIEW:
        return Change.NEWLY_HELD
    return Change.NEWLY_ALLOWED if recorded.effect is Effect.DENY else Change.NEWLY_RELEASED


def _carrying(verdict: Verdict, other: Verdict) -> list[FiredRule]:
    """Return the rules that carry the effect of `verdict` and did not do so in `other`."""
    elsewhere = {(rule.rule, rule.effect) for rule in other.fired}
    carrying = (rule for rule in verdict.fired if rule.effect is verdict.effect)
    return [rule for rule in carrying if (rule.rule, rule.effect) not in elsewhere]


def _parting(
    before: Iterable[str], surely: Iterable[str], possibly: Iterable[str], answerable: Iterable[str]
) -> Parting:
    was, now, may = frozenset(before), frozenset(surely), frozenset(possibly)
    return Parting(was, now, now - was, was - may, may - now, frozenset(answerable))


def _ids(rules: Iterable[FiredRule]) -> list[str]:
    return [rule.rule for rule in rules]


def _reasons(rules: Iterable[FiredRule]) -> set[str]:
    return {rule.reason for rule in rules if rule.reason is not None}
