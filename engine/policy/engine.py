"""The policy engine: facts in, verdicts out, by the one pack in effect at the time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from engine.domain.errors import LishangError, PolicyError, UnknownReference
from engine.domain.verdicts import FactSet, PackRef, PublicReason, RuleTrace, Verdict
from engine.policy.book import Book
from engine.policy.catalogue import FactCatalogue, Row
from engine.policy.decisions import CATALOGUES
from engine.policy.evaluating import traces
from engine.policy.folder import packs_in, reasons_in
from engine.policy.packs import Pack
from engine.policy.ports import ShadowWitness
from engine.policy.ready_pack import ReadyPack
from engine.policy.reasons import ReasonCatalogue, check_reasons

_MOST_KNOWN = 64


class PolicyEngine:
    """Decides by packs; safe to use from any number of threads.

    Parameters
    ----------
    packs
        The enforced versions. Where several of one decision are in effect, the one that took
        effect last decides; of several from one instant, the first here.
    reasons
        Must hold every reason that a rule gives.
    catalogues
        The facts of each decision.
    shadows
        Versions evaluated beside the enforced ones without a say.
    witness
        Told of every shadow evaluation.
    waiting
        Whether to begin without packs where none are given: every decision is refused until the
        first swap.

    Raises
    ------
    PackInvalid
        If a reason is unknown or a rule does not fit into durable_rules.
    PolicyError
        If there is no pack.
    """

    def __init__(
        self,
        packs: Sequence[Pack],
        reasons: ReasonCatalogue,
        catalogues: Mapping[str, FactCatalogue] = CATALOGUES,
        shadows: Sequence[Pack] = (),
        witness: ShadowWitness | None = None,
        waiting: bool = False,
    ) -> None:
        self._reasons = reasons
        self._catalogues = catalogues
        self._witness = witness
        self._book = Book((), ())
        self._retired_before = 0
        # Whoever decided just before a swap may still ask for an explanation.
        self._known: OrderedDict[PackRef, Pack] = OrderedDict()
        self._swapping = threading.Lock()
        if packs or not waiting:
            self.swap(packs, shadows)

    @classmethod
    def from_folder(
        cls, folder: Path, catalogues: Mapping[str, FactCatalogue] = CATALOGUES
    ) -> PolicyEngine:
        """Load every `*.yaml` of `folder` as an enforced pack, and `reasons.yaml` as the reasons.

        Raises
        ------
        PackInvalid
            If a file is not understood (the message begins with `file:line:column`), or two packs
            of one decision overlap in time.
        PolicyError
            If the folder or its reasons cannot be read, or there is no pack.
        """
        return cls(packs_in(folder, catalogues), reasons_in(folder), catalogues)

    def swap(self, packs: Sequence[Pack], shadows: Sequence[Pack] = ()) -> None:
        """Decide by other packs from now on; all of them or, if any cannot be used, none.

        Decisions that are under way end by the packs they began with.

        Raises
        ------
        PackInvalid
            If a reason is unknown or a rule does not fit into durable_rules.
        PolicyError
            If there is no enforced pack.
        """
        if not packs:
            raise PolicyError("there are no rule packs", "nothing may be allowed without rules")
        for pack in (*packs, *shadows):
            check_reasons(pack, self._reasons)
        with self._swapping:
            before = self._book
            running = {ready.pack.ref: ready for ready in before.all}
            made: dict[PackRef, ReadyPack] = {}
            try:
                for pack in (*packs, *shadows):
                    if pack.ref not in running and pack.ref not in made:
                        made[pack.ref] = ReadyPack(pack, self._catalogues[pack.decides])
            except LishangError:
                for ready in made.values():
                    ready.close()
                raise
            usable = running | made
            book = Book(
                [usable[pack.ref] for pack in packs], [usable[pack.ref] for pack in shadows]
            )
            self._book = book
            self._remember(book)
            for ready in before.all:
                if ready not in book.all:
                    self._retired_before += ready.retired
                    ready.close()

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
        UnknownReference
            If there is no such decision.
        FactsInvalid
            If any facts do not fit the catalogue exactly.
        PolicyError
            If no pack is in effect, or the rules engine did anything unexpected. Nobody was
            allowed anything: the caller must send nothing.
        """
        rows = [*map(self.catalogue(decision).row, facts)]
        while True:
            book = self._book
            enforced = book.in_effect(decision, at)
            try:
                verdicts = enforced.decide(rows)
                break
            except PolicyError:
                # A swap may have closed these rules between the look and the use.
                if book is self._book:
                    raise
        if book.shadows and self._witness is not None:
            for shadow in book.shadows:
                if shadow.pack.decides == decision:
                    self._evaluate(shadow, book, self._witness, rows, verdicts)
        return verdicts

    def check_usable(self, pack: Pack) -> None:
        """Do nothing if this engine could decide by `pack`.

        Raises
        ------
        PackInvalid
            If a reason is unknown or a rule does not fit into durable_rules.
        PolicyError
            If durable_rules refuses the rules.
        """
        check_reasons(pack, self._reasons)
        ReadyPack(pack, self.catalogue(pack.decides)).close()

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
        """Return which packs are enforced, in effect or not."""
        return [ready.pack.ref for ready in self._book.enforced]

    def shadows(self) -> list[PackRef]:
        """Return which packs are evaluated beside them."""
        return [ready.pack.ref for ready in self._book.shadows]

    def in_effect(self, decision: str, at: int) -> PackRef:
        """Return the pack that decides `decision` at the instant `at` (microseconds).

        Raises
        ------
        UnknownReference
            If there is no such decision.
        PolicyError
            If no pack decides it then.
        """
        self.catalogue(decision)
        return self._book.in_effect(decision, at).pack.ref

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
        pack = self._known.get(verdict.pack)
        if pack is None:
            raise PolicyError(
                f"pack {verdict.pack.pack} version {verdict.pack.version} is not loaded",
                "explain with the rules that decided",
            )
        catalogue = self.catalogue(pack.decides)
        # The values that were decided on, not those that were given for them.
        values = dict(zip(catalogue.names, catalogue.row(facts), strict=True))
        fired = {rule.rule for rule in verdict.fired}
        return [
            RuleTrace(rule.id, rule.description, traces(rule.condition, values))
            for rule in pack.rules
            if rule.id in fired
        ]

    def public_reasons(self, codes: Iterable[str], language: str) -> list[PublicReason]:
        """Return what anyone may be told of these reason codes; see `ReasonCatalogue.public`."""
        return self._reasons.public(codes, language)

    @property
    def reasons(self) -> ReasonCatalogue:
        """The reasons that rules may give."""
        return self._reasons

    @property
    def retired_engines(self) -> int:
        """How many rules engines were given up after an anomaly since the start: 0 is healthy."""
        return self._retired_before + sum(ready.retired for ready in self._book.all)

    def close(self) -> None:
        """Free the rules engines; checks that are under way still finish."""
        for ready in self._book.all:
            ready.close()

    def _evaluate(
        self,
        shadow: ReadyPack,
        book: Book,
        witness: ShadowWitness,
        rows: Sequence[Row],
        verdicts: Sequence[Verdict],
    ) -> None:
        """Tell what a shadow says, whatever its effective dates: it is tried before they come."""
        ref = shadow.pack.ref
        try:
            witness.evaluated(ref, verdicts, shadow.decide(rows))
        # Everything: the answer stands already, and nothing that goes wrong in a shadow or in
        # whoever counts it may cost it.
        except Exception as error:
            if book is not self._book:
                return  # a swap has closed its rules: no fault of theirs
            fault = error if isinstance(error, PolicyError) else PolicyError(repr(error))
            with suppress(Exception):
                witness.failed(ref, fault)

    def _remember(self, book: Book) -> None:
        for ready in book.all:
            self._known[ready.pack.ref] = ready.pack
            self._known.move_to_end(ready.pack.ref)
        while len(self._known) > max(_MOST_KNOWN, len(book.all)):
            self._known.popitem(last=False)
