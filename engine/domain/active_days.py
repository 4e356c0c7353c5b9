"""The days on which a pair was active, as a bitmap of fixed size that two directions can share.

How regular a pair is cannot be added up from its two directions: a day on which both gave is one
day. So a state keeps one bit a day for the last `DAYS_KEPT` days, and whoever reads both
directions joins them bit by bit.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.domain.clock import DAY, HOUR

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

BITS = 48
"""Days in a word: whole numbers of so many bits are exact in float64, as states are stored."""
WORDS = 4
DAYS_KEPT = BITS * WORDS

_EAST = 8 * HOUR
"""Days begin at midnight in China, which keeps one zone and no summer time."""
_WORD = (1 << BITS) - 1
_WHOLE = (1 << DAYS_KEPT) - 1
_BYTES = BITS // 8
_OFFSETS = 256 * np.arange(WORDS * _BYTES)


def day_of(at: Ints) -> Ints:
    """Return the days (whole, since 1970 in China) of instants in microseconds."""
    return np.asarray((at + _EAST) // DAY)


def day_number(at: int) -> int:
    """Return the day of one instant, as `day_of`."""
    return (at + _EAST) // DAY


def carried(words: Floats, days: int, active: bool) -> None:
    """Age one bitmap (`WORDS`), in place, by whole `days` ≥ 0, and mark the new day if active."""
    if days == 0:
        words[0] = int(words[0]) | active
        return
    bits = 0
    if days < DAYS_KEPT:
        for place in range(WORDS):
            bits |= int(words[place]) << (BITS * place)
        bits = (bits << days) & _WHOLE
    bits |= active
    for place in range(WORDS):
        words[place] = (bits >> (BITS * place)) & _WORD


def bitmap(cell: Ints, age: Ints, cells: int) -> Floats:
    """Return the bitmaps (`cells` × `WORDS`, float64) of active days.

    Parameters
    ----------
    cell, age
        n entries, repeated at will: whose day it was, and how many days ago (≥ 0).
    cells
        How many bitmaps.
    """
    kept = age < DAYS_KEPT
    once = np.unique(cell[kept] * DAYS_KEPT + age[kept])
    place = once // DAYS_KEPT * WORDS + once % DAYS_KEPT // BITS
    bit = np.exp2((once % BITS).astype(np.float64))
    words = np.bincount(place, bit, cells * WORDS).reshape(cells, WORDS)
    return words.astype(np.float64)  # without a single day bincount counts in whole numbers


def aged(words: Floats, days: Ints) -> Floats:
    """Return bitmaps (n × `WORDS`) as they are `days` (n, ≥ 0) later."""
    moved = np.minimum(days, DAYS_KEPT)
    if not moved.any():
        return words.copy()
    whole, part = moved // BITS, (moved % BITS).astype(np.uint64)[:, None]
    padded = np.zeros((len(words), 2 * WORDS + 1), dtype=np.uint64)
    padded[:, WORDS + 1 :] = words
    columns = np.arange(WORDS)[None, :] + WORDS + 1 - whole[:, None]
    rows = np.arange(len(words))[:, None]
    low, below = padded[rows, columns], padded[rows, columns - 1]
    shifted = (low << part) | (below >> (np.uint64(BITS) - part))
    return np.asarray((shifted & np.uint64(_WORD)), dtype=np.float64)


def together(one: Floats, other: Floats) -> Words:
    """Return the days (n × `WORDS`) on which either side was active, both of the same age."""
    return np.asarray(one.astype(np.uint64) | other.astype(np.uint64))


def counted(words: Words) -> Floats:
    """Return how many days (n) bitmaps hold."""
    return np.asarray(np.bitwise_count(words).sum(axis=1, dtype=np.float64))


def decayed(words: Words, half_life_days: float) -> Floats:
    """Return Σ 2^−(age/h) over the days (n) of bitmaps (n × `WORDS`)."""
    octets = words.astype("<u8").view(np.uint8).reshape(len(words), WORDS, 8)[:, :, :_BYTES]
    places = octets.reshape(len(words), WORDS * _BYTES) + _OFFSETS
    return np.asarray(_table(half_life_days).take(places).sum(axis=1))


@lru_cache(maxsize=32)
def _table(half_life_days: float) -> Floats:
    """Return what each value (256) of each byte of a bitmap adds up to, byte after byte."""
    bits = (np.arange(256)[:, None] >> np.arange(8)[None, :]) & 1
    ages = np.arange(DAYS_KEPT).reshape(-1, 8)
    return np.asarray(np.exp2(-ages / half_life_days) @ bits.T, dtype=np.float64).ravel()
