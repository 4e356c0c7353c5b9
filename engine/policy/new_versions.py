"""Which packs are new to the store, and what they become there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.domain.errors import Conflict
from engine.domain.pack_life import SEED, Action, Actor, PackState, StoredVersion
from engine.domain.verdicts import PackRef
from engine.policy.packs import Pack
from engine.policy.publishing import TRANSITIONS


def kept_already(pack: Pack, versions: Sequence[StoredVersion]) -> StoredVersion | None:
    """Return the version of `versions` that says the same as `pack`; None if `pack` may be added.

    Parameters
    ----------
    pack
        What somebody wants to publish.
    versions
        Every kept version of the pack of this name.

    Raises
    ------
    Conflict
        If another text is kept under this number, the number is not above every earlier one, or
        the pack decided something else before.
    """
    for known in versions:
        if known.ref == pack.ref:
            return known
    newest = max((known.ref.version for known in versions), default=0)
    name, number = pack.ref.pack, pack.ref.version
    if any(known.ref.version == number for known in versions):
        raise Conflict(
            f"{pack.file}: {name} version {number} is kept with another text",
            f"a published version never changes: make it version {newest + 1}",
        )
    if number < newest:
        raise Conflict(
            f"{pack.file}: {name} version {number} comes after version {newest}",
            f"numbers only grow: make it version {newest + 1}",
        )
    decided = next((known.decides for known in versions if known.decides != pack.decides), None)
    if decided is not None:
        raise Conflict(
            f"{pack.file}: {name} decides {decided}; this one would decide {pack.decides}",
            "give it a pack name of its own",
        )
    return None


def draft_of(pack: Pack, author: Actor, at: int, checks: str) -> StoredVersion:
    """Return what `pack` is kept as when `author` publishes it at `at` (microseconds)."""
    return _version(pack, TRANSITIONS[None, Action.PUBLISHED], author, at, checks, None)


def seed_of(pack: Pack, at: int) -> StoredVersion:
    """Return what `pack` is kept as when it comes from the rules folder at `at` (microseconds)."""
    return _version(pack, TRANSITIONS[None, Action.SEEDED], SEED, at, "{}", at)


def unseeded(found: Iterable[Pack], kept: Iterable[StoredVersion]) -> list[Pack]:
    """Return the packs of `found` for whose decision nothing is kept."""
    decided = {version.decides for version in kept}
    return [pack for pack in found if pack.decides not in decided]


def unpublished(found: Iterable[Pack], kept: Iterable[StoredVersion]) -> tuple[PackRef, ...]:
    """Return the packs of `found` that are not kept as they are."""
    known = {version.ref for version in kept}
    return tuple(pack.ref for pack in found if pack.ref not in known)


def _version(
    pack: Pack, state: PackState, author: Actor, at: int, checks: str, enforced_at: int | None
) -> StoredVersion:
    return StoredVersion(
        ref=pack.ref,
        decides=pack.decides,
        text=pack.text,
        state=state,
        effective_from=pack.effective_from,
        effective_until=pack.effective_until,
        author=author,
        published_at=at,
        checks=checks,
        enforced_at=enforced_at,
    )
