"""What may be done to a pack's version, by whom, and what follows for the versions beside it.

Pure: versions in, a plan out. docs/shipping.md tells the same in prose and tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from engine.domain.clock import format_time
from engine.domain.errors import Conflict, UnknownReference
from engine.domain.pack_life import Action, Actor, PackState, StoredVersion
from engine.policy.succession import decides_from, first_gap, replaces

TRANSITIONS: Mapping[tuple[PackState | None, Action], PackState] = MappingProxyType(
    {
        (None, Action.PUBLISHED): PackState.DRAFT,
        (None, Action.SEEDED): PackState.ENFORCED,
        (PackState.DRAFT, Action.BACKTESTED): PackState.DRAFT,
        (PackState.DRAFT, Action.SHADOWED): PackState.SHADOW,
        (PackState.DRAFT, Action.ENFORCED): PackState.ENFORCED,
        (PackState.SHADOW, Action.BACKTESTED): PackState.SHADOW,
        (PackState.SHADOW, Action.SHADOW_ENDED): PackState.DRAFT,
        (PackState.SHADOW, Action.ENFORCED): PackState.ENFORCED,
        (PackState.ENFORCED, Action.RETIRED): PackState.RETIRED,
        (PackState.ENFORCED, Action.ROLLED_BACK_TO): PackState.ENFORCED,
        (PackState.RETIRED, Action.ROLLED_BACK_TO): PackState.ENFORCED,
    }
)
"""The state that each action leads to; what is not listed is refused. None: not kept yet."""

_HINTS: Mapping[PackState, str] = MappingProxyType(
    {
        PackState.DRAFT: "next: lishang rules backtest, then shadow, then enforce",
        PackState.SHADOW: "next: lishang rules enforce",
        PackState.ENFORCED: "publish what is to follow as a version of its own",
        PackState.RETIRED: "it can come back only by: lishang rules rollback",
    }
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an action changes, all of it or nothing."""

    enforce: StoredVersion | None = None
    retire: tuple[StoredVersion, ...] = ()
    end_shadow: tuple[StoredVersion, ...] = ()
    decides_from: int | None = None
    """The first instant (microseconds) at which the version to enforce decides."""


def state_after(version: StoredVersion, action: Action) -> PackState:
    """Return the state that `action` leads to.

    Raises
    ------
    Conflict
        If that cannot be done to a version in its state.
    """
    state = TRANSITIONS.get((version.state, action))
    if state is None:
        raise Conflict(
            f"{version} is {_told(version.state)}: it cannot be {_done(action)}",
            _HINTS[version.state],
        )
    return state


def check_approver(version: StoredVersion, approver: Actor) -> None:
    """Do nothing if `approver` is not the one who wrote `version`.

    Raises
    ------
    Conflict
        If key or name are the author's; names are compared whatever their case.
    """
    author = version.author
    if approver.id == author.id or _plain(approver.name) == _plain(author.name):
        raise Conflict(
            f"{approver.name} published {version} and cannot approve it",
            "somebody else enforces it, with a key of their own that carries policy:approve",
        )


def plan_shadow(version: StoredVersion, versions: Iterable[StoredVersion]) -> Plan:
    """Plan to evaluate `version` beside what decides; `versions` are all of its pack.

    Raises
    ------
    Conflict
        If its state forbids it or no backtest's report is attached.
    """
    state_after(version, Action.SHADOWED)
    if version.backtest is None:
        raise Conflict(
            f"{version} has no backtest",
            f"lishang rules backtest {version.ref.pack}@{version.ref.version}",
        )
    return Plan(end_shadow=_shadows(version.ref.pack, versions))


def plan_enforcement(
    version: StoredVersion, versions: Sequence[StoredVersion], approver: Actor, at: int
) -> Plan:
    """Plan to let `version` decide.

    Parameters
    ----------
    version
        In shadow now or before.
    versions
        Every version that decides, decided or may decide the same.
    approver
        Who lets it.
    at
        The instant of the change in microseconds.

    Raises
    ------
    Conflict
        If its state, its history or its author forbid it, or it would never decide because an
        enforced version with a later start holds whenever it does.
    """
    state_after(version, Action.ENFORCED)
    if not version.shadowed:
        raise Conflict(
            f"{version} has not been in shadow",
            f"lishang rules shadow {version.ref.pack}@{version.ref.version}",
        )
    check_approver(version, approver)
    others = [other for other in _enforced(versions) if other.ref != version.ref]
    retired = tuple(other for other in others if replaces(version, other, at))
    begins = _begins(version, [other for other in others if other not in retired], at)
    shadows = tuple(s for s in _shadows(version.ref.pack, versions) if s.ref != version.ref)
    return Plan(version, retired, shadows, begins)


