"""The policy engine: facts in, verdicts out, by the one pack in effect at the time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from engine.domain.clock import format_time
from engine.domain.errors import PackInvalid, PolicyError, UnknownReference
from engine.domain.verdicts import (
    Effect,
    FactSet,
    FiredRule,
    PackRef,
    PublicReason,
    RuleTrace,
    Verdict,
)
from engine.policy.catalogue import FactCatalogue
from engine.policy.compiling import compile_rules
from engine.policy.decisions import CATALOGUES
from engine.policy.evaluating import traces
from engine.policy.guarded import Fired, GuardedRules
from engine.policy.packs import Pack, read_pack
from engine.policy.reasons import ReasonCatalogue, read_reasons

REASONS_FILE = "reasons.yaml"
"""The file of a rules folder that holds no pack but the reason catalogue."""

_MOST_REMEMBERED = 4_096


class PolicyEngine:
    """Decides by packs; safe to use from any number of threads.

    Parameters
    ----------
    packs
        At most one in effect at any time for each decision.
    reasons
        Must hold every reason that a rule gives.
    catalogues
        The facts of each decision.

    Raises
    ------
    PackInvalid
        If two packs of one decision overlap in time, a reason is unknown, or a rule does not fit
        into durable_rules.
    PolicyError
        If there is no pack.
    """

    def __init__(
        self,
        packs: Sequence[Pack],
        reasons: ReasonCatalogue,
        catalogues: Mapping[str, FactCatalogue] = CATALOGUES,
    ) -> None:
        if not packs:
            raise PolicyError("there are no rule packs", "nothing may be allowed without rules")
        _check_reasons(packs, reasons)
        _check_windows(packs)
        self._reasons = reasons
        self._catalogues = catalogues
        self._enforced = tuple(_EnforcedPack(pack, catalogues[pack.decides]) for pack in packs)

    @classmethod
    def from_folder(
        cls, folder: Path, catalogues: Mapping[str, FactCatalogue] = CATALOGUES
    ) -> PolicyEngine:
        """Load every `*.yaml` of `folder` as a pack, and `reasons.yaml` as the reasons.

        Raises
        ------
        PackInvalid
            If a file is not understood; the message begins with `file:line:column`.
        PolicyError
            If the folder or its reasons cannot be read, or there is no pack.
        """
        reasons = read_reasons(_text(folder / REASONS_FILE), REASONS_FILE)
        packs = [
            read_pack(_text(path), path.name, catalogues)
            for path in sorted(folder.glob("*.yaml"))
            if path.name != REASONS_FILE
        ]
        return cls(packs, reasons, catalogues)

    def decide_many(self, decision: str, facts: Sequence[FactSet], at: int) -> list[Verdict]:
        """Decide on each set of facts; deny beats review beats allow.

        Parameters
        ----------
        decision
            Such as `gift_send`.
        facts
            Complete by the decision's catalogue, best made with its `fact_set`.
        at
            The instant in microseconds: the pack in effect then decides.

        Returns
        -------
        list[Verdict]
            One for each set of facts, in order.

        Raises
        ------
        FactsInvalid
            If any facts do not fit the catalogue exactly.
        PolicyError
            If no pack is in effect, or the rules engine did anything unexpected. Nobody was
            allowed anything: the caller must send nothing.
        """
        enforced = self._in_effect(decision, at)
        return enforced.decide(facts)

    def catalogue(self, decision: str) -> FactCatalogue:
        """Return the facts that `decision` is made on.

        Raises
        ------
        UnknownReference
            If there is no such decision.
        """
        try:
            return self._catalogues[decision]
        except KeyError:
            raise UnknownReference(
                f"no decision is called {decision!r}", f"known: {', '.join(self._catalogues)}"
            ) from None

    def packs(self) -> list[PackRef]:
        """Return which packs are loaded, in effect or not."""
        return [enforced.pack.ref for enforced in self._enforced]

    def in_effect(self, decision: str, at: int) -> PackRef:
        """Return the pack that decides `decision` at the instant `at` (microseconds).

        Raises
        ------
        PolicyError
            If none does.
        """
        return self._in_effect(decision, at).pack.ref

    def explain(self, verdict: Verdict, facts: FactSet) -> list[RuleTrace]:
        """Say why each fired rule of `verdict` fired: its comparisons as they stood.

        For operators only. Evaluated in plain Python, not by the engine that decided.

        Raises
        ------
        FactsInvalid
            If the facts do not fit the catalogue.
        PolicyError
            If the pack that decided is not loaded.
        """
        for enforced in self._enforced:
            if enforced.pack.ref == verdict.pack:
                return enforced.explain(verdict, facts)
        raise PolicyError(
            f"pack {verdict.pack.pack} version {verdict.pack.version} is not loaded",
            "explain with the rules that decided",
        )

    def public_reasons(self, codes: Iterable[str], language: str) -> list[PublicReason]:
        """Return what anyone may be told of these reason codes; see `ReasonCatalogue.public`."""
        return self._reasons.public(codes, language)

    @property
    def retired_engines(self) -> int:
        """How many rules engines were given up after an anomaly since the start: 0 is healthy."""
        return sum(enforced.rules.retired for enforced in self._enforced)

    def close(self) -> None:
        """Free the rules engines; checks that are under way still finish."""
        for enforced in self._enforced:
            enforced.rules.close()

    def _in_effect(self, decision: str, at: int) -> _EnforcedPack:
        self.catalogue(decision)
        for enforced in self._enforced:
            if enforced.pack.decides == decision and enforced.pack.holds_at(at):
                return enforced
        raise PolicyError(
            f"no pack for {decision} is in effect at {format_time(at)}",
            "add a pack whose effective window holds this instant",
        )


class _EnforcedPack:
    """A pack with its compiled rules."""

    def __init__(self, pack: Pack, catalogue: FactCatalogue) -> None:
        self.pack = pack
        self.rules = GuardedRules(compile_rules(pack.ref.pack, pack.rules), catalogue)
        self._catalogue = catalogue
        # A verdict depends on nothing but the rules that fired, and few sets of rules ever do.
        self._remembered: dict[Fired, Verdict] = {}

    def decide(self, facts: Sequence[FactSet]) -> list[Verdict]:
        rows = [self._catalogue.row(given) for given in facts]
        return [self._verdict(fired) for fired in self.rules.fired(rows)]

    def explain(self, verdict: Verdict, facts: FactSet) -> list[RuleTrace]:
        self._catalogue.row(facts)
        fired = {rule.rule for rule in verdict.fired}
        return [
            RuleTrace(rule.id, rule.description, traces(rule.condition, facts.values))
            for rule in self.pack.rules
            if rule.id in fired
        ]

    def _verdict(self, fired: Fired) -> Verdict:
        known = self._remembered.get(fired)
        if known is not None:
            return known
        outcomes: tuple[FiredRule, ...] = tuple(
            self.pack.rules[index].outcome for index in sorted(fired)
        )
        effect = max((o.effect for o in outcomes), key=_severity, default=Effect.ALLOW)
        verdict = Verdict(self.pack.decides, effect, outcomes, self.pack.ref)
        if len(self._remembered) < _MOST_REMEMBERED:
            self._remembered[fired] = verdict
        return verdict


def _severity(effect: Effect) -> int:
    return effect.severity


def _check_reasons(packs: Sequence[Pack], reasons: ReasonCatalogue) -> None:
    for pack in packs:
        for rule in pack.rules:
            if rule.outcome.reason not in reasons:
                raise PackInvalid(
                    f"{rule.written_at}: the rule {rule.id!r} gives the unknown reason "
                    f"{rule.outcome.reason}",
                    f"add it to {REASONS_FILE}",
                )


def _check_windows(packs: Sequence[Pack]) -> None:
    ordered = sorted(packs, key=lambda pack: (pack.decides, pack.effective_from))
    for earlier, later in pairwise(ordered):
        if earlier.decides == later.decides and earlier.holds_at(later.effective_from):
            raise PackInvalid(
                f"{earlier.file} and {later.file} both decide {later.decides} from "
                f"{format_time(later.effective_from)}",
                "end the earlier pack where the later one begins",
            )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"cannot read {path.name}: {error}", "check LISHANG_RULES") from error
