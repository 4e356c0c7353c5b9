"""Who is scored, ranked and told of, and when; on each database."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.domain.clock import DAY, HOUR
from engine.domain.errors import ModelError
from engine.domain.events import ConsentChanged, Interacted
from engine.domain.pair_state import DEFAULT_LAYOUT, EXCHANGES, decayed_to
from engine.domain.people import Purpose
from engine.domain.ports import ModelRef, TieClass, TieReason, TieScore
from engine.domain.structure import Structure
from engine.gift_policy import GiftPolicy
from engine.policy.engine import PolicyEngine
from engine.relating import Relating, everybodys_ties


class Volumes:
    """Scores what was exchanged, decayed to now, and a little for being friends."""

    ref = ModelRef("ties", "7")

    def score(self, out, back, structure, at) -> list[TieScore]:
        columns = [DEFAULT_LAYOUT.sum_column(kind, 0) for kind in EXCHANGES]
        there, again = (
            decayed_to(DEFAULT_LAYOUT, states, at)[:, columns].sum(axis=1) for states in (out, back)
        )
        volume = there + again + 0.01 * (structure[:, Structure.SINCE] > 0)
        strength = volume / (1 + volume)
        balance = np.divide(there - again, there + again, where=there + again > 0, out=0 * there)
        return [
            TieScore(s, s / 2, TieClass.CLOSE if s > 0.5 else TieClass.FRIEND, b, v)
            for s, b, v in zip(strength.tolist(), balance.tolist(), volume.tolist(), strict=True)
        ]

    def explain(self, out, back, structure, at) -> list[tuple[TieReason, ...]]:
        scores = self.score(out, back, structure, at)
        return [(TieReason("VOLUME", f"{s.observations:.3f} exchanges", 1.0),) for s in scores]


class OneModel:
    """A service whose only model is of ties."""

    gifts = offers = None

    def __init__(self, ties: Volumes | None) -> None:
        self.ties = ties


@pytest.fixture
def relating(world: Any, shipped_policy: PolicyEngine) -> Relating:
    """`an` calls `bo` thrice and `cy` once, is called by `di`, and is a friend of `ed`."""
    shelf = OneModel(Volumes())
    world.befriend("an", "ed")
    called = [("an", "bo")] * 3 + [("an", "cy"), ("di", "an"), ("di", "an")]
    world.tell(
        *(Interacted(f"c{n}", world.now - DAY, *p, "call", 1.0) for n, p in enumerate(called))
    )
    return Relating(world.database, GiftPolicy(shipped_policy, shelf), shelf)


def _ranked(relating: Relating, person: str, at: int, **asked: Any) -> list[tuple[int, str]]:
    answer = relating.ties_of(person, at, **{"limit": 10, **asked})
    assert {pair.sender for pair in answer.pairs} <= {person}
    return [(pair.rank or 0, pair.recipient) for pair in answer.pairs]


def _object(world: Any, person: str) -> None:
    refusal = ConsentChanged(person, world.now - HOUR, person, Purpose.TIE_SCORING, granted=False)
    world.tell(refusal)


def test_ties_of_a_person_come_strongest_first_friends_without_events_too(relating, world) -> None:
    assert _ranked(relating, "an", world.now) == [(1, "bo"), (2, "di"), (3, "cy"), (4, "ed")]
    assert _ranked(relating, "an", world.now, limit=2) == [(1, "bo"), (2, "di")]
    # The class is asked for before the number; the rank stays the one among all.
    assert _ranked(relating, "an", world.now, limit=1, tie_class=TieClass.FRIEND) == [(3, "cy")]
    assert _ranked(relating, "nobody", world.now) == []


def test_ties_of_a_person_are_what_scoring_the_pairs_says(relating, world) -> None:
    listed = relating.ties_of("an", world.now, 10)
    pairs = [(pair.sender, pair.recipient) for pair in listed.pairs]
    scored = relating.score(pairs, world.now)
    assert [pair.score for pair in listed.pairs] == [pair.score for pair in scored.pairs]
    assert (listed.model, listed.at) == (scored.model, scored.at) == (Volumes.ref, world.now)
    [later] = relating.tie("an", "bo", world.now + 30 * DAY).pairs
    assert later.score.strength < scored.pairs[0].score.strength  # as of then


def test_ranks_close_up_over_who_objects_and_tell_nothing_of_them(relating, world) -> None:
    _object(world, "di")
    assert _ranked(relating, "an", world.now) == [(1, "bo"), (2, "cy"), (3, "ed")]
    assert _ranked(relating, "di", world.now) == []
    [pair] = relating.tie("an", "di", world.now, explain=True).pairs
    assert (pair.score, pair.rank, pair.reasons) == (None, None, None)
    [other] = relating.tie("an", "cy", world.now, explain=True).pairs
    assert other.rank == 2


def test_tie_is_explained_and_ranked_only_on_demand(relating, world) -> None:
    [plain] = relating.tie("di", "an", world.now).pairs
    assert (plain.rank, plain.reasons) == (None, None)
    [told] = relating.tie("an", "cy", world.now, explain=True).pairs
    [reason] = told.reasons or ()
    assert reason.text.startswith("0.906")  # one call a day ago, half of it left after seven
    assert told.rank == 3
    assert told.score is not None
    assert told.score.asymmetry == 1
    [backwards] = relating.tie("cy", "an", world.now, explain=True).pairs
    assert backwards.score is not None
    assert (backwards.rank, backwards.score.asymmetry) == (1, -1)


def test_strangers_are_scored_but_have_no_rank(relating, world) -> None:
    [pair] = relating.tie("an", "zo", world.now, explain=True).pairs
    assert pair.score is not None
    assert (pair.score.strength, pair.rank) == (0, None)
    assert relating.score([("an", "zo")], world.now).pairs[0].score == pair.score


def test_everybodys_ties_are_each_persons(relating, world) -> None:
    _object(world, "bo")
    everybody = {
        (sender, recipient): score
        for ties in everybodys_ties(world.database, Volumes(), world.now)
        for sender, recipient, score in zip(ties.senders, ties.recipients, ties.scores, strict=True)
    }
    people = ["an", "bo", "cy", "di", "ed"]
    each = [pair for p in people for pair in relating.ties_of(p, world.now, 10).pairs]
    assert everybody == {(pair.sender, pair.recipient): pair.score for pair in each}
    assert len(everybody) == 6


def test_ties_without_a_model_are_refused(world, shipped_policy) -> None:
    shelf = OneModel(None)
    relating = Relating(world.database, GiftPolicy(shipped_policy, shelf), shelf)
    for ask in (
        lambda: relating.score([("an", "bo")], world.now),
        lambda: relating.ties_of("an", world.now, 5),
        lambda: relating.tie("an", "bo", world.now),
    ):
        with pytest.raises(ModelError, match="no tie model"):
            ask()
