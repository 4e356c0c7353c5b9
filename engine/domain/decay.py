"""Half-life decay: how much of an old event is left."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.domain.clock import DAY


def remaining(
    elapsed: NDArray[np.float64] | np.float64, half_life_days: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Return the share 2^(−elapsed/h) that is left of a weight.

    Parameters
    ----------
    elapsed
        Microseconds since the event, of any shape; negative values count as zero.
    half_life_days
        Days after which half is left; an array of them goes with one time or with its shape.
    """
    left: NDArray[np.float64] = np.exp2(np.maximum(elapsed, 0.0) / (-half_life_days * DAY))
    return left
