"""How many logged decisions a second the service answers: `python -m benchmarks.evaluate_http`.

The real server with its workers and a client share this machine. Every request gives 1,000 sets of
facts for the shipped `gift_send` rules; every answer is checked against verdicts of an engine of
our own. Beside it, in the same run, a bare Flask application on the same server that only reads and
writes the same body as JSON: what HTTP and JSON leave for any service in this language.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import click
import orjson

from api.parsing import plain_document
from api.schemas.evaluations import written
from benchmarks.http_load import Load, Request, Server, load
from engine.domain.clock import now
from engine.domain.errors import InvalidInput
from engine.domain.verdicts import FactValue
from engine.evaluating import Evaluating
from engine.ledger import decisions
from engine.ledger.database import Database
from engine.ledger.decision_log import RecordedDecisions
from engine.ledger.keys import ApiKeys, Scope
from engine.ledger.migration import ensure
from engine.policy.engine import PolicyEngine
from engine.policy.given_facts import GivenFacts
from training.benchmark.report import BenchmarkReport, emit

DECISION = "gift_send"
RULES = Path(__file__).resolve().parent.parent / "rules"
Facts = dict[str, FactValue | None]

LIBRARIES = ("granian", "flask", "orjson", "pydantic", "sqlalchemy", "durable_rules")

ORDINARY: Facts = {
    "gift.relation": "friend",
    "gift.scene": "chat",
    "gift.mechanics": "direct",
    "gift.tier": "basic",
    "gift.category": "drinks",
    "gift.kind": "voucher",
    "gift.moderation": "approved",
    "gift.odds_disclosed": False,
    "gift.price_fen": 900,
    "gift.relation_allowed": True,
    "gift.scene_allowed": True,
    "gift.on_sale": True,
    "gift.in_stock": True,
    "gift.to_creator": False,
    "gift.to_self": False,
    "pair.two_way_friends": True,
    "pair.blocked": False,
    "pair.friends_days": 400,
    "pair.fen_vs_habit_ppm": 1_000_000,
    "pair.back_fen_24h": 0,
    "pair.unanswered_30d": 0,
    "pair.tie_class": "friend",
    "pair.day_gifts_after": 1,
    "pair.day_fen_after": 900,
    "sender.day_gifts_after": 1,
    "sender.day_fen_after": 900,
    "sender.hour_gifts_after": 1,
    "sender.hour_fen_after": 900,
    "sender.month_fen_after": 4_000,
    "sender.account_days": 900,
    "sender.region": "CN",
    "sender.guardian_consent": False,
    "sender.day_gifts_limit": None,
    "sender.day_fen_limit": None,
    "sender.gift_fen_limit": None,
    "sender.age_years": 31,
    "recipient.age_years": 29,
    "recipient.guardian_consent": False,
    "recipient.day_gifts_after": 1,
    "recipient.day_fen_after": 900,
    "time.festival_window": False,
}
"""A gift between friends as most are."""

ODD: tuple[Facts, ...] = (
    {"pair.two_way_friends": False},
    {"gift.scene": "moments"},
    {"sender.day_gifts_after": 14, "pair.day_gifts_after": 9},
    {"gift.in_stock": False},
    {"gift.price_fen": 1_200_000, "gift.tier": "goods"},
    {"gift.mechanics": "lottery"},
    {"sender.age_years": 15},
    {"pair.blocked": True, "pair.two_way_friends": False},
    {"pair.tie_class": None, "gift.price_fen": 250_000, "gift.tier": "goods"},
    {"gift.relation": "creator", "gift.scene": "live_room"},
)
"""What is the matter with those that are not."""


def given_facts(sets: int, odd_share: float, seed: int) -> list[Facts]:
    """Return sets of facts, a share of them with something the matter."""
    draw = random.Random(seed)
    made: list[Facts] = []
    for _ in range(sets):
        gifts = draw.randint(1, 4)
        facts = ORDINARY | {
            "gift.category": draw.choice(["drinks", "cakes", "cards"]),
            "pair.friends_days": draw.randint(30, 4_000),
            "sender.day_gifts_after": gifts,
            "sender.day_fen_after": 900 * gifts,
            "sender.account_days": draw.choice([None, draw.randint(60, 3_000)]),
            "sender.age_years": draw.choice([None, draw.randint(18, 80)]),
            "recipient.age_years": draw.choice([None, draw.randint(18, 80)]),
            "pair.tie_class": draw.choice([None, "close", "friend", "acquaintance"]),
            "pair.fen_vs_habit_ppm": draw.choice([None, draw.randint(300_000, 2_000_000)]),
        }
        if draw.random() < odd_share:
            facts |= draw.choice(ODD)
        made.append(facts)
    return made


def expected(policy: PolicyEngine, sets: list[Facts]) -> list[str]:
    """Return the verdicts that the service should give."""
    reader = GivenFacts(policy.catalogue(DECISION))
    found = policy.decide_many(DECISION, [reader.complete(one) for one in sets], now())
    return [verdict.effect.value for verdict in found]


def checker(verdicts: list[str]) -> Callable[[bytes], bool]:
    """Return what tells whether an answer holds these verdicts, in their order."""

    def holds(answer: bytes) -> bool:
        told = orjson.loads(answer)["decisions"]
        distinct = {one["decision_id"] for one in told}
        return len(distinct) == len(verdicts) and [one["verdict"] for one in told] == verdicts

    return holds


def shares(folder: Path, policy: PolicyEngine, sets: list[Facts], runs: int) -> dict[str, float]:
    """Return the processor milliseconds of each step of one request, alone in this process.

    All of them are steps of `Evaluating.evaluate` but reading and writing JSON.
    """
    database = Database(f"sqlite:///{folder}/steps.db")
    ensure(database)
    body, at = orjson.dumps({"facts": sets}), now()
    reader = GivenFacts(policy.catalogue(DECISION))
    evaluation = Evaluating(database, policy).evaluate(DECISION, list(sets), at)

    facts = [reader.complete(one) for one in sets]
    row = policy.catalogue(DECISION).row
    number = [0]

    def commit() -> None:
        number[0] += 1
        rows = [
            (f"{decision_id!s}-{number[0]}", *others)
            for decision_id, *others in decisions.rows_of(evaluation.records)
        ]
        with database.writing() as unit:
            decisions.append(unit, rows)

    steps: dict[str, Callable[[], object]] = {
        "read_json": lambda: plain_document(body),
        "complete": lambda: [reader.complete(one) for one in sets],
        "validate": lambda: [row(one) for one in facts],
        "validate_and_rules": lambda: policy.decide_many(DECISION, facts, at),
        "write_out": lambda: decisions.rows_of(evaluation.records),
        "write_out_and_commit": commit,
        "answer": lambda: written(evaluation, policy, "en", for_operators=False),
    }
    took = {name: _cpu_ms(step, runs) for name, step in steps.items()}
    database.close()
    took["rules"] = took.pop("validate_and_rules") - took["validate"]
    took["commit"] = took.pop("write_out_and_commit") - took["write_out"]
    return took


def _cpu_ms(step: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        begun = time.process_time()
        step()
        times.append((time.process_time() - begun) * 1_000)
    return statistics.median(times)


def _is_json_of(body: bytes, answer: bytes) -> bool:
    return answer == body


def _figures(
    sets: int, ours: Load, steps: Mapping[str, float], requests: Sequence[Request]
) -> dict[str, float]:
    return {
        "decisions_per_second": sets * ours.rate,
        **{
            f"run_{number}_decisions_per_second": sets * rate
            for number, rate in enumerate(ours.rates, 1)
        },
        "requests": ours.answered,
        "request_p50_ms": ours.latency_ms(0.5),
        "request_p99_ms": ours.latency_ms(0.99),
        "server_cpu_us_per_decision": 1e6 * ours.server_cpu_seconds / sets,
        "client_cpu_us_per_decision": 1e6 * ours.client_cpu_seconds / sets,
        "body_bytes": len(requests[0][0]),
        **{f"step_{name}_cpu_ms": took for name, took in steps.items()},
    }


def _baselines(sets: int, bare: Load) -> dict[str, float]:
    return {
        "bare_flask_decisions_per_second": sets * bare.rate,
        "bare_flask_server_cpu_us_per_decision": 1e6 * bare.server_cpu_seconds / sets,
        "bare_flask_client_cpu_us_per_decision": 1e6 * bare.client_cpu_seconds / sets,
        "bare_flask_request_p50_ms": bare.latency_ms(0.5),
        "bare_flask_request_p99_ms": bare.latency_ms(0.99),
    }


@click.command()
@click.option("--sets", default=1_000, show_default=True, help="Sets of facts a request.")
@click.option("--odd", default=0.2, show_default=True, help="Share with something the matter.")
@click.option("--runs", default=7, show_default=True)
@click.option("--seconds", default=4.0, show_default=True, help="For each run.")
@click.option("--connections", default=4, show_default=True)
@click.option("--workers", default=2, show_default=True)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write the figures here.")
def main(
    sets: int,
    odd: float,
    runs: int,
    seconds: float,
    connections: int,
    workers: int,
    out: Path | None,
) -> None:
    """Start the service, ask it as fast as it answers and print decisions a second."""
    policy = PolicyEngine.from_folder(RULES)
    bodies = [given_facts(sets, odd, seed) for seed in range(connections)]
    requests = [(orjson.dumps({"facts": one}), checker(expected(policy, one))) for one in bodies]
    with tempfile.TemporaryDirectory(prefix="lishang-evaluate-") as name:
        folder = Path(name)
        steps = shares(folder, policy, bodies[0], 3 * runs)
        command = [sys.executable, "-m", "api", "serve", f"--workers={workers}"]
        with Server.started(command, folder, workers) as server:
            database = Database(f"sqlite:///{folder}/lishang.db")
            scopes = frozenset({Scope.POLICY_EVALUATE})
            _, secret = ApiKeys(database).create("benchmark", scopes, None, now())
            path = f"/v1/policy/{DECISION}/evaluate"
            ours = load(server, path, requests, secret, runs, seconds)
            recorded = RecordedDecisions(database).count(DECISION, None, None)
            database.close()
        if recorded != ours.answered * sets:
            raise InvalidInput(f"{ours.answered * sets} were answered, {recorded} are in the log")
        command = [sys.executable, "-m", "benchmarks.bare_server", str(workers)]
        with Server.started(command, folder, workers) as server:
            echoes = [(body, partial(_is_json_of, body)) for body, _ in requests]
            bare = load(server, "/echo", echoes, "", runs, seconds)
    title = f"{sets:,} given facts a request, {workers} workers and the client on one machine"
    figures, baselines = _figures(sets, ours, steps, requests), _baselines(sets, bare)
    emit(BenchmarkReport(title, figures, baselines, LIBRARIES), out)


if __name__ == "__main__":
    main()
