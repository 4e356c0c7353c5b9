"""Why a tie is as strong as it is, in words: what moved its odds, gathered by what it tells of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.domain.active_days import counted
from engine.domain.pair_state import Floats, Kind
from engine.domain.ports import TieReason
from engine.domain.structure import Structure
from models.features.pair_view import NEVER_DAYS, PairView, share
from models.features.registry import FeatureSet

MOST = 3
_ENOUGH = 0.05
"""The least part of the log odds (nats) that is worth telling."""


def _count(number: float, one: str, many: str) -> str:
    return f"{number:,.0f} {one if round(number) == 1 else many}"


def _each(tell: Callable[..., str], *columns: Floats) -> list[str]:
    return [tell(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _volume(view: PairView) -> list[str]:
    def tell(events: float, gifts: float) -> str:
        whole = _count(events, "exchange", "exchanges") + " so far"
        return f"{whole}, {_count(gifts, 'gift', 'gifts')} among them" if gifts else whole

    return _each(tell, view.events(), view.total(view.layout.counts)[:, Kind.GIFT])


def _mutuality(view: PairView) -> list[str]:
    def tell(balance: float) -> str:
        if balance == 0:
            return "only one of the two ever gave anything"
        return f"who gave less gave {balance:.0%} of what the other gave"

    one, other = view.out.volume, view.back.volume
    return _each(tell, share(np.minimum(one, other), np.maximum(one, other)))


def _regularity(view: PairView) -> list[str]:
    def tell(days: float) -> str:
        return f"in touch on {_count(days, 'day', 'days')} of the last half year"

    return _each(tell, counted(view.days))


def _recency(view: PairView) -> list[str]:
    def tell(days: float) -> str:
        if days >= NEVER_DAYS:
            return "not in touch for years"
        if days < 1:
            return "in touch within the last day"
        return f"last in touch {_count(days, 'day', 'days')} ago"

    return _each(tell, view.age())


def _tenure(view: PairView) -> list[str]:
    def tell(days: float) -> str:
        return f"in touch over a span of {_count(days, 'day', 'days')}"

    return _each(tell, view.active_span())


def _structure(view: PairView) -> list[str]:
    def tell(common: float) -> str:
        return _count(common, "person", "people") + " known to both"

    return _each(tell, view.around(Structure.COMMON))


def _friendship(view: PairView) -> list[str]:
    def tell(since: float, days: float) -> str:
        return f"friends for {_count(days, 'day', 'days')}" if since else "not friends both ways"

    since = view.around(Structure.SINCE)
    return _each(tell, since, view.days_since(since))


def _others(view: PairView) -> list[str]:
    def tell(people: float) -> str:
        return f"the one who knows more people knows {_count(people, 'other', 'others')}"

    return _each(tell, view.around(Structure.OTHERS_MOST))


def _bustle(view: PairView) -> list[str]:
    def tell(volume: float) -> str:
        return f"the busier of the two exchanged {volume:,.0f} with others"

    return _each(tell, view.around(Structure.VOLUME_MOST))


def _attention(view: PairView) -> list[str]:
    def tell(part: float) -> str:
        return f"{part:.0%} of all that one of the two exchanges"

    whole = view.volume() + view.around(Structure.VOLUME_LEAST)
    return _each(tell, share(view.volume(), whole))


TEXTS: dict[str, Callable[[PairView], list[str]]] = {
    "volume": _volume,
    "mutuality": _mutuality,
    "regularity": _regularity,
    "recency": _recency,
    "tenure": _tenure,
    "structure": _structure,
    "friendship": _friendship,
    "others": _others,
    "bustle": _bustle,
    "attention": _attention,
}
"""By family of features, what is said of it for each of n pairs."""
_SURROUNDING = ("structure", "friendship", "others", "bustle", "attention")
"""Of which nothing is said where it is unknown."""


def reasons_of(
    features: FeatureSet[PairView], view: PairView, shares: Floats
) -> list[tuple[TieReason, ...]]:
    """Return up to `MOST` reasons for each of n pairs, most moving first.

    Parameters
    ----------
    features
        The columns of the shares.
    view
        The pairs (n).
    shares
        What each feature adds to the log odds (n × k); those of one family are added up.
    """
    families = list(TEXTS)
    member = np.array([families.index(feature.family) for feature in features.features])
    whole = np.stack([shares[:, member == place].sum(axis=1) for place in range(len(families))], 1)
    unknown = view.around(Structure.AS_OF) == 0
    whole[np.ix_(unknown, [family in _SURROUNDING for family in families])] = 0.0
    told = [tell(view) for tell in TEXTS.values()]
    found = []
    for row, parts in enumerate(whole.tolist()):
        order = np.argsort(-np.abs(whole[row]), kind="stable")[:MOST].tolist()
        found.append(
            tuple(
                TieReason(families[place], told[place][row], parts[place])
                for place in order
                if abs(parts[place]) >= _ENOUGH
            )
        )
    return found
