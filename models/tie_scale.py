"""From expected amounts to strengths in 0…1 and to the classes that rules read."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.domain.pair_state import Floats
from engine.domain.ports import TieClass

_FRIEND_QUANTILE, _CLOSE_QUANTILE = 0.5, 0.85
_DORMANT_BELOW = 0.2
_SMALLEST_HALF = 1e-6


@dataclass(frozen=True, slots=True)
class Scale:
    """From expected amounts to strengths and classes.

    `half` is the log intensity (`Blend.expected`) that has strength 0.5; the next are strengths
    from which a tie is a friend's or close, and the chance of an exchange under which one that
    was silent for a horizon is dormant. `oldest_days` is the longest silence that the fit has seen:
    beyond it every expectation fades by half each `fade_days`, since nothing was learned there.
    """

    half: float
    oldest_days: float
    fade_days: float
    friend_from: float = 0.0
    close_from: float = 0.0
    dormant_below: float = _DORMANT_BELOW

    @classmethod
    def fit(cls, expected: Floats, amount: Floats, oldest_days: float, fade_days: float) -> Scale:
        """Return the scale on which the median of the pairs that exchanged something is one half.

        `expected` (n) is the log intensity, `amount` (n) what came of it.
        """
        half = max(float(np.median(expected[amount > 0])), _SMALLEST_HALF)
        plain = cls(half, oldest_days, fade_days)
        strengths = plain.strength(expected)
        friend, close = np.quantile(strengths, (_FRIEND_QUANTILE, _CLOSE_QUANTILE))
        return replace(plain, friend_from=float(friend), close_from=float(close))

    def strength(self, expected: Floats) -> Floats:
        """Return 1 − 2^(−expected/half), which rises from 0 and nears 1."""
        return np.asarray(1.0 - np.exp2(-expected / self.half))

    def faded(self, age_days: Floats) -> Floats:
        """Return the share (n, 0…1) that a silence of `age_days` (n) leaves of an expectation."""
        return np.asarray(np.exp2(-np.maximum(age_days - self.oldest_days, 0.0) / self.fade_days))

    def tie_class(self, strength: float, dormant: bool) -> TieClass:
        """Return the class of a strength; `dormant` says that the pair fell silent for good."""
        if dormant or strength <= 0.0:
            return TieClass.DORMANT
        if strength >= self.close_from:
            return TieClass.CLOSE
        if strength >= self.friend_from:
            return TieClass.FRIEND
        return TieClass.ACQUAINTANCE
