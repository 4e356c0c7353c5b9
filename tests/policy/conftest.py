"""Facts, packs and engines for the policy tests."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from engine.domain.verdicts import Effect, FactSet, FactValue, FiredRule
from engine.policy.catalogue import FactCatalogue, Row
from engine.policy.compiling import compile_rules
from engine.policy.engine import PolicyEngine
from engine.policy.entries import FactEntry, FactType
from engine.policy.guarded import GuardedRules
from engine.policy.packs import Cite, Rule
from engine.policy.reading_conditions import read_condition

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def rules_folder() -> Path:
    return ROOT / "rules"


@pytest.fixture(scope="session")
def evaluations() -> ModuleType:
    """`evaluations.py`: tests cannot import their neighbours."""
    path = Path(__file__).with_name("evaluations.py")
    spec = spec_from_file_location("tests_policy_evaluations", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def engine(rules_folder: Path) -> PolicyEngine:
    return PolicyEngine.from_folder(rules_folder)


@pytest.fixture(scope="session")
def plain_gift() -> dict[str, FactValue | None]:
    """A gift that nothing speaks against; nobody's age, tie or limits are known."""
    return {
        "gift.relation": "friend",
        "gift.scene": "chat",
        "gift.mechanics": "direct",
        "gift.tier": "basic",
        "gift.category": "tea",
        "gift.kind": "voucher",
        "gift.moderation": None,
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
        "pair.fen_vs_habit_ppm": None,
        "pair.back_fen_24h": 0,
        "pair.unanswered_30d": 0,
        "pair.tie_class": None,
        "pair.day_gifts_after": 1,
        "pair.day_fen_after": 900,
        "sender.day_gifts_after": 1,
        "sender.day_fen_after": 900,
        "sender.hour_gifts_after": 1,
        "sender.hour_fen_after": 900,
        "sender.month_fen_after": 900,
        "sender.account_days": None,
        "sender.region": None,
        "sender.guardian_consent": False,
        "sender.gift_fen_limit": None,
        "sender.day_gifts_limit": None,
        "sender.day_fen_limit": None,
        "sender.age_years": None,
        "recipient.age_years": None,
        "recipient.guardian_consent": False,
        "recipient.day_gifts_after": 1,
        "recipient.day_fen_after": 900,
        "time.festival_window": False,
    }


@pytest.fixture(scope="session")
def plain_offer() -> dict[str, FactValue | None]:
    """An offer that nothing speaks against."""
    return {
        "person.offers_consent": True,
        "person.age_years": 30,
        "offer.running": True,
        "offer.category": "tea",
        "person.held_out": False,
        "person.shown_7d": 0,
        "person.offer_redeemed": False,
    }


@pytest.fixture(scope="session")
def gift(engine: PolicyEngine, plain_gift: dict[str, FactValue | None]) -> Callable[..., FactSet]:
    def build(changes: dict[str, FactValue | None] | None = None) -> FactSet:
        return engine.catalogue("gift_send").fact_set({**plain_gift, **(changes or {})})

    return build


@pytest.fixture(scope="session")
def small() -> FactCatalogue:
    """A catalogue with two facts of every type."""
    return FactCatalogue(
        "small",
        [
            FactEntry("t.p", FactType.BOOL, "test", "a truth"),
            FactEntry("t.q", FactType.BOOL, "test", "a truth"),
            FactEntry("t.a", FactType.INT, "test", "a number"),
            FactEntry("t.b", FactType.INT, "test", "a number"),
            FactEntry("t.kind", FactType.TEXT, "test", "a colour", values=("red", "green", "blue")),
            FactEntry("t.s", FactType.TEXT, "test", "a text"),
            FactEntry("t.u", FactType.TEXT, "test", "a text"),
        ],
    )


@pytest.fixture(scope="session")
def rule() -> Callable[[str, str, FactCatalogue], Rule]:
    """Make a deny rule of a name and a condition."""

    def build(name: str, text: str, catalogue: FactCatalogue) -> Rule:
        return Rule(
            id=name,
            description=name,
            condition=read_condition(text, catalogue, {}, str),
            outcome=FiredRule(name, Effect.DENY, "NO"),
            cite=Cite("test", verified=False),
            examples=(),
            written_at="f.yaml:1:1",
        )

    return build


