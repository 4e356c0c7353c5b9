"""Friends in common and Adamic–Adar of many pairs at once, from the friendships alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from engine.domain.errors import InvalidInput
from engine.domain.pair_state import Floats, Ints

BLOCK = 4_000_000
"""How many friends are looked up at a time: bounds the memory (some 50 bytes each)."""


@dataclass(frozen=True, slots=True, eq=False)
class CommonFriends:
    """Per pair (n): how many friends the two share, and Adamic–Adar: Σ 1/ln(degree of each)."""

    count: Floats
    adamic_adar: Floats


def common_friends(people: int, one: Ints, other: Ints, first: Ints, second: Ints) -> CommonFriends:
    """Return the friends in common of n pairs (first, second).

    Of each pair, every friend of the one with fewer friends is looked up among those of the other.
    So a pair costs the lesser of the two degrees (times a binary search), and a hub is dear to
    nobody but another hub.

    Parameters
    ----------
    people
        How many there are: every number below is in 0…people−1.
    one, other
        The friendships (m each), undirected, in any order. One that is told twice or reversed
        counts once, one with oneself not at all.
    first, second
        The pairs asked about (n each), friends or not.

    Returns
    -------
    CommonFriends
        Equal to the last bit for any order in which the same friendships are told, and for either
        order of the two in a pair.

    Raises
    ------
    InvalidInput
        If lengths differ, a number is out of range, or a pair is one person twice.

    Notes
    -----
    L. A. Adamic, E. Adar, "Friends and neighbors on the web", Social Networks 25 (2003) 211–230.
    Who is a friend of both has two friends at least, so no logarithm is nought.
    """
    _check(people, one, other, "friendships")
    _check(people, first, second, "pairs")
    if (first == second).any():
        raise InvalidInput("a pair is one person twice", "ask about two different people")
    graph = _adjacency(people, one, other)
    degree = np.diff(graph.indptr).astype(np.int64)
    weight = 1.0 / np.log(np.maximum(degree, 2))
    swapped = degree[first] > degree[second]
    fewer, more = np.where(swapped, second, first), np.where(swapped, first, second)
    count, adamic_adar = np.zeros(len(first)), np.zeros(len(first))
    # Pairs of one person lie together, so that the friends looked among stay in the cache.
    order = np.argsort(more)
    for run in _blocks(degree[fewer[order]]):
        block = order[run]
        pair, friend = _shared(graph, degree, fewer[block], more[block])
        count[block] = np.bincount(pair, minlength=len(block))
        # Friends come in the order of their numbers and are added one by one: the order of a sum
        # decides its last bit.
        adamic_adar[block] = np.bincount(pair, weight[friend], len(block))
    return CommonFriends(count, adamic_adar)


def _check(people: int, one: Ints, other: Ints, what: str) -> None:
    if one.shape != other.shape:
        raise InvalidInput(f"{what}: {len(one)} beside {len(other)}", "give both ends of each")
    for ends in (one, other):
        if len(ends) and not 0 <= int(ends.min()) <= int(ends.max()) < people:
            raise InvalidInput(
                f"{what}: a number outside 0…{people - 1}", "number the people from nought"
            )


def _adjacency(people: int, one: Ints, other: Ints) -> sparse.csr_array:
    """Return who is whose friend: symmetric, boolean, each row sorted and without repeats."""
    real = one != other
    rows = np.concatenate([one[real], other[real]])
    columns = np.concatenate([other[real], one[real]])
    told = np.ones(len(rows), dtype=np.bool_)
    return sparse.csr_array((told, (rows, columns)), shape=(people, people))


def _blocks(costs: Ints) -> Iterator[slice]:
    """Cut pairs into runs that each cost about `BLOCK`; one pair is never cut."""
    spent = np.cumsum(costs + 1)
    begin = 0
    while begin < len(costs):
        before = int(spent[begin - 1]) if begin else 0
        end = max(int(np.searchsorted(spent, before + BLOCK, side="right")), begin + 1)
        yield slice(begin, end)
        begin = end


def _shared(graph: sparse.csr_array, degree: Ints, fewer: Ints, more: Ints) -> tuple[Ints, Ints]:
    """Return (pair, friend) of every friend of `fewer` who is one of `more`, in that order."""
    looked = degree[fewer]
    pair = np.repeat(np.arange(len(fewer)), looked)
    if len(pair) == 0:
        # Asked for no entry, SciPy answers with an empty matrix.
        return pair, pair
    # The friends of each stand in a row of the graph: from its begin, one after another.
    shift = graph.indptr[fewer] - (np.cumsum(looked) - looked)
    friend = graph.indices[np.arange(len(pair)) + np.repeat(shift, looked)]
    shared = graph[more[pair], friend]
    return pair[shared], friend[shared]
