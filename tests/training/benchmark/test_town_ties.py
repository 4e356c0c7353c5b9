"""The town benchmark: its oracle is right about what it knows, and strength is compared with it."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from training.benchmark.town_evidence import Evidence, evidence
from training.benchmark.town_oracle import oracle_closeness
from training.benchmark.town_ties import Town, benchmark_town_ties
from training.benchmark.town_truth import TownEvents, TownTruth
from training.simulate import write_town
from training.simulate.assumptions import Assumptions
from training.simulate.timeline import DAY, HOUR, Span

SPAN = Span(date(2026, 1, 1), 90)
GIVEN = Assumptions()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_town(tmp_path_factory.mktemp("town"), 500, SPAN.days, seed=5).folder


@pytest.fixture(scope="module")
def town(folder: Path) -> TownTruth:
    return TownTruth.read(folder, SPAN)


@pytest.fixture(scope="module")
def seen(town: TownTruth) -> Evidence:
    return evidence(town, GIVEN)


@pytest.fixture(scope="module")
def found(town: TownTruth, seen: Evidence) -> dict[str, np.ndarray]:
    return {
        "oracle": oracle_closeness(town, GIVEN, seen),
        "outsider": oracle_closeness(town, GIVEN, seen, knows_circles=False),
        "count": np.bincount(town.contacts.pair, minlength=len(town)),
    }


def test_town_truth_reads_pairs_as_the_files_tell_them(folder: Path, town: TownTruth) -> None:
    with (folder / "friendships.csv").open() as file:
        rows = list(csv.DictReader(file))
    lasting = {(row["person"], row["friend"]) for row in rows if not row["until"]}
    both_ways = {pair for pair in lasting if pair[::-1] in lasting and pair < pair[::-1]}
    friends = town.two_way_at_the_end()
    ids = zip(town.a[friends] + 1, town.b[friends] + 1, strict=True)
    assert {(f"p{a:06d}", f"p{b:06d}") for a, b in ids} == both_ways
    with (folder / "interactions.csv").open() as file:
        sent = sum(row["sender"] < row["recipient"] for row in csv.DictReader(file))
    assert town.contacts.from_a.sum() == sent
    np.testing.assert_array_equal(town.closeness_at(SPAN.begins), town.closeness_start)
    np.testing.assert_allclose(town.closeness_at(SPAN.ends + DAY), town.closeness_end)


def test_evidence_parts_conversations_by_an_hour_and_tells_greetings_apart(
    town: TownTruth,
) -> None:
    whole_span = (town.opens == SPAN.begins) & (town.closes == SPAN.ends)
    # Born in summer: no birthday falls into the span.
    summer = (town.born.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12) == 6
    pair = int(np.flatnonzero(whole_span & summer[town.a] & summer[town.b])[0])
    noon = SPAN.begins + 10 * DAY + DAY // 2
    gaps = np.cumsum([0, 60, HOUR - 1, HOUR, 5 * HOUR])
    new_year = SPAN.begins + DAY // 2
    contacts = TownEvents(
        pair=np.full(7, pair),
        from_a=np.array([True, False, True, True, False, True, False]),
        kind=np.array(["message"] * 4 + ["call"] + ["message"] * 2),
        at=np.concatenate([noon + gaps, [new_year, new_year + 60]]),
    )
    seen = evidence(replace(town, contacts=contacts), GIVEN)
    assert seen.conversations.sum() == seen.conversations[pair].sum() == 3
    assert seen.lengths[pair, :3].tolist() == [1, 1, 1]  # the greeting has two messages
    assert seen.birthdays[pair].tolist() == [0, 0]
    assert seen.festivals[pair].tolist() == [1, 1]  # Spring Festival missed, New Year greeted
    assert seen.days[pair].sum() == pytest.approx(SPAN.days)


def test_oracle_is_right_on_average_wherever_it_looks(
    town: TownTruth, found: dict[str, np.ndarray]
) -> None:
    friends = town.two_way_at_the_end()
    for name in ("oracle", "outsider"):
        guess, truth = found[name][friends], town.closeness_end[friends]
        for tenth in np.array_split(np.argsort(guess), 10):
            assert guess[tenth].mean() == pytest.approx(truth[tenth].mean(), abs=0.05), name


def test_oracle_orders_better_the_more_it_knows(
    town: TownTruth, found: dict[str, np.ndarray]
) -> None:
    friends = town.two_way_at_the_end()
    reached = {
        name: spearmanr(score[friends], town.closeness_end[friends]).statistic
        for name, score in found.items()
    }
    assert reached["oracle"] > reached["outsider"] + 0.02
    assert reached["outsider"] > reached["count"] + 0.015


def test_oracle_sees_every_kind_of_evidence(
    town: TownTruth, seen: Evidence, found: dict[str, np.ndarray]
) -> None:
    more = np.array([[0.0, 1.0]])
    for richer in (
        replace(seen, conversations=seen.conversations + 1.0),
        replace(seen, gifts=seen.gifts + 1),
        replace(seen, birthdays=seen.birthdays + more),
        replace(seen, festivals=seen.festivals + more),
    ):
        closer = oracle_closeness(town, GIVEN, richer) > found["oracle"]
        # Not of a pair of children, who never give, and of friends since the last days.
        assert closer[town.two_way_at_the_end()].mean() > 0.95


@pytest.mark.slow
def test_town_benchmark_compares_strength_with_the_oracle() -> None:
    report = benchmark_town_ties(Town(people=500, days=90, seed=5), seed=1)
    metrics, baselines = report.metrics, report.baselines
    assert metrics["closeness_ratio"] == pytest.approx(
        metrics["spearman_closeness"] / metrics["oracle_spearman_closeness"]
    )
    assert metrics["closeness_ratio"] > 0.8
    assert metrics["oracle_spearman_closeness"] > baselines["count_spearman_closeness"] + 0.03
    assert baselines["true_rate_spearman_closeness"] > metrics["oracle_spearman_closeness"]
    assert 0 < metrics["friendships_silent"] < metrics["friendships"]
