"""Ties: how close two people are, how that drifts, and when each side calls the other a friend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.simulate.assumptions import TieAssumptions
from training.simulate.chance import Bools, Floats, Ints, happens, log_normal, sigmoid, stream
from training.simulate.circles import Circle, meet
from training.simulate.people import Population
from training.simulate.timeline import DAY, NEVER, Span


@dataclass(frozen=True, slots=True)
class Ties:
    """m pairs (a below b), one entry each; closeness in 0…1, times in seconds or `NEVER`."""

    a: Ints
    b: Ints
    circle: Ints
    since_ab: Ints
    """When a called b a friend; `since_ba` when b called a one."""
    since_ba: Ints
    until_ab: Ints
    until_ba: Ints
    closeness_start: Floats
    """At the town's beginning, and at its end; linear in between."""
    closeness_end: Floats

    def __len__(self) -> int:
        return len(self.a)

    @property
    def opens(self) -> Ints:
        """When the friendship became two-way."""
        return np.maximum(self.since_ab, self.since_ba)

    @property
    def closes(self) -> Ints:
        """When it ceased to be two-way."""
        return np.minimum(self.until_ab, self.until_ba)

    def window(self, span: Span) -> tuple[Ints, Ints]:
        """Return the part of the span in which each pair is two-way (empty: ends first)."""
        return np.maximum(self.opens, span.begins), np.minimum(self.closes, span.ends)

    def closeness_at(self, tie: Ints, at: Ints, span: Span) -> Floats:
        """Return the closeness of the ties with the indices `tie` at the times `at`."""
        part = (at - span.begins) / (span.ends - span.begins)
        start = self.closeness_start[tie]
        return start + (self.closeness_end[tie] - start) * np.clip(part, 0.0, 1.0)

    def two_way_at(self, tie: Ints, at: Ints) -> Bools:
        """Tell which ties are two-way at the times `at`."""
        return (at >= self.opens[tie]) & (at < self.closes[tie])


def _over(per_day: float, days: int) -> float:
    """Return the chance that something of `per_day` happens within `days`."""
    return 1.0 - (1.0 - per_day) ** days


def befriend(people: Population, span: Span, seed: int, given: TieAssumptions) -> Ties:
    """Draw the ties of a population over the span."""
    a, b, circle = meet(people, seed, given)
    rng = stream(seed, "closeness")
    m = len(a)
    norm = np.linalg.norm(people.taste, axis=1)
    alike = np.einsum("ij,ij->i", people.taste[a], people.taste[b]) / (norm[a] * norm[b])
    median = np.asarray(given.closeness_medians)[circle]
    logit = np.log(median / (1.0 - median)) + rng.normal(0.0, given.closeness_sd, m)
    logit += given.taste_pull * (alike - alike.mean())
    start = sigmoid(logit)

    kin = circle <= Circle.FAMILY
    fading = happens(rng, _over(given.fading_per_day, span.days), m) & ~kin
    growing = happens(rng, _over(given.growing_per_day, span.days), m) & ~fading
    drift = rng.normal(0.0, 0.03, m)
    drift -= fading * rng.uniform(0.25, 0.6, m)
    drift += growing * rng.uniform(0.15, 0.4, m)
    end = np.clip(start + drift, 0.01, 0.99)

    joined = np.maximum(people.joined[a], people.joined[b])
    forming = happens(rng, _over(given.forming_per_day, span.days), m) & ~kin
    forming |= joined >= span.begins
    earliest = np.where(forming, np.maximum(joined, span.begins), joined)
    latest = np.where(forming, span.ends, span.begins)
    # Whoever joins finds friends soon after: the square leans towards the beginning.
    since = earliest + ((latest - earliest) * rng.random(m) ** 2).astype(np.int64)
    answered = since + 60 + (7_200 * log_normal(rng, 1.5, m)).astype(np.int64)
    answered[happens(rng, given.never_answered, m) & ~kin] = NEVER
    answered[answered >= span.ends] = NEVER
    a_asks = happens(rng, 0.5, m)

    leaving = happens(rng, np.where(fading, 6.0, 0.5) * _over(given.ending_per_day, span.days), m)
    leaving &= ~kin & (answered < span.ends - 2 * DAY)
    opens = np.where(leaving, np.maximum(answered, span.begins), span.begins)
    left = opens + ((span.ends - opens) * (0.05 + 0.95 * rng.random(m))).astype(np.int64)
    left = np.where(leaving & (left < span.ends), left, NEVER)
    followed = np.minimum(left, span.ends) + 60 + (DAY * log_normal(rng, 1.5, m)).astype(np.int64)
    followed[happens(rng, given.ending_stays_one_way, m)] = NEVER
    followed = np.where((left < NEVER) & (followed < span.ends), followed, NEVER)
    a_leaves = happens(rng, 0.5, m)
    return Ties(
        a=a,
        b=b,
        circle=circle,
        since_ab=np.where(a_asks, since, answered),
        since_ba=np.where(a_asks, answered, since),
        until_ab=np.where(a_leaves, left, followed),
        until_ba=np.where(a_leaves, followed, left),
        closeness_start=start,
        closeness_end=end,
    )
