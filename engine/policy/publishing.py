"""What may be done to a pack's version, by whom, and what follows for the versions beside it.

Pure: versions in, a plan out. docs/shipping.md tells the same in prose and tables.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from engine.domain.clock import format_time
from engine.domain.errors import Conflict
from engine.domain.pack_life import Action, Actor, PackState, StoredVersion
from engine.policy.evidence import backtest_found
from engine.policy.succession import decides_from, replaces, superseded

TRANSITIONS: Mapping[tuple[PackState | None, Action], PackState] = MappingProxyType(
    {
        (None, Action.PUBLISHED): PackState.DRAFT,
        (None, Action.SEEDED): PackState.ENFORCED,
        (PackState.DRAFT, Action.BACKTESTED): PackState.DRAFT,
        (PackState.DRAFT, Action.SHADOWED): PackState.SHADOW,
        (PackState.DRAFT, Action.SHADOWED_WITHOUT_HISTORY): PackState.SHADOW,
        (PackState.DRAFT, Action.ENFORCED): PackState.ENFORCED,
        (PackState.SHADOW, Action.SHADOW_ENDED): PackState.DRAFT,
        (PackState.SHADOW, Action.ENFORCED): PackState.ENFORCED,
        (PackState.ENFORCED, Action.RETIRED): PackState.RETIRED,
        (PackState.ENFORCED, Action.ROLLED_BACK): PackState.RETIRED,
        (PackState.ENFORCED, Action.ROLLED_BACK_TO): PackState.ENFORCED,
        (PackState.RETIRED, Action.ROLLED_BACK_TO): PackState.ENFORCED,
    }
)
"""The state that each action leads to; what is not listed is refused. None: not kept yet."""

HINTS: Mapping[PackState, str] = MappingProxyType(
    {
        PackState.DRAFT: "next: lishang rules backtest, then shadow, then enforce",
        PackState.SHADOW: "next: lishang rules enforce",
        PackState.ENFORCED: "publish what is to follow as a version of its own",
        PackState.RETIRED: "it can come back only by: lishang rules rollback",
    }
)
"""What can be done with a version in each state."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an action changes, all of it or nothing."""

    enforce: StoredVersion | None = None
    retire: tuple[StoredVersion, ...] = ()
    roll_back: StoredVersion | None = None
    """What is taken out of service because it is not wanted."""
    end_shadow: tuple[StoredVersion, ...] = ()
    decides_from: int | None = None
    """The first instant (microseconds) at which the version to enforce decides."""
    decides_until: int | None = None
    """When it stops for the first time; None if it does not, as far as is known."""
    successor: StoredVersion | None = None
    """What decides from then on, being enforced already; None where it ends by itself."""


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
            HINTS[version.state],
        )
    return state


def check_backtest(version: StoredVersion) -> None:
    """Do nothing if another backtest's report may be kept with `version`.

    Raises
    ------
    Conflict
        If it has been in shadow: what its approver goes by does not change any more.
    """
    state_after(version, Action.BACKTESTED)
    if version.shadowed:
        raise Conflict(
            f"{version} has been in shadow: it cannot be {_done(Action.BACKTESTED)}",
            "publish what is to be tried as a version of its own",
        )


def check_approver(version: StoredVersion, approver: Actor) -> None:
    """Do nothing if `approver` is not the one who wrote `version`.

    Raises
    ------
    Conflict
        If key or name are the author's; names are compared whatever their case and width.
    """
    author = version.author
    if approver.id == author.id or _plain(approver.name) == _plain(author.name):
        raise Conflict(
            f"{approver.name} published {version} and cannot approve it",
            "somebody else enforces it, with a key of their own that carries policy:approve",
        )


def plan_shadow(
    version: StoredVersion, versions: Iterable[StoredVersion], without_history: bool = False
) -> Plan:
    """Plan to evaluate `version` beside what decides.

    Parameters
    ----------
    version
        A draft.
    versions
        Every version of its pack.
    without_history
        Whether its backtest may have found nothing to replay: a new decision has no past.

    Raises
    ------
    Conflict
        If its state forbids it, no backtest's report is attached, or the backtest could replay
        no decision.
    """
    state_after(version, Action.SHADOWED)
    named = f"{version.ref.pack}@{version.ref.version}"
    if version.backtest is None:
        raise Conflict(f"{version} has no backtest", f"lishang rules backtest {named}")
    if not without_history and not backtest_found(version.backtest).replayed:
        raise Conflict(
            f"the backtest of {version} replayed no decision",
            f"backtest it on a window that holds some, or, where nothing was decided yet: "
            f"lishang rules shadow {named} --without-history",
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
    others = [other for other in enforced(versions) if other.ref != version.ref]
    retired = tuple(other for other in others if replaces(version, other, at))
    kept = [other for other in others if other not in retired]
    shadows = tuple(s for s in _shadows(version.ref.pack, versions) if s.ref != version.ref)
    plan = Plan(version, retired, end_shadow=shadows)
    return told_when(plan, kept, begins(version, kept, at))


def told_when(plan: Plan, kept: Iterable[StoredVersion], since: int) -> Plan:
    """Return `plan` with when its version decides: from `since`, beside `kept`, until when."""
    version = plan.enforce
    if version is None:
        return plan
    successor = superseded(version, kept, since)
    until = version.effective_until if successor is None else successor.effective_from
    return replace(plan, decides_from=since, decides_until=until, successor=successor)


def begins(version: StoredVersion, others: Sequence[StoredVersion], at: int) -> int:
    """Return the first instant from `at` on (microseconds) at which `version` decides.

    Raises
    ------
    Conflict
        If it never does beside the enforced `others`.
    """
    first = decides_from(version, others, at)
    if first is None:
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
    return first


def enforced(versions: Iterable[StoredVersion]) -> list[StoredVersion]:
    """Return those of `versions` that are enforced."""
    return [version for version in versions if version.state is PackState.ENFORCED]


def _shadows(pack: str, versions: Iterable[StoredVersion]) -> tuple[StoredVersion, ...]:
    return tuple(v for v in versions if v.ref.pack == pack and v.state is PackState.SHADOW)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _told(state: PackState) -> str:
    return {PackState.DRAFT: "a draft", PackState.SHADOW: "in shadow"}.get(state, state.value)


def _done(action: Action) -> str:
    words = {Action.SHADOWED: "put into shadow", Action.BACKTESTED: "given another backtest"}
    return words.get(action, action.value)
