"""Friends in common equal what plain sets say, and not a bit depends on how they are told."""

from __future__ import annotations

import tracemalloc
from math import fsum, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from engine.domain.errors import InvalidInput
from engine.domain.pair_state import Floats, Ints
from models.features import common_friends as module
from models.features.common_friends import CommonFriends, common_friends

Edges = list[tuple[int, int]]


def ends(edges: Edges) -> tuple[Ints, Ints]:
    """Return both ends of edges as arrays."""
    one, other = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    return one, other


def asked(people: int, friendships: Edges, pairs: Edges) -> CommonFriends:
    """Return the answer for edges and pairs given as tuples."""
    return common_friends(people, *ends(friendships), *ends(pairs))


def by_sets(friendships: Edges, pairs: Edges) -> tuple[Floats, Floats]:
    """Return count and Adamic–Adar of pairs, by plain sets of friends."""
    friends: dict[int, set[int]] = {}
    for one, other in friendships:
        if one != other:
            friends.setdefault(one, set()).add(other)
            friends.setdefault(other, set()).add(one)
    shared = [friends.get(a, set()) & friends.get(b, set()) for a, b in pairs]
    count = [float(len(both)) for both in shared]
    adamic_adar = [fsum(1 / log(len(friends[friend])) for friend in both) for both in shared]
    return np.array(count), np.array(adamic_adar)


def every_pair(people: int) -> Edges:
    """Return every two different people, in both orders."""
    return [(a, b) for a in range(people) for b in range(people) if a != b]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Edges]:
    """People, some isolated, and friendships with repeats, reversals and self-loops."""
    people = draw(st.integers(1, 12))
    person = st.integers(0, people - 1)
    return people, draw(st.lists(st.tuples(person, person), max_size=60))


@given(graph=graphs(), block=st.sampled_from([1, 5, 30, module.BLOCK]))
def test_common_friends_any_graph_equals_sets_in_blocks_of_any_size(
    graph: tuple[int, Edges], block: int
) -> None:
    people, friendships = graph
    pairs = every_pair(people)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        found = asked(people, friendships, pairs)
    count, adamic_adar = by_sets(friendships, pairs)
    np.testing.assert_array_equal(found.count, count)
    np.testing.assert_allclose(found.adamic_adar, adamic_adar, rtol=1e-12)
    assert found.count.dtype == found.adamic_adar.dtype == np.float64


@given(seed=st.integers(0, 2**32 - 1))
def test_common_friends_told_in_another_order_are_equal_to_the_bit(seed: int) -> None:
    chance = np.random.default_rng(seed)
    one, other = chance.integers(40, size=(2, 400))
    first, second = ends(every_pair(40))
    plain = common_friends(40, one, other, first, second)
    order, turned = chance.permutation(400), chance.random(400) < 0.5
    mixed = common_friends(
        40,
        np.where(turned, other, one)[order],
        np.where(turned, one, other)[order],
        second,
        first,
    )
    assert plain.count.max() > 5
    assert plain.count.tobytes() == mixed.count.tobytes()
    assert plain.adamic_adar.tobytes() == mixed.adamic_adar.tobytes()


def test_common_friends_repeated_reversed_and_own_friendships_count_once() -> None:
    once = asked(3, [(0, 1), (1, 2)], [(0, 2)])
    # More than a byte counts to.
    often = asked(3, [(0, 1), (1, 0), (1, 2), (2, 2), (0, 0), (1, 1)] * 300, [(0, 2)])
    assert once.count.tolist() == often.count.tolist() == [1.0]
    assert once.adamic_adar.tolist() == often.adamic_adar.tolist() == [1 / log(2)]


def test_common_friends_of_a_hub_cost_what_the_others_have_friends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[int] = []
    shared = module._shared

    def counting(
        graph: sparse.csr_array, degree: Ints, one: Ints, other: Ints
    ) -> tuple[Ints, Ints]:
        looked.append(int(degree[one].sum()))
        return shared(graph, degree, one, other)

    monkeypatch.setattr(module, "_shared", counting)
    leaves = np.arange(1, 10_001)
    hub = np.zeros_like(leaves)
    for first, second in ((hub, leaves), (leaves, hub)):
        assert not common_friends(10_001, hub, leaves, first, second).count.any()
    assert sum(looked) == 2 * len(leaves)


def test_common_friends_two_hubs_share_whom_both_know() -> None:
    leaves = np.arange(2, 10_001)
    half = leaves[:4_000]
    one = np.concatenate([np.zeros_like(leaves), np.ones_like(half)])
    other = np.concatenate([leaves, half])
    found = common_friends(10_001, one, other, np.array([0, 2, 2]), np.array([1, 3, 10_000]))
    assert found.count.tolist() == [4_000.0, 2.0, 1.0]
    by_all, by_half = 1 / log(len(leaves)), 1 / log(4_000)
    expected = [4_000 / log(2), by_all + by_half, by_all]
    np.testing.assert_allclose(found.adamic_adar, expected, rtol=1e-12)


def test_common_friends_of_many_pairs_hold_one_block_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 44,850 friendships among 300 who all know each other: 13 million friends to look up.
    one, other = np.triu_indices(300, k=1)
    monkeypatch.setattr(module, "BLOCK", 50_000)
    tracemalloc.start()
    found = common_friends(300, one, other, one, other)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(found.count.tolist()) == {298.0}
    assert peak < 10e6


@pytest.mark.parametrize("people", [0, 5])
def test_common_friends_nobody_asked_or_befriended_gives_nought(people: int) -> None:
    assert asked(people, [], []).count.shape == (0,)
    if people:
        lonely = asked(people, [], [(0, 4), (3, 1)])
        assert lonely.count.tolist() == lonely.adamic_adar.tolist() == [0.0, 0.0]
        assert asked(people, [(0, 1), (1, 2)], []).adamic_adar.shape == (0,)


@pytest.mark.parametrize(
    ("friendships", "pairs", "said"),
    [
        ([(0, 3)], [(0, 1)], "friendships: a number outside 0…2"),
        ([(-1, 2)], [(0, 1)], "friendships: a number outside 0…2"),
        ([(0, 2)], [(3, 1)], "pairs: a number outside 0…2"),
        ([(0, 2)], [(0, -1)], "pairs: a number outside 0…2"),
        ([(0, 2)], [(0, 1), (2, 2)], "one person twice"),
    ],
)
def test_common_friends_of_nobody_known_are_refused(
    friendships: Edges, pairs: Edges, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        asked(3, friendships, pairs)


def test_common_friends_ends_of_unequal_length_are_refused() -> None:
    three, two = np.arange(3), np.arange(2)
    with pytest.raises(InvalidInput, match="friendships: 3 beside 2"):
        common_friends(5, three, two, two, two[::-1])
    with pytest.raises(InvalidInput, match="pairs: 2 beside 3"):
        common_friends(5, two, two, two, three)
