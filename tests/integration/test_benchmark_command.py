"""`lishang benchmark ties` on a file in the import format: its numbers, its scores, no future."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import pytest
from sklearn.metrics import roc_auc_score

DAY = 86_400
CUTOFF, HORIZON = 21 * DAY, 7 * DAY


@pytest.fixture(scope="module")
def lishang(install):
    return install("benchmark")


def _judge(lishang, log: Path, folder: Path, *options: str) -> tuple[dict, list[dict[str, str]]]:
    numbers, scores = folder / "out.json", folder / "scores.csv"
    lishang.run(
        *("benchmark", "ties", "--interactions", str(log), *options),
        *("--json", str(numbers), "--scores", str(scores)),
    )
    with scores.open() as file:
        return json.loads(numbers.read_text()), list(csv.DictReader(file))


def test_numbers_are_those_anyone_computes_from_the_scores(
    lishang, lishang_data: Path, tmp_path: Path
) -> None:
    log = lishang_data / "copenhagen" / "sms.csv"
    numbers, scores = _judge(
        *(lishang, log, tmp_path, "--map", "occurred_at=timestamp"),
        *("--cutoffs", str(CUTOFF), "--horizon", str(HORIZON)),
    )
    before, after = defaultdict(int), defaultdict(int)
    with log.open() as file:
        for row in csv.DictReader(file):
            pair = tuple(sorted((row["sender"], row["recipient"])))
            at = int(row["timestamp"])
            if at < CUTOFF:
                before[pair] += 1
            elif at < CUTOFF + HORIZON:
                after[pair] += 1
    pairs = [tuple(sorted((row["a"], row["b"]))) for row in scores]
    assert sorted(pairs) == sorted(before)
    labels = [after[pair] > 0 for pair in pairs]
    assert (len(pairs), sum(labels)) == (623, 271)
    assert [int(row["exchanged"]) for row in scores] == labels
    assert [float(row["future_volume"]) for row in scores] == [after[pair] for pair in pairs]
    strength = [float(row["strength"]) for row in scores]
    counts = [before[pair] for pair in pairs]
    assert numbers["metrics"]["auc_any"] == pytest.approx(roc_auc_score(labels, strength))
    assert numbers["baselines"]["count_auc_any"] == pytest.approx(roc_auc_score(labels, counts))
    assert all(0 <= value <= 1 for value in strength)
    assert set(numbers) == {"metrics", "baselines", "environment"}
    assert numbers["environment"]["lightgbm"]


def test_nothing_after_the_cutoff_moves_a_score(lishang, tmp_path: Path) -> None:
    lishang.run("simulate", "--people", "80", "--days", "40", "--out", str(tmp_path / "town"))
    with (tmp_path / "town" / "interactions.csv").open() as file:
        rows = list(csv.DictReader(file))
    begun = min(row["occurred_at"] for row in rows)[:10]
    past = [row for row in rows if row["occurred_at"][:10] < _plus(begun, 25)]
    args = ("--cutoffs", str(_days(_plus(begun, 25))), "--horizon", "5", "--time-unit", "d")
    scores = []
    for name, kept in (("whole", rows), ("past", past)):
        folder = tmp_path / name
        folder.mkdir()
        with (folder / "log.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(kept)
        # One exchange after the cut-off keeps the judged window from being empty.
        if name == "past":
            later = next(row for row in rows if row not in past)
            with (folder / "log.csv").open("a", newline="") as file:
                csv.DictWriter(file, rows[0].keys()).writerow(later)
        _, judged = _judge(lishang, folder / "log.csv", folder, *args)
        scores.append({(r["a"], r["b"]): (r["strength"], r["p_exchange"]) for r in judged})
    assert len(past) < len(rows)
    assert scores[0] == scores[1]


def _plus(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days)).isoformat()


def _days(day: str) -> int:
    return (date.fromisoformat(day) - date(1970, 1, 1)).days