def plan_rollback(
    pack: str, versions: Sequence[StoredVersion], approver: Actor, at: int, to: int | None = None
) -> Plan:
    """Plan to let a version decide that decided before.

    Parameters
    ----------
    pack
        Its name.
    versions
        Every version that decides, decided or may decide the same.
    approver
        Who lets it.
    at
        The instant of the change in microseconds.
    to
        The version's number: it decides from now on, and whatever of its pack would keep it from
        that is retired. Without one the newest enforcement of the pack is undone: that version is
        retired and the version before it decides, or, where the pack has none, whatever pack
        decides beneath it.

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
    current = max(_enforced(own), key=_service_order, default=None)
    if current is None:
        raise Conflict(f"no version of {pack} is enforced", "lishang rules history")
    earlier = (v for v in own if v.enforced_at is not None and v.ref.version < current.ref.version)
    for before in sorted(earlier, key=lambda version: -version.ref.version):
        kept = [v for v in _enforced(versions) if v.ref not in (current.ref, before.ref)]
        begins = decides_from(before, kept, at)
        if begins is not None and first_gap(_enforced(versions), [*kept, before], at) is None:
            check_approver(before, approver)
            retired = tuple(other for other in kept if replaces(before, other, at))
            return Plan(before, (current, *retired), decides_from=begins)
    beneath = [version for version in _enforced(versions) if version.ref != current.ref]
    if first_gap(_enforced(versions), beneath, at) is None:
        return Plan(retire=(current,))
    raise Conflict(
        f"nothing decided {current.decides} before {current}, or not for as long as it does",
        "publish, shadow and enforce a new version",
    )


def _back_to(
    version: StoredVersion, versions: Sequence[StoredVersion], approver: Actor, at: int
) -> Plan:
    if version.enforced_at is None:
        raise Conflict(f"{version} was never enforced", _HINTS[version.state])
    state_after(version, Action.ROLLED_BACK_TO)
    check_approver(version, approver)
    others = [other for other in _enforced(versions) if other.ref != version.ref]
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
    begins = _begins(version, kept, at)
    gap = first_gap(_enforced(versions), [*kept, version], at)
    if gap is not None:
        raise Conflict(
            f"from {format_time(gap)} nothing would decide {version.decides}",
            "roll back to a version that lasts longer first",
        )
    return Plan(version, retired, decides_from=begins)


def _begins(version: StoredVersion, others: Sequence[StoredVersion], at: int) -> int:
    begins = decides_from(version, others, at)
    if begins is None:
        if version.effective_until is not None and version.effective_until <= at:
            raise Conflict(
                f"{version} ended at {format_time(version.effective_until)}",
                "publish it as a new version with other effective dates",
            )
        later = max(others, key=lambda other: other.effective_from)
        raise Conflict(
            f"{version} would never decide: {later}, in effect from "
            f"{format_time(later.effective_from)}, begins later than "
            f"{format_time(version.effective_from)} and lasts as long",
            "give the new version a later effective.from",
        )
    return begins


def _enforced(versions: Iterable[StoredVersion]) -> list[StoredVersion]:
    return [version for version in versions if version.state is PackState.ENFORCED]


def _shadows(pack: str, versions: Iterable[StoredVersion]) -> tuple[StoredVersion, ...]:
    return tuple(v for v in versions if v.ref.pack == pack and v.state is PackState.SHADOW)


def _service_order(version: StoredVersion) -> tuple[int, int]:
    return version.enforced_at or 0, version.ref.version


def _plain(name: str) -> str:
    return name.strip().casefold()


def _told(state: PackState) -> str:
    return {PackState.DRAFT: "a draft", PackState.SHADOW: "in shadow"}.get(state, state.value)


def _done(action: Action) -> str:
    words = {Action.SHADOWED: "put into shadow", Action.BACKTESTED: "given another backtest"}
    return words.get(action, action.value)
