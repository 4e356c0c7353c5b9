"""An oracle of closeness: what the log of a town tells whoever knows how the town works.

By Bayes' rule over a grid of (closeness at the span's beginning, at its end) of each pair:

- *Prior*: the generator's, by circle: the logit of closeness is normal around the circle's median;
  the drift is a mixture of staying, fading and growing (`training.simulate.closeness`).
- *Conversations*: the log-rate is linear in closeness with log-normal noise of the pair. Each sets
  off a Poisson number of others, so their count is generalised Poisson, with θ the mean of those
  that start by themselves: P(n) = θ(θ + nφ)^(n−1) e^(−θ−nφ)/n! (Consul and Jain, "A generalization
  of the Poisson distribution", Technometrics 15(4), 1973). When they fell, given their number, is
  multinomial, its weight divided by the count's variance over mean 1/(1−φ)². The lengths are
  log-normal around a mean linear in closeness, rounded up.
- *Greetings*: a chance proportional to closeness on each birthday and festival, or a conversation
  of the usual rate on that day.
- *Gifts* of each direction: Poisson at the generator's rate without occasion plus the chances of
  the occasions in the pair's days, times the giver's generosity, with the pair's noise.

It knows what the log does not tell and the model has to do without: the generator's functions and
constants, the circle in which a pair met, everyone's generosity, true birthday and talkativeness
(the last from the written true rates, as the mean over a person's pairs). It does not know a pair's
closeness, drift or habit, nor tastes, and leaves aside whom returned gifts go to: of what the log
tells it loses little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse, special, stats
from scipy.sparse.linalg import spsolve

from engine.domain.pair_state import Floats, Ints
from training.benchmark.town_evidence import PARTS, Evidence
from training.benchmark.town_truth import TownTruth
from training.simulate.assumptions import Assumptions, ContactAssumptions, TieAssumptions
from training.simulate.circles import Circle
from training.simulate.contacts import mean_length
from training.simulate.people import ages

_LEVELS = np.linspace(0.0125, 0.9875, 40)
_DRIFTS = np.arange(-0.64, 0.45, 0.04)
_STILL_SD, _FADING, _GROWING = 0.03, (0.25, 0.6), (0.15, 0.4)
"""Drift as `training.simulate.closeness.befriend` draws it."""
_NODES = 15
_LOG_MEANS = np.arange(-16.0, 8.0, 0.05)
_BLOCK = 2_000
_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """Cells (c) of closeness at the span's beginning, its end, its middle and in each part."""

    start: Floats
    end: Floats
    middle: Floats
    parts: Floats
    """c × `PARTS`."""

    @classmethod
    def make(cls) -> _Grid:
        start = np.repeat(_LEVELS, len(_DRIFTS))
        end = np.clip(start + np.tile(_DRIFTS, len(_LEVELS)), 0.01, 0.99)
        passed = (np.arange(PARTS) + 0.5) / PARTS
        parts = start[:, None] + (end - start)[:, None] * passed
        return cls(start, end, (start + end) / 2, parts)


@dataclass(frozen=True, slots=True, eq=False)
class _CountLikelihood:
    """log P(count | log mean) where the mean has log-normal noise of its own, tabulated."""

    table: Floats
    row: Ints

    @classmethod
    def of(cls, counts: Ints, noise_sd: float, follow_up: float = 0.0) -> _CountLikelihood:
        """Tabulate the counts (m) that occur; the noise is integrated by Gauss–Hermite nodes."""
        distinct, row = np.unique(counts, return_inverse=True)
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        theta = (1.0 - follow_up) * np.exp(_LOG_MEANS[:, None] + noise_sd * nodes)
        seen = distinct.astype(np.float64)[:, None, None]
        log_p = np.log(theta) + (seen - 1.0) * np.log(theta + seen * follow_up)
        log_p -= theta + seen * follow_up
        table = special.logsumexp(log_p, axis=2, b=weights / weights.sum())
        return cls(table, row)

    def at(self, rows: slice, log_mean: Floats) -> Floats:
        """Return it (rows × c) up to a constant of each row, interpolated."""
        step = _LOG_MEANS[1] - _LOG_MEANS[0]
        place = np.clip((log_mean - _LOG_MEANS[0]) / step, 0.0, len(_LOG_MEANS) - 1.001)
        below = place.astype(np.int64)
        row, part = self.row[rows, None], place - below
        return np.asarray(self.table[row, below] * (1.0 - part) + self.table[row, below + 1] * part)


