"""Slices part the pairs as they are defined, on a log small enough to read."""

from __future__ import annotations

import numpy as np
import pytest

from engine.domain.clock import DAY
from training.benchmark.tie_slices import FEWEST, LONG_RUN, PairPast, slice_aucs, slices
from training.frames.tie_events import TieEvents

# Who wrote to whom on which day; everything is looked at on day 30.
LOG = [
    ("a", "b", 0),
    ("b", "a", 3),
    ("a", "c", 2),
    ("a", "d", 10),
    ("d", "a", 11),
    ("b", "c", 12),
    ("c", "b", 12),
    ("e", "a", 25),
    ("a", "f", 20),
]


@pytest.fixture(scope="module")
def parts() -> dict[str, set[str]]:
    sender, recipient, day = zip(*LOG, strict=True)
    events = TieEvents(
        sender, recipient, np.ones(len(LOG)), ["message"] * len(LOG), np.array(day) * DAY
    )
    rows = events.at(30 * DAY, 7 * DAY, LONG_RUN).rows
    ends = events.ends(rows.pair)
    numbers = [np.array(["abcdef".index(person) for person in end]) for end in ends]
    found = slices(PairPast.of(rows), *numbers, 7 * DAY)
    names = np.char.add(*ends)
    return {name: set(names[mask].tolist()) for name, mask in found.items()}


def test_slices_by_age_take_who_appeared_in_the_latest_third(parts: dict[str, set[str]]) -> None:
    assert parts["account_young"] == {"ae", "af"}
    assert parts["new"] == {"ae"}
    assert parts["account_old"] == parts["known"] - {"af"}


def test_slices_by_direction_take_pairs_of_which_one_never_gave(
    parts: dict[str, set[str]],
) -> None:
    assert parts["one_sided"] == {"ac", "ae", "af"}
    assert parts["mutual"] == {"ab", "ad", "bc"}


def test_slices_by_degree_part_the_pairs_by_the_end_with_fewer_ties(
    parts: dict[str, set[str]],
) -> None:
    # d, e and f have one tie, b and c two, a five.
    assert parts["degree_low"] == {"ad", "ae", "af"}
    assert parts["degree_middle"] == {"ab", "ac", "bc"}
    assert parts["degree_high"] == set()


def test_slice_aucs_average_only_cutoffs_with_enough_of_either_outcome() -> None:
    rng = np.random.default_rng(0)
    exchanged = np.repeat([True, False], FEWEST)
    every, few = np.ones(2 * FEWEST, dtype=bool), np.arange(2 * FEWEST) > 0
    score = rng.random(2 * FEWEST)
    perfect = {"m": exchanged + 0.0}
    pairs, aucs = slice_aucs(
        [
            ({"all": every, "few": few}, exchanged, perfect),
            ({"all": few, "few": few}, exchanged, {"m": score}),
        ]
    )
    assert pairs == {"all": 4 * FEWEST - 1, "few": 4 * FEWEST - 2}
    assert aucs == {"all": {"m": 1.0}}
