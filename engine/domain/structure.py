"""What the graph around a pair says of it, stored per unordered pair with the time it was true."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engine.domain.clock import DAY
from engine.domain.errors import InvalidInput

Floats = NDArray[np.float64]

MAX_AGE = 30 * DAY
"""Structure older than this (microseconds) counts as unknown."""


class Structure(IntEnum):
    """The columns of a structure vector; symmetric in the two ends.

    The acquaintances of a person are the friends (both call each other so) and whoever they
    exchanged anything with. *Others* are all but the pair itself.
    """

    COMMON = 0
    """How many acquaintances the two share."""
    ADAMIC_ADAR = 1
    """The same, each weighed by 1/ln(how many acquaintances it has)."""
    OTHERS_LEAST = 2
    """How many others the end with fewer of them is acquainted with."""
    OTHERS_MOST = 3
    RECENT_LEAST = 4
    """What the end that exchanged less with others has exchanged with them: both directions,
    decayed to `AS_OF` at the layout's shortest half-life."""
    RECENT_MOST = 5
    VOLUME_LEAST = 6
    """The same undecayed."""
    VOLUME_MOST = 7
    SINCE = 8
    """Since when the two are friends, both ways (microseconds); 0 if they are not."""
    AS_OF = 9
    """The instant of all this (microseconds); 0 where nothing is known."""


WIDTH = len(Structure)


def unknown(pairs: int) -> Floats:
    """Return the vectors (`pairs` × `WIDTH`) of pairs of which nothing is known."""
    return np.zeros((pairs, WIDTH))


def to_bytes(structure: Floats) -> bytes:
    """Return a vector (`WIDTH`) as it is stored: little-endian float64."""
    return structure.astype("<f8").tobytes()


def from_bytes(stored: bytes | None) -> Floats:
    """Return the vector that was stored; that of an unknown structure for None.

    Raises
    ------
    InvalidInput
        If the bytes were written with other columns.
    """
    if stored is None:
        return np.zeros(WIDTH)
    structure = np.frombuffer(stored, dtype="<f8").astype(np.float64)
    if structure.shape != (WIDTH,):
        raise InvalidInput(
            f"a structure of {structure.shape[0]} numbers where {WIDTH} are expected",
            "compute it anew: lishang refresh structure",
        )
    return structure


def ordered(one: str, other: str) -> tuple[str, str]:
    """Return the two ends as a structure's key has them: the lesser id first."""
    return (one, other) if one < other else (other, one)
