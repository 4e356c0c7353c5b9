"""How the lines and the trees of the tie model are weighed against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from engine.domain.pair_state import Floats
from models.tie_lines import LineScores
from models.tie_trees import TreeScores

NO_TREES = TreeScores(None, None)

_TREE_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_HURDLE = 0.5
"""What the chance of any exchange counts beside the expected amount; with `_HISTORY` chosen on
Copenhagen windows that had ended by day 14, where no measure may lie below counting."""
_HISTORY = 0.1
"""The weight of plain long-run volume: a noisy model must not lose to it."""
_BEND = 4.0


@dataclass(frozen=True, slots=True)
class Blend:
    """The shares of the trees, beside the lines, in each of three estimates."""

    usual: float
    """The mean log(1 + amount) of pairs that exchanged anything."""
    odds_trees: float = 0.0
    """In the log odds that the strength reads."""
    chance_trees: float = 0.0
    """In the log odds that are calibrated into `p_exchange`."""
    amount_trees: float = 0.0

    def expected(self, lines: LineScores, trees: TreeScores, volume: Floats) -> Floats:
        """Return the log of an intensity (n), above 0, that `Scale` makes a strength of.

        Two estimates of log(1 + amount) over the horizon are added: the amount itself, and the
        chance of any exchange times what an exchanging pair usually exchanges. Beside them stands
        `volume`, log(1 + all that the pair ever exchanged).
        """
        direct = _blended(lines.amount, trees.amount, self.amount_trees)
        odds = _blended(lines.odds, trees.odds, self.odds_trees)
        whole = direct + _HURDLE * self.usual * expit(odds) + _HISTORY * volume
        # A line may fall below nought; the order of such pairs is kept.
        return np.asarray(np.logaddexp(0.0, _BEND * whole) / _BEND)

    def chance(self, lines: LineScores, trees: TreeScores) -> Floats:
        """Return the log odds (n) of any exchange, still to be calibrated."""
        return _blended(lines.rate_odds, trees.odds, self.chance_trees)

    @classmethod
    def of_lines(cls, amount: Floats) -> Blend:
        """Return the blend without trees, for pairs that exchanged `amount` (n)."""
        exchanged = amount > 0
        return cls(float(np.log1p(amount[exchanged]).mean()) if exchanged.any() else 0.0)

    @classmethod
    def choose(cls, lines: LineScores, trees: TreeScores, amount: Floats) -> Blend:
        """Choose the shares on pairs (n) of a later window than the members were fitted on.

        Lines are preferred: trees get a share only if it lowers the loss (log loss of the odds,
        squared error of log(1 + amount)) by more than a standard error (Breiman, Friedman, Olshen
        and Stone 1984, the one-standard-error rule).
        """
        exchanged = (amount > 0).astype(np.float64)
        logs = np.log1p(amount)

        def odds_loss(line: Floats) -> Callable[[float], Floats]:
            def loss(share: float) -> Floats:
                odds = _blended(line, trees.odds, share)
                return np.asarray(np.logaddexp(0.0, odds) - exchanged * odds)

            return loss

        def amount_loss(share: float) -> Floats:
            return np.square(_blended(lines.amount, trees.amount, share) - logs)

        return cls(
            cls.of_lines(amount).usual,
            _share(odds_loss(lines.odds)),
            _share(odds_loss(lines.rate_odds)),
            _share(amount_loss),
        )


def _blended(line: Floats, trees: Floats | None, share: float) -> Floats:
    return line if trees is None or share == 0.0 else (1.0 - share) * line + share * trees


def _share(loss: Callable[[float], Floats]) -> float:
    """Return the share of least loss (n by row), if it is clearly less than that of none."""
    best = min(_TREE_SHARES, key=lambda share: float(loss(share).sum()))
    saved = loss(0.0) - loss(best)
    error = float(saved.std() * np.sqrt(len(saved)))
    return best if float(saved.sum()) > error else 0.0
