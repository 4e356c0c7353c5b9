"""The packs in service at one time, and which of them decides when."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.clock import format_time
from engine.domain.errors import PolicyError
from engine.policy.ready_pack import ReadyPack


class Book:
    """The packs in service at one time: replaced whole, never changed.

    Parameters
    ----------
    enforced
        Of several that take effect at one instant, the first here decides.
    shadows
        Evaluated beside them.
    """

    def __init__(self, enforced: Sequence[ReadyPack], shadows: Sequence[ReadyPack]) -> None:
        self.enforced = tuple(enforced)
        self.shadows = tuple(shadows)
        self.all = tuple(dict.fromkeys((*enforced, *shadows)))
        # Latest effect first; sorting is stable, so of one instant the first given stays first.
        latest = sorted(enforced, key=lambda ready: -ready.pack.effective_from)
        self._by_decision: dict[str, list[ReadyPack]] = {}
        for ready in latest:
            self._by_decision.setdefault(ready.pack.decides, []).append(ready)

    def in_effect(self, decision: str, at: int) -> ReadyPack:
        """Return the pack that decides `decision` at the instant `at` (microseconds).

        Raises
        ------
        PolicyError
            If no pack does.
        """
        for ready in self._by_decision.get(decision, ()):
            if ready.pack.holds_at(at):
                return ready
        raise PolicyError(
            f"no pack for {decision} is in effect at {format_time(at)}",
            "enforce a version whose effective window holds this instant",
        )
