"""Which version decides again when one is taken back: what decided before it, by the history.

Pure, like `publishing`: versions and what was done to them in, a plan out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from engine.domain.clock import format_time
from engine.domain.errors import Conflict, UnknownReference
from engine.domain.pack_life import Action, Actor, PackEvent, PackState, StoredVersion
from engine.policy.publishing import (
    HINTS,
    Plan,
    begins,
    check_approver,
    enforced,
    state_after,
    told_when,
)
from engine.policy.succession import decides_from, first_gap, replaces

_Key: TypeAlias = tuple[str, int]


def plan_rollback(
    pack: str,
    versions: Sequence[StoredVersion],
    history: Iterable[PackEvent],
    approver: Actor,
    at: int,
    to: int | None = None,
) -> Plan:
    """Plan to let a version decide that decided before.

    Parameters
    ----------
    pack
        Its name.
    versions
        Every version that decides, decided or may decide the same.
    history
        What was done to them, oldest first.
    approver
        Who lets it.
    at
        The instant of the change in microseconds.
    to
        The version's number: it decides from now on, and whatever of its pack would keep it from
        that is retired. Without one, what came into play last of the pack is taken back: what
        decided before that was put in service decides again, of the same pack if any did, passing
        over whatever was itself rolled back.

    Raises
    ------
    UnknownReference
        If there is no such version.
    Conflict
        If it never decided, decides already or was written by the approver, or if the change
        would leave instants at which nothing decides.
    """
    own = [version for version in versions if version.ref.pack == pack]
    if to is not None:
        chosen = next((version for version in own if version.ref.version == to), None)
        if chosen is None:
            raise UnknownReference(f"no version {to} of {pack} is kept", "lishang rules history")
        return _back_to(chosen, versions, approver, at)
    current = _current(own, at)
    if current is None:
        raise Conflict(f"no version of {pack} is enforced", "lishang rules history")
    return _back_from(current, versions, _before(current, versions, history), approver, at)


def _back_from(
    current: StoredVersion,
    versions: Sequence[StoredVersion],
    before: Sequence[StoredVersion],
    approver: Actor,
    at: int,
) -> Plan:
    now = enforced(versions)
    beneath = [version for version in now if version.ref != current.ref]
    own = [version for version in before if version.ref.pack == current.ref.pack]
    others = [version for version in before if version.ref.pack != current.ref.pack]
    for version in (*own, None, *others):
        if version is None:  # what is enforced beneath needs nothing done to decide again
            if first_gap(now, beneath, at) is None:
                return Plan(roll_back=current)
            continue
        kept = [other for other in beneath if other.ref != version.ref]
        since = decides_from(version, kept, at)
        if since is not None and first_gap(now, [*kept, version], at) is None:
            check_approver(version, approver)
            retired = tuple(other for other in kept if replaces(version, other, at))
            left = [other for other in kept if other not in retired]
            return told_when(Plan(version, retired, current), left, since)
    raise Conflict(
        f"nothing decided {current.decides} before {current} that was not rolled back itself, or "
        "not for as long as it does",
        _ways_out(current, versions),
    )


def _current(own: Iterable[StoredVersion], at: int) -> StoredVersion | None:
    """Return what came into play last: by its enforcement, or its start if that came later."""
    lasting = [v for v in enforced(own) if v.effective_until is None or at < v.effective_until]

    def came(version: StoredVersion) -> tuple[int, int]:
        begun = version.effective_from if version.effective_from <= at else 0
        return max(version.enforced_at or 0, begun), version.ref.version

    return max(lasting, key=came, default=None)


def _before(
    current: StoredVersion, versions: Iterable[StoredVersion], history: Iterable[PackEvent]
) -> list[StoredVersion]:
    """Return what was in service beneath `current` and was not rolled back, the latest first."""
    served: list[_Key] = []
    for event in history:
        key = event.pack, event.version
        match event.action:
            case Action.SEEDED | Action.ENFORCED:
                served.append(key)
            case Action.ROLLED_BACK:
                served = [other for other in served if other != key]
            case Action.ROLLED_BACK_TO:
                if key in served:
                    # Whatever of its pack came after it has been gone back from as well.
                    later = {k for k in served[served.index(key) :] if k[0] == event.pack}
                    served = [other for other in served if other not in later]
                served.append(key)
    by_key = {(version.ref.pack, version.ref.version): version for version in versions}
    del by_key[current.ref.pack, current.ref.version]
    return [by_key[key] for key in reversed(served) if key in by_key]


def _back_to(
    version: StoredVersion, versions: Sequence[StoredVersion], approver: Actor, at: int
) -> Plan:
    if version.enforced_at is None:
        raise Conflict(f"{version} was never enforced", HINTS[version.state])
    state_after(version, Action.ROLLED_BACK_TO)
    check_approver(version, approver)
    others = [other for other in enforced(versions) if other.ref != version.ref]
    hiding = {
        other.ref
        for other in others
        if other.ref.pack == version.ref.pack
        and other.effective_from > version.effective_from
        and other.holds_at(at)
    }
    retired = tuple(o for o in others if o.ref in hiding or replaces(version, o, at))
    if version.state is PackState.ENFORCED and not retired:
        raise Conflict(f"{version} is enforced already", "lishang rules history")
    kept = [other for other in others if other not in retired]
    since = begins(version, kept, at)
    gap = first_gap(enforced(versions), [*kept, version], at)
    if gap is not None:
        raise Conflict(
            f"from {format_time(gap)} nothing would decide {version.decides}",
            "roll back to a version that lasts longer first",
        )
    return told_when(Plan(version, retired), kept, since)


def _ways_out(current: StoredVersion, versions: Iterable[StoredVersion]) -> str:
    pack = current.ref.pack
    decided = [
        str(version.ref.version)
        for version in versions
        if version.ref.pack == pack and version.ref != current.ref and version.enforced_at
    ]
    if not decided:
        return "publish, shadow and enforce a new version"
    return f"name one that decided once ({', '.join(decided)}): lishang rules rollback {pack} --to"
