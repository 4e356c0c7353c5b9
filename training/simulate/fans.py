"""Fans: who follows which creator, and when they give in a live room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.simulate.assumptions import GivingAssumptions
from training.simulate.catalogue import Catalogue
from training.simulate.chance import Ints, happens, log_normal, stream
from training.simulate.closeness import Ties
from training.simulate.people import Population
from training.simulate.timeline import Span, arrivals, in_rhythm, local_day_of


@dataclass(frozen=True, slots=True)
class Fans:
    """One entry a fan and creator; a fan calls the creator a friend, not the other way round."""

    fan: Ints
    creator: Ints
    since: Ints

    def __len__(self) -> int:
        return len(self.fan)


def follow(
    people: Population,
    ties: Ties,
    catalogue: Catalogue,
    span: Span,
    seed: int,
    given: GivingAssumptions,
) -> Fans:
    """Draw each creator's fans: nobody who has a tie with the creator anyway."""
    rng = stream(seed, "fans")
    creators = np.unique(catalogue.creator[catalogue.creator >= 0])
    share = np.minimum(given.fans_share * log_normal(rng, given.fan_log_sd, len(creators)), 0.3)
    chosen = [np.flatnonzero(happens(rng, float(part), len(people))) for part in share]
    fan = np.concatenate([np.zeros(0, dtype=np.int64), *chosen])
    creator = np.repeat(creators, [len(fans) for fans in chosen])
    pair = np.minimum(fan, creator) * len(people) + np.maximum(fan, creator)
    tied = np.isin(pair, ties.a * len(people) + ties.b)
    kept = ~tied & (fan != creator)
    fan, creator = fan[kept], creator[kept]
    latest = np.maximum(people.joined[fan], people.joined[creator])
    since = latest + (rng.random(len(fan)) * (span.ends - latest)).astype(np.int64)
    return Fans(fan, creator, since)


def cheer(
    people: Population, fans: Fans, span: Span, seed: int, given: GivingAssumptions
) -> tuple[Ints, Ints]:
    """Draw when fans give: the index of the fan entry and the time of each gift.

    Only people known to be of age give in a live room; an unknown birth date does not do.
    """
    rng = stream(seed, "cheering")
    of_age = people.known_to_be(18, span.local_days()[0])[fans.fan]
    rate = np.log(given.fan_gifts_per_day * people.generosity[fans.fan])
    opens = np.maximum(fans.since, span.begins)
    closes = np.where(of_age, span.ends, opens)
    entry, at = arrivals(rng, rate, rate, opens, closes)
    offset = people.offset[fans.creator[entry]]
    at = in_rhythm(rng, local_day_of(at, offset), offset, given.live_hours)
    kept = span.holds(at) & (at >= fans.since[entry])
    return entry[kept], at[kept]
