"""Who decides when, of several enforced versions with effective dates of their own.

At any instant the version decides that holds then and began last; of several that began at one
instant, the one enforced last. So a version that ends leaves what lies beneath to decide again.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.domain.pack_life import StoredVersion


def replaces(new: StoredVersion, old: StoredVersion, at: int) -> bool:
    """Whether `old` has nothing left to decide after `at` once `new` is enforced.

    It has not if it is over, or if `new`, which wins from its own start on over all that began no
    later, has begun and lasts at least as long.
    """
    if old.effective_until is not None and old.effective_until <= at:
        return True
    begun = new.effective_from <= at or new.effective_from == old.effective_from
    return begun and old.effective_from <= new.effective_from and _ends(old) <= _ends(new)


def decides_from(version: StoredVersion, others: Iterable[StoredVersion], at: int) -> int | None:
    """Return the first instant from `at` on at which `version` decides beside `others`.

    Returns
    -------
    int | None
        Microseconds; None if one that began later holds whenever it does. Of two that began at
        one instant, `version` wins.
    """
    later = [other for other in others if other.effective_from > version.effective_from]
    first = max(at, version.effective_from)
    # Somebody else stops deciding only where their time ends.
    ends = [o.effective_until for o in later if o.effective_until and o.effective_until > first]
    for instant in sorted([first, *ends]):
        if version.holds_at(instant) and not any(other.holds_at(instant) for other in later):
            return instant
    return None


def superseded(
    version: StoredVersion, others: Iterable[StoredVersion], since: int
) -> StoredVersion | None:
    """Return which of `others` will take over from `version`, which decides from `since` on.

    Returns
    -------
    StoredVersion | None
        It takes over at its own start; None if `version` ends first, or nobody does.
    """
    ends = _ends(version)
    coming = [o for o in others if max(since, version.effective_from) < o.effective_from < ends]
    # Of two that begin at one instant the one enforced last decides.
    return min(coming, key=lambda o: (o.effective_from, -(o.enforced_at or 0)), default=None)


def first_gap(
    before: Iterable[StoredVersion], after: Iterable[StoredVersion], at: int
) -> int | None:
    """Return the first instant from `at` on at which one of `before` holds and none of `after`.

    Returns
    -------
    int | None
        Microseconds; None if there is none.
    """
    before, after = list(before), list(after)
    edges = {at}
    for version in (*before, *after):
        edges.add(version.effective_from)
        edges.add(version.effective_until or at)
    for instant in sorted(edge for edge in edges if edge >= at):
        covered = any(version.holds_at(instant) for version in before)
        if covered and not any(version.holds_at(instant) for version in after):
            return instant
    return None


def _ends(version: StoredVersion) -> float:
    return float("inf") if version.effective_until is None else version.effective_until
