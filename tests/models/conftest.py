"""A small world of pairs that tie models of these tests learn from, and such a model."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from engine.domain.acquaintances import Graph
from engine.domain.clock import DAY
from engine.domain.pair_state import DEFAULT_LAYOUT, Kind, closed_form
from models.features.structure import structures
from models.tie_rows import TieRows
from models.ties import TieModel

START = 1_700_000_000_000_000
AT = START + 60 * DAY
HORIZON = 14 * DAY
ALL_KINDS = tuple(Kind)

World = Callable[..., TieRows]


def _world(people: int, seed: int, kinds: tuple[Kind, ...] = ALL_KINDS) -> TieRows:
    """Return pairs of neighbours on a ring that exchange at a steady rate of their own.

    Rates rise with friendship, what follows with friends in common as well. Pairs stand as of 60
    days after the beginning, followed by 14 days; silent friends are among them.
    """
    rng = np.random.default_rng(seed)
    near = np.repeat(np.arange(people), 6)
    other = (near + rng.integers(1, 9, len(near))) % people
    keys = np.unique(np.minimum(near, other) * people + np.maximum(near, other))
    first, second = keys // people, keys % people
    friends = rng.random(len(keys)) < 0.5
    since = START - rng.integers(0, 400 * DAY, len(keys))
    rate = rng.lognormal(-3.2, 1.2, len(keys)) * np.where(friends, 2.0, 1.0)
    events = rng.poisson(rate * 60)
    pair = np.repeat(np.arange(len(keys)), events)
    at = START + rng.integers(0, 60 * DAY, len(pair))
    leaning = rng.beta(2.0, 2.0, len(keys))
    ahead = rng.random(len(pair)) < leaning[pair]
    kind = np.array([int(kind) for kind in kinds])[rng.integers(0, len(kinds), len(pair))]
    weight = np.where(kind == Kind.CALL, rng.lognormal(1.0, 0.5, len(pair)), 1.0)
    out, back = (
        closed_form(DEFAULT_LAYOUT, pair[m], kind[m], weight[m], at[m], len(keys))
        for m in (ahead, ~ahead)
    )
    tied = events > 0
    volume = np.bincount(pair, weight, len(keys))
    graph = Graph(
        people, *(part[friends] for part in (first, second, since)), first[tied], second[tied],
        volume[tied] / 4, volume[tied], AT,
    )  # fmt: skip
    around = structures(graph, first, second)
    amount = rng.poisson(rate * 14 + 0.03 * around[:, 0] ** 2).astype(np.float64)
    rows = TieRows(out, back, around, np.full(len(keys), AT), amount, np.arange(len(keys)))
    return rows.take(tied | friends)


@pytest.fixture(scope="session")
def world() -> World:
    """Makes rows from a number of people, a seed and the kinds of their exchanges."""
    return _world


@pytest.fixture(scope="session")
def tie_model(world: World) -> TieModel:
    """A model of which lines, trees and what is known of silent pairs all have a part."""
    model = TieModel.fit(world(400, 0), world(400, 1), HORIZON, START, AT + HORIZON, seed=3)
    mixed = copy(model)
    shares = {"odds_trees": 0.5, "chance_trees": 0.5, "amount_trees": 0.5}
    mixed._blend = replace(model._blend, **shares)
    params = {**model.manifest.params, **shares}
    mixed.manifest = model.manifest.model_copy(update={"params": params})
    assert model._silence is not None
    return mixed
