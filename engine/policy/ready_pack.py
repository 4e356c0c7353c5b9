"""A pack ready to decide: its rules compiled, its verdicts remembered."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.verdicts import Effect, FiredRule, Verdict
from engine.policy.catalogue import FactCatalogue, Row
from engine.policy.compiling import compile_rules
from engine.policy.guarded import Fired, GuardedRules
from engine.policy.packs import Pack

_MOST_REMEMBERED = 512


class ReadyPack:
    """Decides by one pack; safe to use from any number of threads.

    Parameters
    ----------
    pack
        The pack.
    catalogue
        The facts of its decision.

    Raises
    ------
    PackInvalid
        If a rule does not fit into durable_rules.
    PolicyError
        If durable_rules refuses the rules.
    """

    def __init__(self, pack: Pack, catalogue: FactCatalogue) -> None:
        self.pack = pack
        self._rules = GuardedRules(compile_rules(pack.ref.pack, pack.rules), catalogue)
        # A verdict depends on nothing but the rules that fired, and few sets of rules ever do.
        self._remembered: dict[Fired, Verdict] = {}

    @property
    def retired(self) -> int:
        """How many engines were given up after an anomaly."""
        return self._rules.retired

    def decide(self, rows: Sequence[Row]) -> list[Verdict]:
        """Return the verdict on each row of the catalogue.

        Raises
        ------
        PolicyError
            If the rules engine did anything unexpected.
        """
        fired = self._rules.fired(rows)
        try:
            return [*map(self._remembered.__getitem__, fired)]
        except KeyError:
            return [*map(self.verdict, fired)]

    def verdict(self, fired: Fired) -> Verdict:
        """Return what follows from the rules with these indices having fired."""
        known = self._remembered.get(fired)
        if known is None:
            known = verdict_of(self.pack, fired)
            if len(self._remembered) < _MOST_REMEMBERED:
                self._remembered[fired] = known
        return known

    def close(self) -> None:
        """Free the rules engines; checks that are under way still finish."""
        self._rules.close()


def verdict_of(pack: Pack, fired: Fired) -> Verdict:
    """Return what follows from the rules of `pack` with these indices having fired."""
    outcomes: tuple[FiredRule, ...] = tuple(pack.rules[index].outcome for index in sorted(fired))
    effect = max((o.effect for o in outcomes), key=_severity, default=Effect.ALLOW)
    return Verdict(pack.decides, effect, outcomes, pack.ref)


def _severity(effect: Effect) -> int:
    return effect.severity
