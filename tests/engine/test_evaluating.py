"""The evaluating job: verdicts on given facts, all recorded or none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import func, select

from engine.domain.clock import DAY, parse_time
from engine.domain.errors import PolicyError, UnknownReference
from engine.domain.verdicts import Effect
from engine.evaluating import PURPOSE, Evaluating, FactsRefused, NoPackThen
from engine.ledger import decisions, tables
from engine.ledger.database import Database
from engine.policy.catalogue import FactCatalogue
from engine.policy.engine import PolicyEngine
from engine.policy.entries import FactEntry, FactType, Output
from engine.policy.packs import read_pack
from engine.policy.reasons import read_reasons

CATALOGUES = {
    "treat": FactCatalogue(
        "treat",
        [
            FactEntry("dog.good", FactType.BOOL, "test", "Whether it is a good dog."),
            FactEntry("dog.age", FactType.INT, "test", "Its age.", "years", 0),
            FactEntry("dog.treats", FactType.INT, "test", "Treats today."),
        ],
        [Output("treat.grams", FactType.INT, "How much.", "g", 0, 100)],
    )
}
REASONS = read_reasons(
    """
reasons:
  - code: TOO_MANY
    en: {text: Enough for today., next_step: Come again tomorrow.}
    zh: {text: 今天够了。, next_step: 明天再来。}
""",
    "reasons.yaml",
)
PACK = """
pack: treats
decides: treat
version: {version}
owner: test
jurisdiction: CN
effective: {{from: {begins}}}
params: {{most: {most}}}
rules:
  - id: many
    description: A dog has had enough.
    when: dog.treats > params.most
    then: deny
    reason: TOO_MANY
    cite: {{source: ours, verified: false}}
  - id: young
    description: A known puppy gets less.
    when: dog.age_known && dog.age < 1
    then: {{set: {{treat.grams: 5}}}}
    cite: {{source: ours, verified: false}}
"""
BEGINS = parse_time("2026-01-01T00:00:00Z")
NOW = BEGINS + 400 * DAY
GOOD = {"dog.good": True, "dog.age": None, "dog.treats": 1}
MANY = {"dog.good": True, "dog.age": 0, "dog.treats": 4}


@pytest.fixture
def policy() -> Iterator[PolicyEngine]:
    texts = [
        PACK.format(version=1, begins="2026-01-01T00:00:00Z", most=9),
        PACK.format(version=2, begins="2027-01-01T00:00:00Z", most=3),
    ]
    packs = [read_pack(text, "treats.yaml", CATALOGUES) for text in texts]
    engine = PolicyEngine(packs, REASONS, CATALOGUES)
    yield engine
    engine.close()


@pytest.fixture
def evaluating(database: Database, policy: PolicyEngine) -> Evaluating:
    return Evaluating(database, policy)


def _recorded(database: Database) -> int:
    with database.reading() as unit:
        return int(unit.execute(select(func.count()).select_from(tables.decisions)).scalar_one())


def test_evaluation_answers_in_order_and_records_what_it_answers(
    database: Database, evaluating: Evaluating
) -> None:
    found = evaluating.evaluate("treat", [GOOD, MANY, GOOD], NOW)
    effects = [record.verdict.effect for record in found.records]
    assert effects == [Effect.ALLOW, Effect.DENY, Effect.ALLOW]
    assert found.records[1].verdict.reasons == ("TOO_MANY",)
    assert found.records[1].verdict.outputs == {"treat.grams": 5}
    assert found.traces == []
    with database.reading() as unit:
        kept = [decisions.find(unit, record.decision_id) for record in found.records]
    assert kept == list(found.records)
    first = found.records[0]
    assert (first.purpose, first.occurred_at) == (PURPOSE, NOW)
    assert dict(first.facts.values) == {**GOOD, "dog.age": 0, "dog.age_known": False}
    assert len({record.decision_id for record in found.records}) == 3


def test_evaluation_with_one_bad_set_records_nothing_and_tells_every_fault(
    database: Database, evaluating: Evaluating
) -> None:
    given = [GOOD, {**GOOD, "dog.treats": "4"}, {"dog.good": None, "dog.age": 2}, None]
    with pytest.raises(FactsRefused) as refused:
        evaluating.evaluate("treat", given, NOW)
    assert [(index, fault.fact) for index, fault in refused.value.faults] == [
        (1, "dog.treats"),
        (2, "dog.good"),
        (2, "dog.treats"),
        (3, ""),
    ]
    assert _recorded(database) == 0


def test_evaluation_with_many_bad_sets_tells_the_first_twenty_faults(
    evaluating: Evaluating,
) -> None:
    with pytest.raises(FactsRefused) as refused:
        evaluating.evaluate("treat", [{}] * 1_000, NOW)
    assert len(refused.value.faults) == 20


def test_evaluation_as_of_another_instant_decides_by_the_pack_in_effect_then(
    database: Database, evaluating: Evaluating
) -> None:
    [then] = evaluating.evaluate("treat", [MANY], NOW, as_of=BEGINS + DAY).records
    [today] = evaluating.evaluate("treat", [MANY], NOW).records
    assert (then.verdict.pack.version, then.verdict.effect) == (1, Effect.ALLOW)
    assert (today.verdict.pack.version, today.verdict.effect) == (2, Effect.DENY)
    # The log says when we answered, whatever instant was asked about.
    assert then.occurred_at == today.occurred_at == NOW
    with pytest.raises(NoPackThen):
        evaluating.evaluate("treat", [MANY], NOW, as_of=BEGINS - DAY)
    assert _recorded(database) == 2


def test_evaluation_explains_when_asked(evaluating: Evaluating) -> None:
    found = evaluating.evaluate("treat", [GOOD, MANY], NOW, explain=True)
    assert [[trace.rule for trace in traces] for traces in found.traces] == [[], ["many", "young"]]
    [condition] = found.traces[1][0].conditions
    assert (condition.attribute, condition.value, condition.threshold, condition.source) == (
        "dog.treats",
        4,
        3,
        "params.most",
    )


def test_evaluation_of_an_unknown_decision_is_refused(evaluating: Evaluating) -> None:
    with pytest.raises(UnknownReference):
        evaluating.evaluate("walk", [GOOD], NOW)


def test_evaluation_without_rules_records_nothing_and_allows_nothing(
    database: Database, evaluating: Evaluating, policy: PolicyEngine
) -> None:
    policy.close()
    with pytest.raises(PolicyError):
        evaluating.evaluate("treat", [GOOD], NOW)
    with pytest.raises(PolicyError):
        evaluating.evaluate("treat", [GOOD], BEGINS - DAY)
    assert _recorded(database) == 0
