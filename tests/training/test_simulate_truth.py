"""A town can be learned from: its log follows the latent truth written beside it, with noise."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from engine.domain.clock import DAY, parse_time
from training.simulate import TownSummary, write_town

Row = dict[str, str]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> TownSummary:
    return write_town(tmp_path_factory.mktemp("town"), 1_500, 90, seed=3)


def rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pair(row: Row) -> tuple[str, str]:
    one, other = sorted((row["sender"], row["recipient"]))
    return one, other


def test_closeness_shows_in_messages_and_gifts_but_not_entirely(town: TownSummary) -> None:
    ties = rows(town.folder / "truth" / "closeness.csv")
    talked = Counter(map(pair, rows(town.folder / "interactions.csv")))
    given = Counter(map(pair, rows(town.folder / "gifts.csv")))
    close = [float(tie["closeness_start"]) + float(tie["closeness_end"]) for tie in ties]
    for counted, floor in ((talked, 0.55), (given, 0.3)):
        volume = [counted[tie["a"], tie["b"]] for tie in ties]
        assert floor < spearmanr(close, volume).statistic < 0.95


def test_expected_rates_of_the_truth_are_what_the_log_shows(town: TownSummary) -> None:
    ties = rows(town.folder / "truth" / "closeness.csv")
    talked = Counter(map(pair, rows(town.folder / "interactions.csv")))
    expected = np.array([float(tie["messages_per_day"]) * 90 for tie in ties])
    seen = np.array([talked[tie["a"], tie["b"]] for tie in ties])
    # Greetings and thanks come on top; they matter least where people talk most.
    busy = expected > 30
    assert busy.sum() > 300
    assert 0.95 < seen[busy].sum() / expected[busy].sum() < 1.15
    assert not seen[expected == 0].any()


def test_ties_that_fade_talk_less_in_the_second_half_and_growing_ones_more(
    town: TownSummary,
) -> None:
    middle = parse_time("2026-01-01T00:00:00+08:00") + 45 * DAY
    early: Counter[tuple[str, str]] = Counter()
    late: Counter[tuple[str, str]] = Counter()
    for row in rows(town.folder / "interactions.csv"):
        (early if parse_time(row["occurred_at"]) < middle else late)[pair(row)] += 1
    drift = {
        (tie["a"], tie["b"]): float(tie["closeness_end"]) - float(tie["closeness_start"])
        for tie in rows(town.folder / "truth" / "closeness.csv")
    }
    fading = [tie for tie, change in drift.items() if change < -0.25]
    growing = [tie for tie, change in drift.items() if change > 0.15]
    assert sum(late[tie] for tie in fading) < 0.6 * sum(early[tie] for tie in fading)
    assert sum(late[tie] for tie in growing) > 1.3 * sum(early[tie] for tie in growing)


def test_circles_of_friends_widen_as_closeness_falls(town: TownSummary) -> None:
    close = np.array(
        [float(tie["closeness_start"]) for tie in rows(town.folder / "truth" / "closeness.csv")]
    )
    sizes = [2 * (close > level).sum() / town.people for level in (0.75, 0.55, 0.3, 0.0)]
    assert 2 < sizes[0] < 6
    assert 6 < sizes[1] < 14
    assert 14 < sizes[2] < 26
    assert 25 < sizes[3] < 45


def test_messages_come_in_bursts(town: TownSummary) -> None:
    times: dict[tuple[str, str], list[int]] = {}
    for row in rows(town.folder / "interactions.csv"):
        if row["kind"] == "message":
            times.setdefault(pair(row), []).append(parse_time(row["occurred_at"]))
    gaps = [np.diff(at) for at in times.values() if len(at) >= 10]
    burstiness = [(gap.std() - gap.mean()) / (gap.std() + gap.mean()) for gap in gaps]
    # A Poisson process has 0; the Copenhagen SMS have 0.48.
    assert 0.4 < np.median(burstiness) < 0.56


def test_held_out_share_is_that_of_a_fair_draw(town: TownSummary) -> None:
    met = Counter(row["kind"] for row in rows(town.folder / "offer_events.csv"))
    audience = met["held_out"] + met["shown"]
    assert abs(met["held_out"] - 0.2 * audience) < 4 * np.sqrt(audience * 0.2 * 0.8)


def test_holding_out_does_not_depend_on_how_people_would_respond(town: TownSummary) -> None:
    truth = {
        (row["offer"], row["person"]): float(row["p_if_shown"])
        for row in rows(town.folder / "truth" / "response.csv")
    }
    events = rows(town.folder / "offer_events.csv")
    chances = {
        kind: np.array([truth[e["offer"], e["person"]] for e in events if e["kind"] == kind])
        for kind in ("shown", "held_out")
    }
    assert len(truth) == sum(map(len, chances.values()))
    error = np.sqrt(sum(part.var() / len(part) for part in chances.values()))
    assert abs(chances["shown"].mean() - chances["held_out"].mean()) < 4 * error


@pytest.mark.parametrize(
    ("arm", "column"), [("shown", "p_if_shown"), ("held_out", "p_if_held_out")]
)
def test_redemptions_of_finished_offers_match_their_true_chances(
    town: TownSummary, arm: str, column: str
) -> None:
    end = parse_time("2026-01-01T00:00:00+08:00") + 90 * DAY
    offers = rows(town.folder / "offers.csv")
    finished = {row["offer"] for row in offers if parse_time(row["ends_at"]) <= end}
    assert 0 < len(finished) < len(offers)
    events = rows(town.folder / "offer_events.csv")
    redeemed = {(e["offer"], e["person"]) for e in events if e["kind"] == "redeemed"}
    met = {(e["offer"], e["person"]) for e in events if e["kind"] == arm and e["offer"] in finished}
    truth = rows(town.folder / "truth" / "response.csv")
    chance = np.array([float(r[column]) for r in truth if (r["offer"], r["person"]) in met])
    sd = np.sqrt((chance * (1 - chance)).sum())
    assert abs(len(met & redeemed) - chance.sum()) < 4 * sd


def test_uplift_differs_between_people_and_is_negative_for_some(town: TownSummary) -> None:
    uplift = np.array(
        [
            float(row["p_if_shown"]) - float(row["p_if_held_out"])
            for row in rows(town.folder / "truth" / "response.csv")
        ]
    )
    assert 0.01 < uplift.mean() < 0.08
    assert uplift.std() > 0.02
    assert 0.01 < (uplift < 0).mean() < 0.15


def test_what_similar_people_like_beats_what_is_popular(town: TownSummary) -> None:
    items = {row["item"]: i for i, row in enumerate(rows(town.folder / "items.csv"))}
    people = {row["person"]: i for i, row in enumerate(rows(town.folder / "people.csv"))}
    cut = parse_time("2026-03-15T00:00:00+08:00")
    seen = np.zeros((len(people), len(items)))
    later: set[tuple[int, int]] = set()
    for row in rows(town.folder / "item_events.csv"):
        who, what = people[row["person"]], items[row["item"]]
        if parse_time(row["occurred_at"]) < cut:
            seen[who, what] = 1
        elif not seen[who, what]:
            later.add((who, what))
    together = seen.T @ seen
    norm = np.sqrt(np.maximum(np.diag(together), 1))
    similar = together / np.outer(norm, norm)
    np.fill_diagonal(similar, 0)
    popular = np.broadcast_to(seen.sum(axis=0), seen.shape)

    def recall_at_10(scores: np.ndarray) -> float:
        open_scores = np.where(seen > 0, -1.0, scores)
        hits = [(open_scores[who] > open_scores[who, what]).sum() < 10 for who, what in later]
        return float(np.mean(hits))

    assert recall_at_10(seen @ similar) > 1.15 * recall_at_10(popular)


def test_receiving_a_gift_is_followed_by_giving_back_more_often_than_not_receiving(
    town: TownSummary,
) -> None:
    gifts = [g for g in rows(town.folder / "gifts.csv") if g["relation"] == "friend"]
    plain = [g for g in gifts if g["occasion"] == "none"]
    accepted: dict[tuple[str, str], list[int]] = {}
    for gift in gifts:
        if gift["outcome"] in ("accepted", "redeemed"):
            key = gift["recipient"], gift["sender"]
            accepted.setdefault(key, []).append(parse_time(gift["occurred_at"]))
    within = 15 * DAY
    after = before = 0
    for gift in plain:
        at = parse_time(gift["occurred_at"])
        for received in accepted.get((gift["sender"], gift["recipient"]), []):
            after += 0 < at - received <= within
            before += 0 < received - at <= within
    # Closeness explains gifts both ways alike before and after; the surplus after is reciprocity.
    assert after > 1.2 * before
