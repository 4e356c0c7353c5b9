"""People: their age where it is known, and what they agreed to."""

from __future__ import annotations

from calendar import isleap
from datetime import date
from enum import StrEnum
from functools import lru_cache

REGION_PATTERN = r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$"
"""A country by ISO 3166-1 alpha-2, with its subdivision by ISO 3166-2 where that matters."""


class Purpose(StrEnum):
    """What a person may agree to or object to."""

    OFFERS = "offers"
    """Brand offers chosen for this person."""
    GIFT_SUGGESTIONS = "gift_suggestions"
    """Gift ideas for this person drawn from what they like."""
    TIE_SCORING = "tie_scoring"
    """A strength for this person's ties."""
    GUARDIAN = "guardian"
    """Given by a minor's guardian: that the minor sends and receives gifts that ask for it."""


GRANTED_BY_DEFAULT = {
    Purpose.OFFERS: False,
    Purpose.GIFT_SUGGESTIONS: False,
    Purpose.TIE_SCORING: True,
    Purpose.GUARDIAN: False,
}
"""What holds while nobody has said anything: personalisation is opt-in, tie scoring (which the
protective rules rely on) can be objected to."""

ASSUMABLE = tuple(purpose for purpose in Purpose if purpose is not Purpose.GUARDIAN)
"""What an operator may assert for many at once; a guardian speaks for one minor."""

YOUNGEST_PROFILED = 14
"""Data of people under 14 is sensitive (PIPL Art. 28): no score, no tag, no targeting."""


@lru_cache(maxsize=4_096)
def age_in_years(born: date, today: date) -> int:
    """Return the completed years between `born` and `today`, 0 if they are reversed; someone born
    on 29 February grows older on 1 March of a common year."""
    birthday_to_come = (today.month, today.day) < (born.month, born.day)
    return max(0, today.year - born.year - birthday_to_come)


def born_by_for(age: int, today: date) -> date:
    """Return the latest date of birth of somebody who is `age` years old on `today`."""
    year = today.year - age
    if (today.month, today.day) == (2, 29) and not isleap(year):
        return date(year, 2, 28)
    return today.replace(year=year)
