"""More, later and more evenly never makes a tie weaker: properties of the final two outputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.clock import DAY
from engine.domain.pair_state import (
    DEFAULT_LAYOUT,
    EXCHANGES,
    Floats,
    Ints,
    Kind,
    closed_form,
    update,
)
from engine.domain.structure import MAX_AGE, WIDTH, Structure, unknown
from models.ties import TieModel

START = 1_700_000_000_000_000
PAIRS = 150
ROUNDING = 1e-12
SEEDS = st.integers(0, 2**32 - 1)
Log = tuple[Ints, Ints, Floats, Ints, Ints]
"""Of events: the pair, the kind, the weight, the time, 1 where the first of the two gave."""


def _log(rng: np.random.Generator, days: int = 90) -> Log:
    """Return the events of `PAIRS` pairs: of every size, age, kind and leaning, some of none."""
    size = rng.integers(0, rng.choice([2, 6, 30], PAIRS))
    pair = np.repeat(np.arange(PAIRS), size)
    kinds = rng.integers(1, 2 ** len(Kind), PAIRS)  # of which kinds each pair's events are
    kind = np.array(
        [rng.choice(np.flatnonzero((kinds[p] >> np.arange(len(Kind))) & 1)) for p in pair]
    )
    newest = rng.integers(1, days + 1, PAIRS)[pair]
    at = START + rng.integers(0, newest * DAY)
    weight = rng.lognormal(0.0, 1.5, len(pair))
    leaning = rng.choice([0.0, 0.2, 0.5, 1.0], PAIRS)
    return pair, kind.astype(np.int64), weight, at, rng.random(len(pair)) < leaning[pair]


def _states(log: Log) -> tuple[Floats, Floats]:
    pair, kind, weight, at, ahead = log
    out, back = (
        closed_form(DEFAULT_LAYOUT, pair[m], kind[m], weight[m], at[m], PAIRS)
        for m in (ahead == 1, ahead == 0)
    )
    return out, back


def _around(rng: np.random.Generator, as_of: int) -> Floats:
    """Return what surrounds `PAIRS` pairs as of an instant; of a tenth of them nothing is known."""
    found = np.zeros((PAIRS, WIDTH))
    found[:, Structure.COMMON] = rng.integers(0, 25, PAIRS)
    found[:, Structure.ADAMIC_ADAR] = found[:, Structure.COMMON] * rng.uniform(0.2, 1.4, PAIRS)
    for least in (Structure.OTHERS_LEAST, Structure.RECENT_LEAST, Structure.VOLUME_LEAST):
        found[:, least : least + 2] = np.sort(rng.lognormal(2.0, 1.5, (PAIRS, 2)), axis=1)
    friends = rng.random(PAIRS) < 0.5
    found[friends, Structure.SINCE] = as_of - rng.integers(1, 700 * DAY, friends.sum())
    found[:, Structure.AS_OF] = as_of
    found[rng.random(PAIRS) < 0.1] = 0.0
    return found


def _rises(
    model: TieModel,
    less: tuple[Floats, Floats, Floats, int],
    more: tuple[Floats, Floats, Floats, int],
) -> None:
    """Assert that no pair of `less` (out, back, structure, at) scores higher than in `more`."""
    low, high = model.predict(*less), model.predict(*more)
    assert (high.strength - low.strength).min() >= -ROUNDING
    assert (high.p_exchange - low.p_exchange).min() >= -ROUNDING


@given(seed=SEEDS, factor=st.floats(1.0, 50.0), days=st.integers(0, 400))
@settings(max_examples=25)
def test_tie_score_never_falls_with_heavier_exchanges(
    tie_model: TieModel, seed: int, factor: float, days: int
) -> None:
    rng = np.random.default_rng(seed)
    log, at = _log(rng), START + (90 + days) * DAY
    around = _around(rng, at)
    heavier = (*log[:2], log[2] * factor, *log[3:])
    _rises(tie_model, (*_states(log), around, at), (*_states(heavier), around, at))


@given(
    seed=SEEDS,
    kind=st.sampled_from(EXCHANGES),
    weight=st.floats(0.01, 1_000.0),
    days=st.integers(0, 400),
)
@settings(max_examples=25)
def test_tie_score_never_falls_with_one_more_exchange_of_either(
    tie_model: TieModel, seed: int, kind: Kind, weight: float, days: int
) -> None:
    rng = np.random.default_rng(seed)
    (out, back), at = _states(_log(rng)), START + (90 + days) * DAY
    around = _around(rng, at)
    for side in (0, 1):
        more = [out.copy(), back.copy()]
        for state in more[side]:
            update(DEFAULT_LAYOUT, state, kind, weight, at)
        _rises(tie_model, (out, back, around, at), (*more, around, at))


@given(seed=SEEDS, days=st.floats(0.0, 30.0), later=st.floats(0.0, 30.0))
@settings(max_examples=25)
def test_tie_score_never_rises_while_nothing_happens(
    tie_model: TieModel, seed: int, days: float, later: float
) -> None:
    rng = np.random.default_rng(seed)
    states, as_of = _states(_log(rng)), START + 90 * DAY
    around = _around(rng, as_of)
    soon, late = (as_of + int(part * DAY) for part in sorted((days, later)))
    assert late - as_of <= MAX_AGE
    _rises(tie_model, (*states, around, late), (*states, around, soon))


@given(seed=SEEDS, days=st.integers(0, 5_000), later=st.integers(0, 5_000))
@settings(max_examples=25)
def test_tie_score_of_a_pair_of_which_only_its_events_are_known_never_rises_with_time(
    tie_model: TieModel, seed: int, days: int, later: int
) -> None:
    states, around = _states(_log(np.random.default_rng(seed))), unknown(PAIRS)
    soon, late = (START + (90 + part) * DAY for part in sorted((days, later)))
    _rises(tie_model, (*states, around, late), (*states, around, soon))


@given(seed=SEEDS, days=st.integers(0, 60))
@settings(max_examples=25)
def test_tie_score_never_falls_when_all_exchanges_are_later(
    tie_model: TieModel, seed: int, days: int
) -> None:
    # Whole days: how many days a pair was active on depends on where midnight falls.
    rng = np.random.default_rng(seed)
    log, at = _log(rng), START + 150 * DAY
    around = _around(rng, at)
    later = (*log[:3], log[3] + days * DAY, log[4])
    _rises(tie_model, (*_states(log), around, at), (*_states(later), around, at))


@given(seed=SEEDS, share=st.floats(0.0, 0.5), days=st.integers(0, 200))
@settings(max_examples=25)
def test_tie_score_never_falls_when_the_same_is_exchanged_more_evenly(
    tie_model: TieModel, seed: int, share: float, days: int
) -> None:
    # A part of every exchange is given by the other side instead, at the same instant.
    rng = np.random.default_rng(seed)
    pair, kind, weight, at, ahead = _log(rng)
    kept, moved = weight * (1.0 - share), weight * share
    given_back = moved > 0
    even = (
        np.concatenate([pair, pair[given_back]]),
        np.concatenate([kind, kind[given_back]]),
        np.concatenate([kept, moved[given_back]]),
        np.concatenate([at, at[given_back]]),
        np.concatenate([ahead, ~ahead[given_back]]),
    )
    instant = START + (90 + days) * DAY
    around = _around(rng, instant)
    _rises(
        tie_model,
        (*_states((pair, kind, weight, at, ahead)), around, instant),
        (*_states(even), around, instant),
    )


@given(seed=SEEDS, days=st.integers(0, 5_000))
@settings(max_examples=25)
def test_tie_score_with_events_is_never_below_that_of_the_same_surroundings_without(
    tie_model: TieModel, seed: int, days: int
) -> None:
    rng = np.random.default_rng(seed)
    states, at = _states(_log(rng)), START + (90 + days) * DAY
    around, nothing = _around(rng, at), DEFAULT_LAYOUT.empty(PAIRS)
    _rises(tie_model, (nothing, nothing, around, at), (*states, around, at))


@given(seed=SEEDS, more=st.integers(0, 30), silent=st.booleans())
@settings(max_examples=25)
def test_tie_score_never_falls_with_more_friends_in_common(
    tie_model: TieModel, seed: int, more: int, silent: bool
) -> None:
    rng = np.random.default_rng(seed)
    nothing, at = DEFAULT_LAYOUT.empty(PAIRS), START + 90 * DAY
    states = (nothing, nothing) if silent else _states(_log(rng))
    around = _around(rng, at)
    known = around[:, Structure.AS_OF] > 0
    richer = around.copy()
    richer[known, Structure.COMMON] += more
    richer[known, Structure.ADAMIC_ADAR] += more * 0.5
    _rises(tie_model, (*states, around, at), (*states, richer, at))
    if silent and more >= 5:
        one, other = (tie_model.predict(*states, given, at) for given in (around, richer))
        assert (other.p_exchange > one.p_exchange).any()


@pytest.mark.parametrize("weight", [0.1, 1.0, 100.0])
def test_tie_score_of_a_single_event_lies_between_none_and_two(
    tie_model: TieModel, weight: float
) -> None:
    at = START + 60 * DAY
    states = [DEFAULT_LAYOUT.empty() for _ in range(3)]
    for events, state in enumerate(states):
        for event in range(events):
            update(DEFAULT_LAYOUT, state, Kind.MESSAGE, weight, START + (10 + 20 * event) * DAY)
    found = tie_model.predict(np.stack(states), DEFAULT_LAYOUT.empty(3), unknown(3), at)
    assert found.strength[0] < found.strength[1] < found.strength[2]
    assert found.p_exchange[0] <= found.p_exchange[1] <= found.p_exchange[2]
