"""Sets of whole numbers as intervals with holes: what comparisons leave of a number fact."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from engine.domain.verdicts import GREATEST_NUMBER


@dataclass(frozen=True, slots=True)
class NumberSet:
    """Whole numbers within ±2^53, as intervals in rising order that do not touch."""

    intervals: tuple[tuple[int, int], ...]
    """The least and the greatest number of each."""

    def __bool__(self) -> bool:
        return bool(self.intervals)

    def __contains__(self, number: int) -> bool:
        return self.first_from(number) == number

    def between(self, least: int, greatest: int) -> NumberSet:
        """Return the numbers of this set from `least` to `greatest`, both included."""
        return NumberSet(
            tuple(
                (max(low, least), min(high, greatest))
                for low, high in self.intervals
                if max(low, least) <= min(high, greatest)
            )
        )

    def only(self, numbers: Iterable[int]) -> NumberSet:
        """Return those of `numbers` that are in this set."""
        found: list[tuple[int, int]] = []
        for number in sorted(set(numbers)):
            if number not in self:
                continue
            if found and found[-1][1] == number - 1:
                found[-1] = found[-1][0], number
            else:
                found.append((number, number))
        return NumberSet(tuple(found))

    def without(self, numbers: Iterable[int]) -> NumberSet:
        """Return this set with holes at `numbers`."""
        holes = sorted(set(numbers))
        left: list[tuple[int, int]] = []
        place = 0
        for low, high in self.intervals:
            begins = low
            place = bisect_left(holes, low, place)
            while place < len(holes) and holes[place] <= high:
                if begins < holes[place]:
                    left.append((begins, holes[place] - 1))
                begins = holes[place] + 1
                place += 1
            if begins <= high:
                left.append((begins, high))
        return NumberSet(tuple(left))

    def first_from(self, number: int) -> int | None:
        """Return the least number of this set that is not below `number`, None if there is none."""
        place = bisect_left(self.intervals, number, key=_greatest)
        return None if place == len(self.intervals) else max(number, self.intervals[place][0])


def _greatest(interval: tuple[int, int]) -> int:
    return interval[1]


ALL_NUMBERS = NumberSet(((-GREATEST_NUMBER, GREATEST_NUMBER),))
"""Every number that a fact may be."""
