"""The tie routes on the wired service, with a tie model whose word can be foretold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from api.schemas.ties import OneTie, RankedTies, Ties
from api.settings import Settings
from api.wiring import Services, build
from engine.domain.clock import DAY, HOUR, format_time
from engine.domain.events import ConsentChanged, FriendshipChanged, Interacted
from engine.domain.pair_state import DEFAULT_LAYOUT
from engine.domain.people import Purpose
from engine.domain.ports import ModelRef, TieClass, TieReason, TieScore
from engine.gift_policy import GiftPolicy
from engine.ledger import intake
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys, Scope
from engine.relating import Relating

NOW = 20_500 * DAY + 4 * HOUR


class Volumes:
    """Scores all that was ever exchanged, whatever the time."""

    ref = ModelRef("ties", "4")

    def score(self, out, back, structure, at) -> list[TieScore]:
        given, got = (states[:, DEFAULT_LAYOUT.volumes].sum(axis=1) for states in (out, back))
        return [
            TieScore(
                (a + b) / (1 + a + b),
                (a + b) / (2 + a + b),
                TieClass.CLOSE
                if a + b > 2
                else TieClass.DORMANT
                if a + b == 0
                else TieClass.FRIEND,
                (a - b) / (a + b) if a + b else 0.0,
                a + b,
            )
            for a, b in zip(given.tolist(), got.tolist(), strict=True)
        ]

    def explain(self, out, back, structure, at) -> list[tuple[TieReason, ...]]:
        scores = self.score(out, back, structure, at)
        return [(TieReason("VOLUME", f"{s.observations:g} calls", 0.5),) for s in scores]


class OneModel:
    """A shelf that holds it."""

    ties, gifts, offers = Volumes(), None, None


@pytest.fixture
def service(database: Database, tmp_path: Path) -> Iterator[Services]:
    """`an` calls `bo` thrice, `cy` once and `di` once; `ed` is a friend, nobody's caller."""
    url = database.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    made = build(Settings(home=tmp_path / "home", database_url=url), lambda: NOW)
    assert isinstance(made, Services)
    called = ["bo", "bo", "bo", "cy", "di"]
    calls = [
        Interacted(f"{n}", NOW - DAY, "an", other, "call", 1.0) for n, other in enumerate(called)
    ]
    pairs = [("an", "ed"), ("ed", "an")]
    friends = [FriendshipChanged("+".join(p), NOW - DAY, *p, True) for p in pairs]
    refusal = ConsentChanged("no", NOW - HOUR, "di", Purpose.TIE_SCORING, granted=False)
    with database.writing() as unit:
        intake.receive(unit, [*calls, *friends, refusal], NOW)
    policy = GiftPolicy(made.policy, OneModel())
    yield replace(made, relating=Relating(database, policy, OneModel()))
    made.close()


@pytest.fixture
def client(service: Services) -> FlaskClient:
    return create_app(Settings(log_level="error"), service).test_client()


def _bearer(service: Services, *scopes: Scope) -> dict[str, str]:
    _, secret = ApiKeys(service.database).create("test", frozenset(scopes), None, NOW)
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def ask(service: Services, client: FlaskClient) -> Any:
    """Gets what stands there with a key for ties, and nothing but that."""
    headers = _bearer(service, Scope.TIES_READ)

    def get(path: str, status: int = 200) -> Any:
        answer = client.get(path, headers=headers)
        assert answer.status_code == status, answer.get_data()
        return answer.get_json(force=True)

    return get


def test_ties_of_a_person_are_ranked_with_all_figures(ask) -> None:
    answer = ask("/v1/people/an/ties")
    RankedTies.model_validate(answer)
    assert answer["model"] == {"name": "ties", "version": "4"}
    assert answer["as_of"] == format_time(NOW)
    assert answer["ties"][0] == {
        "sender": "an",
        "recipient": "bo",
        "strength": 0.75,
        "p_exchange": 0.6,
        "tie_class": "close",
        "asymmetry": 1.0,
        "observations": 3.0,
        "rank": 1,
    }
    # Who objects (di) is not there and leaves no gap; a friend without any event is there.
    ranked = [(tie["rank"], tie["recipient"]) for tie in answer["ties"]]
    assert ranked == [(1, "bo"), (2, "cy"), (3, "ed")]


def test_class_is_asked_for_before_the_limit(ask) -> None:
    [tie] = ask("/v1/people/an/ties?limit=1&class=friend")["ties"]
    assert (tie["recipient"], tie["rank"]) == ("cy", 2)
    assert ask("/v1/people/an/ties?class=acquaintance")["ties"] == []


@pytest.mark.parametrize("query", ["class=best", "limit=0", "limit=1001", "tie_class=close"])
def test_ties_asked_for_in_no_sensible_way_are_422(ask, query) -> None:
    assert ask(f"/v1/people/an/ties?{query}", 422)["errors"]


def test_tie_is_explained_on_demand(ask) -> None:
    plain = ask("/v1/people/an/ties/cy")
    OneTie.model_validate(plain)
    assert (plain["tie"]["rank"], plain["tie"]["reasons"]) == (None, None)
    told = ask("/v1/people/an/ties/cy?explain=true")
    OneTie.model_validate(told)
    assert told["tie"]["rank"] == 2
    assert told["tie"]["reasons"] == [{"code": "VOLUME", "text": "1 calls", "share": 0.5}]
    assert told["tie"]["strength"] == plain["tie"]["strength"] == 0.5


def test_tie_of_who_objects_is_null_by_every_route_and_of_strangers_weak(
    ask, service, client
) -> None:
    pairs = [{"sender": "an", "recipient": other} for other in ("di", "zo", "bo")]
    headers = _bearer(service, Scope.TIES_READ)
    answer = client.post("/v1/ties/scores", json={"pairs": pairs}, headers=headers).get_json()
    Ties.model_validate(answer)
    assert answer["as_of"] == format_time(NOW)
    for scored in answer["ties"]:
        one = ask(f"/v1/people/an/ties/{scored['recipient']}?explain=true")["tie"]
        rank = one.pop("rank")
        reasons = one.pop("reasons")
        assert one == scored
        assert (rank, reasons is None) == {
            "di": (None, True),
            "zo": (None, False),
            "bo": (1, False),
        }[scored["recipient"]]
    figures = ("strength", "p_exchange", "tie_class", "asymmetry", "observations")
    refused, stranger, _ = answer["ties"]
    assert [refused[figure] for figure in figures] == [None] * 5
    assert [stranger[figure] for figure in figures] == [0, 0, "dormant", 0, 0]


def test_ties_ask_for_their_scope_and_exporting_is_another(service, client) -> None:
    for scope in (Scope.TIES_EXPORT, Scope.GIFTS_CHECK):
        headers = _bearer(service, scope)
        for path in ("/v1/people/an/ties", "/v1/people/an/ties/bo"):
            assert client.get(path, headers=headers).status_code == 403
