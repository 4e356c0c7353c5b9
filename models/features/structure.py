"""The structure around many pairs at once: friends in common, and what both ends do with others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.domain.acquaintances import Graph, pair_ends, pair_key
from engine.domain.pair_state import Floats, Ints
from engine.domain.structure import WIDTH, Structure
from models.features.common_friends import common_friends


def structures(graph: Graph, first: Ints, second: Ints) -> Floats:
    """Return the structure vectors (n × `Structure`) of n pairs, friends or tied or neither."""
    one = np.concatenate([graph.friend_one, graph.tie_one])
    other = np.concatenate([graph.friend_other, graph.tie_other])
    key = np.unique(pair_key(one, other, graph.people))
    one, other = pair_ends(key, graph.people)
    ends = np.concatenate([one, other])
    degree = np.bincount(ends, minlength=graph.people).astype(np.float64)
    asked = pair_key(first, second, graph.people)
    shared = common_friends(graph.people, one, other, first, second)
    found = np.empty((len(first), WIDTH))
    found[:, Structure.COMMON] = shared.count
    found[:, Structure.ADAMIC_ADAR] = shared.adamic_adar
    acquainted = np.isin(asked, key).astype(np.float64)
    _least_and_most(
        found,
        Structure.OTHERS_LEAST,
        np.asarray(degree, dtype=np.float64),
        acquainted,
        first,
        second,
    )
    tie = pair_key(graph.tie_one, graph.tie_other, graph.people)
    tied = np.concatenate([graph.tie_one, graph.tie_other])
    for column, amount in (
        (Structure.RECENT_LEAST, graph.recent),
        (Structure.VOLUME_LEAST, graph.volume),
    ):
        whole = np.bincount(tied, np.tile(amount, 2), graph.people).astype(np.float64)
        _least_and_most(found, column, whole, _looked_up(tie, amount, asked), first, second)
    friends = pair_key(graph.friend_one, graph.friend_other, graph.people)
    found[:, Structure.SINCE] = _looked_up(friends, graph.since.astype(np.float64), asked)
    found[:, Structure.AS_OF] = graph.at
    return found


def _least_and_most(
    found: Floats,
    column: Structure,
    whole: NDArray[np.number],
    own: Floats,
    first: Ints,
    second: Ints,
) -> None:
    """Fill two columns: what both ends have apart from the pair's `own` (n), the lesser first."""
    # A sum less one of its terms may fall short of nought by rounding.
    one, other = np.maximum(whole[first] - own, 0.0), np.maximum(whole[second] - own, 0.0)
    found[:, column] = np.minimum(one, other)
    found[:, column + 1] = np.maximum(one, other)


def _looked_up(keys: Ints, values: Floats, asked: Ints) -> Floats:
    """Return the value of each asked key (n), 0 where it is absent."""
    if len(keys) == 0:
        return np.zeros(len(asked))
    order = np.argsort(keys)
    place = np.minimum(np.searchsorted(keys, asked, sorter=order), len(keys) - 1)
    hit = order[place]
    return np.where(keys[hit] == asked, values[hit], 0.0)