def oracle_closeness(
    town: TownTruth, given: Assumptions, seen: Evidence, knows_circles: bool = True
) -> Floats:
    """Return the posterior mean of each pair's closeness (m) at the span's end, as above.

    An oracle that `knows_circles` takes each pair's prior from its circle, one that does not the
    mixture of all pairs. Who shares friends may be of one circle, which neither looks at: the
    former needs not, the latter can be surpassed by it.
    """
    grid = _Grid.make()
    contacts, giving = given.contacts, given.giving
    prior = _log_prior(given.ties, town.span.days)
    shares = np.bincount(town.circle, minlength=len(prior)) / len(town)
    mixed = special.logsumexp(prior, axis=0, b=shares[:, None])
    talk_rate = contacts.log_rate_at_zero + contacts.log_rate_per_closeness * grid.parts
    gift_rate = giving.spontaneous_log_rate + giving.spontaneous_per_closeness * (grid.parts - 1.0)
    talkative = _talkativeness(town, contacts)
    conversed = seen.conversations.sum(axis=1)
    talk = _CountLikelihood.of(conversed.astype(np.int64), contacts.pair_sd, contacts.follow_up)
    gifts = [_CountLikelihood.of(count, giving.pair_sd) for count in seen.gifts]
    generous = town.generosity * (ages(town.born, town.span.local_days()[0]) >= 14)
    lengths, (birthdays, festivals) = _log_lengths(grid, contacts), _log_greeted(grid, contacts)
    found = np.empty(len(town))
    for begin in range(0, len(town), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        days = seen.days[rows]
        expected = np.log(np.maximum(days @ np.exp(talk_rate).T, _TINY))
        timing = seen.conversations[rows] @ talk_rate.T - conversed[rows, None] * expected
        posterior = (
            (prior[town.circle[rows]] if knows_circles else mixed)
            + talk.at(rows, expected + talkative[rows, None])
            + (1.0 - contacts.follow_up) ** 2 * timing
            + seen.lengths[rows] @ lengths.T
            + seen.birthdays[rows] @ birthdays
            + seen.festivals[rows] @ festivals
        )
        for way, giver in enumerate((town.a[rows], town.b[rows])):
            mean = days @ np.exp(gift_rate).T
            mean += seen.occasions[way, rows, None] * grid.middle**1.5
            mean *= generous[giver, None]
            posterior += gifts[way].at(rows, np.log(np.maximum(mean, _TINY)))
        found[rows] = special.softmax(posterior, axis=1) @ grid.end
    return found


def _log_prior(given: TieAssumptions, days: int) -> Floats:
    """Return the log-prior of the cells for each circle (circles × c)."""
    logit = special.logit(_LEVELS)
    found = []
    for circle in Circle:
        centre = special.logit(given.closeness_medians[circle])
        level = stats.norm.pdf(logit, centre, given.closeness_sd) / (_LEVELS * (1.0 - _LEVELS))
        drift = _drift_chances(given, days, kin=circle <= Circle.FAMILY)
        found.append(np.log(np.outer(level / level.sum(), drift).ravel() + _TINY))
    return np.asarray(found)


def _drift_chances(given: TieAssumptions, days: int, kin: bool) -> Floats:
    """Return the chance of each drift of the grid: kin neither fade nor grow."""
    half = (_DRIFTS[1] - _DRIFTS[0]) / 2
    still = stats.norm.cdf(_DRIFTS + half, 0.0, _STILL_SD)
    still -= stats.norm.cdf(_DRIFTS - half, 0.0, _STILL_SD)
    if kin:
        return np.asarray(still)
    fades, grows = (
        1.0 - (1.0 - per_day) ** days for per_day in (given.fading_per_day, given.growing_per_day)
    )
    grows *= 1.0 - fades
    fading, growing = _uniform(-_FADING[1], -_FADING[0], half), _uniform(*_GROWING, half)
    return np.asarray((1.0 - fades - grows) * still + fades * fading + grows * growing)


def _uniform(low: float, high: float, half: float) -> Floats:
    covered = np.minimum(_DRIFTS + half, high) - np.maximum(_DRIFTS - half, low)
    return np.asarray(np.maximum(covered, 0.0) / (high - low))


def _talkativeness(town: TownTruth, given: ContactAssumptions) -> Floats:
    """Return the log-rate that each pair owes to its two people's habits, from true rates.

    The log of a pair's true rate is its closeness's plus the habit of the pair and of the two
    people: the posterior mean of the latter by least squares with their own variances.
    """
    known = np.flatnonzero(town.messages_per_day > 0)
    opens, closes = town.opens[known], town.closes[known]
    middle = ((opens + closes) / 2 - town.span.begins) / (town.span.ends - town.span.begins)
    start, end = town.closeness_start[known], town.closeness_end[known]
    a_conversation = given.call + (1.0 - given.call) * mean_length((start + end) / 2, given)
    lasting = (closes - opens) / (town.span.ends - town.span.begins)
    usual = given.log_rate_at_zero + given.log_rate_per_closeness * (start + (end - start) * middle)
    habit = np.log(town.messages_per_day[known] / (a_conversation * lasting)) - usual
    ends = np.concatenate([town.a[known], town.b[known]])
    row = np.tile(np.arange(len(known)), 2)
    people = len(town.generosity)
    of = sparse.csr_array((np.ones(len(ends)), (row, ends)), shape=(len(known), people))
    shrunk = of.T @ of + (given.pair_sd / given.person_sd) ** 2 * sparse.eye_array(people)
    own = spsolve(shrunk.tocsc(), of.T @ habit)
    return np.asarray(own[town.a] + own[town.b])


def _log_lengths(grid: _Grid, given: ContactAssumptions) -> Floats:
    """Return the log-chance of each number of messages in a conversation (c × longest)."""
    longest = np.arange(1, given.longest)
    mean = given.length_log_at_zero + given.length_log_per_closeness * grid.middle[:, None]
    up_to = special.ndtr((np.log(longest) - mean) / given.length_log_sd)
    sizes = len(grid.middle)
    whole = np.hstack([np.zeros((sizes, 1)), up_to, np.ones((sizes, 1))])
    return np.asarray(np.log(np.diff(whole, axis=1) + _TINY))


def _log_greeted(grid: _Grid, given: ContactAssumptions) -> tuple[Floats, Floats]:
    """Return the log-chances that a birthday and a festival are missed and greeted (2 × c)."""
    rate = np.exp(given.log_rate_at_zero + given.log_rate_per_closeness * grid.middle)
    found = []
    # On a birthday only what the other side begins counts: half of the conversations.
    for chance, share in ((given.birthday_greeting, 0.5), (given.festival_greeting, 1.0)):
        missed = (1.0 - chance * grid.middle) * np.exp(-share * rate)
        found.append(np.log(np.stack([missed, 1.0 - missed])))
    return found[0], found[1]