@pytest.fixture
def guard(
    rule: Callable[[str, str, FactCatalogue], Rule],
) -> Iterator[Callable[..., GuardedRules]]:
    """Guard rules with the given conditions, and free their engines at the end."""
    made: list[GuardedRules] = []

    def build(catalogue: FactCatalogue, *conditions: str) -> GuardedRules:
        rules = [rule(f"r{n}", text, catalogue) for n, text in enumerate(conditions)]
        made.append(GuardedRules(compile_rules("guarded", rules), catalogue))
        return made[-1]

    yield build
    for guarded in made:
        guarded.close()


@pytest.fixture(scope="session")
def small_row(small: FactCatalogue) -> Callable[..., Row]:
    """Make a row of the small catalogue, with changes to plain values."""
    plain = {"t.p": True, "t.q": False, "t.a": 7, "t.b": 2, "t.kind": "red", "t.s": "x", "t.u": "y"}
    return lambda changes=None: small.row(FactSet({**plain, **(changes or {})}))


@pytest.fixture(scope="session")
def ours() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run our guarded rules in a child process whose memory nobody else uses."""

    def run(script: str, *, perturb: bool = False) -> subprocess.CompletedProcess[str]:
        surroundings = {**os.environ, **({"MALLOC_PERTURB_": "85"} if perturb else {})}
        command = [sys.executable, "-c", _OURS + textwrap.dedent(script)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, env=surroundings
        )

    return run


_OURS = """
from engine.domain.verdicts import Effect, FactSet, FiredRule
from engine.policy.catalogue import FactCatalogue
from engine.policy.entries import FactEntry, FactType
from engine.policy.compiling import compile_rules
from engine.policy.guarded import GuardedRules
from engine.policy.packs import Rule
from engine.policy.reading_conditions import read_condition

catalogue = FactCatalogue("c", [FactEntry("t.a", FactType.INT, "test", "a number")])

def guarded(*conditions):
    rules = [
        Rule(text, "", read_condition(text, catalogue, {}, str),
             FiredRule(text, Effect.DENY, "NO"), None, (), "")
        for text in conditions
    ]
    rulesets = compile_rules("child", rules)
    return lambda: GuardedRules(rulesets, catalogue)

def row(number):
    return catalogue.row(FactSet({"t.a": number}))

def memory():
    return int(open("/proc/self/statm").read().split()[1]) * 4
"""


@pytest.fixture(scope="session")
def naive() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run durable_rules without any guard in a child process, where it may crash or hang.

    `perturb` fills fresh and freed memory, so that what is read unset never happens to be zero.
    """

    def run(
        script: str, seconds: float = 60, *, perturb: bool = False
    ) -> subprocess.CompletedProcess[str]:
        surroundings = {**os.environ, **({"MALLOC_PERTURB_": "85"} if perturb else {})}
        command = [sys.executable, "-c", _NAIVE + textwrap.dedent(script)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False, env=surroundings
        )

    return run


_NAIVE = """
import json
import sys
import durable_rules_engine as durable

def rules(**terms):
    written = {name: {"all": [{"m": term}]} for name, term in terms.items()}
    return durable.create_ruleset("naive", json.dumps(written))

def ruleset(term):
    return rules(deny=term)

def ask(handle, fact, number=1, session=0):
    # The names of the rules that fire, in their order; an endless answer ends at 1,000.
    if not isinstance(fact, str):
        fact = json.dumps({"id": number, "sid": session, **fact})
    accepted, state = durable.assert_fact(handle, fact)
    started = durable.start_action_for_state(handle, state)
    answer, found = started and started[1], []
    while answer and len(found) < 1_000:
        found.append(next(iter(json.loads(answer))))
        answer = durable.complete_and_start_action(handle, state)
    return found

def said(*found):
    print(json.dumps(found), flush=True)

def memory():
    return int(open("/proc/self/statm").read().split()[1]) * 4
"""
