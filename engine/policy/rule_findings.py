"""What lint says of a pack's rules taken together: dead, constant, subsumed, contradictory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from engine.domain.verdicts import Effect, FactValue, FiredRule
from engine.policy.findings import Finding, finding
from engine.policy.firing import Certainty, Firing, Firings
from engine.policy.packs import Pack, Rule
from engine.policy.satisfying import Possible
from engine.policy.saying import said
from engine.policy.vocabulary import Vocabulary

MOST_PAIRS = 100_000
"""Pairs of rules that are compared; a pack of 300 rules has nearly so many."""

_MOST_NAMED = 5
_DOES = {Effect.DENY: "denies", Effect.REVIEW: "holds back", Effect.ALLOW: "allows"}


def rule_findings(pack: Pack, vocabulary: Vocabulary) -> Iterator[Finding]:
    """Yield what can be said of the rules of `pack` by when they fire.

    A rule that never fires or always does is compared with no other.
    """
    firings = Firings(vocabulary)
    left: list[Firing] = []
    for rule in pack.rules:
        firing = firings.of(rule)
        found = list(_constant(firing, firings))
        yield from found
        if firing.fires_on and not found:
            left.append(firing)
    compared = _Pairs(left, firings)
    for place, firing in enumerate(left):
        if _is_plain_allow(firing.rule.outcome):
            yield from compared.contradictions(firing)
        yield from compared.subsumption(place)
    if compared.left_out:
        yield finding(
            "UNDECIDED",
            f"{pack.file}:1:1",
            "not all pairs of rules are compared",
            f"lint compares {MOST_PAIRS} pairs: split the pack",
        )


def _constant(firing: Firing, firings: Firings) -> Iterator[Finding]:
    """Yield whether a rule never or always fires."""
    rule = firing.rule
    never = firings.never_fires(firing)
    if never is Certainty.UNKNOWN:
        yield _undecided(rule, "ever fires")
    if never in (Certainty.ALWAYS, Certainty.NOW):
        parts = [said(part) for part in firings.exclusive(firing)]
        why = f"{' and '.join(parts)} cannot hold" + (" together" if len(parts) > 1 else "")
        if never is Certainty.ALWAYS:
            yield _about(rule, "NEVER_FIRES", f"never fires: {why}", "correct its condition")
        else:
            yield _about(
                rule,
                "NEVER_FIRES_NOW",
                f"never fires under the present parameters: {why}",
                "change the parameters, or take the rule out",
            )
    if not firing.fires_on:
        return
    always = firings.always_fires(firing)
    witness = firings.witness(firing.fires_on[0], firing)
    if always is Certainty.UNKNOWN:
        yield _undecided(rule, "always fires")
    elif always is not Certainty.NOT and rule.outcome.sets:
        yield _about(
            rule,
            "SETS_ALWAYS",
            "always fires",
            "right for a default that rules of higher priority replace; if not, correct it",
            witness,
        )
    elif always is Certainty.ALWAYS:
        yield _about(
            rule,
            "ALWAYS_FIRES",
            f"always fires, so it {_DOES[rule.outcome.effect]} everything",
            "correct its condition",
            witness,
        )
    elif always is Certainty.NOW:
        yield _about(
            rule,
            "ALWAYS_FIRES_NOW",
            "always fires under the present parameters, so it "
            f"{_DOES[rule.outcome.effect]} everything",
            "change the parameters, or correct its condition",
            witness,
        )


class _Pairs:
    """Compares rules of one pack with each other."""

    def __init__(self, rules: Sequence[Firing], firings: Firings) -> None:
        self._rules = rules
        self._firings = firings
        self._looks = MOST_PAIRS
        self.left_out = False

    def subsumption(self, place: int) -> Iterator[Finding]:
        """Yield the first rule that makes the one at `place` needless, and what is not decided."""
        inner = self._rules[place]
        unsure: list[str] = []
        for index, outer in enumerate(self._rules):
            if index == place or not _covers(outer.rule.outcome, inner.rule.outcome):
                continue
            if not inner.subjects & outer.subjects:
                continue
            if not self._may_look():
                break
            within = self._firings.lies_within(inner, outer)
            if within is Certainty.UNKNOWN:
                unsure.append(outer.rule.id)
            if within in (Certainty.UNKNOWN, Certainty.NOT) or self._is_told_of_the_other(
                inner, outer, index > place
            ):
                continue
            witness = self._firings.witness(inner.fires_on[0], inner, outer)
            now = " under the present parameters" if within is Certainty.NOW else ""
            yield _about(
                inner.rule,
                "SUBSUMED",
                f"fires only where {_named(outer.rule)} fires{now}, "
                f"{_loss(inner.rule.outcome, outer.rule.outcome)}",
                f"take it out, or narrow {outer.rule.id!r}",
                witness,
            )
            return
        if unsure:
            yield _undecided(inner.rule, f"fires only where {_listed(unsure)} fires")

    def contradictions(self, allow: Firing) -> Iterator[Finding]:
        """Yield the rules that deny or hold back what the rule `allow` allows."""
        unsure: list[str] = []
        for other in self._rules:
            if other.rule.outcome.effect is Effect.ALLOW:
                continue
            if not self._may_look():
                break
            overlap = self._firings.overlap(allow, other)
            if overlap.possible is Possible.UNKNOWN:
                unsure.append(other.rule.id)
            if overlap.possible is not Possible.YES:
                continue
            witness = self._firings.witness(overlap.facts, allow, other)
            within = self._firings.lies_within(allow, other)
            does = _DOES[other.rule.outcome.effect]
            beats = f"{other.rule.outcome.effect} beats allow"
            if other.rule.outcome.effect is not Effect.DENY or within in (
                Certainty.NOT,
                Certainty.UNKNOWN,
            ):
                yield _about(
                    allow.rule,
                    "CONTRADICTS",
                    f"allows what {_named(other.rule)} {does}; {beats}",
                    f"say in {other.rule.id!r} what it does not govern",
                    witness,
                )
            elif within is Certainty.ALWAYS:
                yield _about(
                    allow.rule,
                    "OVERRULED",
                    f"allows only what {_named(other.rule)} denies; {beats}",
                    f"take it out, or say in {other.rule.id!r} what it does not govern",
                    witness,
                )
            else:
                yield _about(
                    allow.rule,
                    "OVERRULED_NOW",
                    f"allows only what {_named(other.rule)} denies under the present parameters; "
                    f"{beats}",
                    f"change the parameters, or say in {other.rule.id!r} what it does not govern",
                    witness,
                )
        if unsure:
            yield _undecided(allow.rule, f"contradicts {_listed(unsure)}")

    def _is_told_of_the_other(self, inner: Firing, outer: Firing, later: bool) -> bool:
        """Whether two rules fire on the same facts and the later one is the needless one."""
        return (
            later
            and _covers(inner.rule.outcome, outer.rule.outcome)
            and self._firings.lies_within(outer, inner) in (Certainty.ALWAYS, Certainty.NOW)
        )

    def _may_look(self) -> bool:
        self.left_out = self._looks == 0
        self._looks -= not self.left_out
        return not self.left_out


def _covers(outer: FiredRule, inner: FiredRule) -> bool:
    """Whether a rule makes another one needless, if it fires wherever that one does."""
    if inner.sets:
        set_too = {name for name, _ in outer.sets}
        return outer.priority > inner.priority and set_too.issuperset(n for n, _ in inner.sets)
    if outer.sets or (inner.effect is Effect.ALLOW) is not (outer.effect is Effect.ALLOW):
        return False
    return outer.effect.severity >= inner.effect.severity


def _is_plain_allow(outcome: FiredRule) -> bool:
    return outcome.effect is Effect.ALLOW and not outcome.sets


def _loss(inner: FiredRule, outer: FiredRule) -> str:
    does = f"and that one {_DOES[outer.effect]}"
    if inner.sets:
        return "and that one sets the same with a higher priority"
    if outer.effect.severity > inner.effect.severity:
        return does
    if outer.effect is not Effect.ALLOW and inner.reason != outer.reason:
        return f"{does} too: this one adds nothing but the reason {inner.reason}"
    if inner.requires and not outer.requires:
        return f"{does} too: to meet what this one requires is not enough"
    return f"{does} too: this one changes nothing"


def _about(
    rule: Rule,
    code: str,
    message: str,
    hint: str,
    witness: Mapping[str, FactValue] | None = None,
) -> Finding:
    return finding(code, rule.written_at, f"the rule {rule.id!r} {message}", hint, rule.id, witness)


def _undecided(rule: Rule, what: str) -> Finding:
    return finding(
        "UNDECIDED",
        rule.written_at,
        f"cannot tell whether the rule {rule.id!r} {what}",
        "fewer alternatives, or fewer comparisons between facts, can be decided",
        rule.id,
    )


def _named(rule: Rule) -> str:
    return f"{rule.id!r} (line {rule.written_at.rsplit(':', 2)[1]})"


def _listed(names: Sequence[str]) -> str:
    said_names = ", ".join(map(repr, islice(names, _MOST_NAMED)))
    more = len(names) - _MOST_NAMED
    return f"{said_names} or {more} more" if more > 0 else said_names
