"""The routes under /v1/policy on the wired service with the shipped rules."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from api.app import create_app
from api.parsing import plain_document
from api.schemas.evaluations import Evaluations
from api.schemas.policy import Backtest, LintReport, Packs, PackVersions
from api.settings import Settings
from api.wiring import Services, build
from benchmarks.evaluate_http import ORDINARY, given_facts
from engine.backtesting import SILENT
from engine.domain.clock import DAY, format_time, now
from engine.domain.ids import new_id
from engine.ledger import backtests, decisions, tables
from engine.ledger.backtests import BacktestJob
from engine.ledger.keys import ApiKeys, Scope
from engine.policy.decisions import CATALOGUES
from engine.policy.reasons import LANGUAGES

EVALUATE = "/v1/policy/gift_send/evaluate"
STRANGERS = {**ORDINARY, "pair.two_way_friends": False}
RULES = Path(__file__).resolve().parents[2] / "rules"
PACK = (RULES / "offer_show.yaml").read_text(encoding="utf-8")
OFFER = {
    "person.offers_consent": True,
    "person.age_years": 30,
    "offer.running": True,
    "offer.category": "tea",
    "person.held_out": False,
    "person.shown_7d": 0,
    "person.offer_redeemed": False,
}

Post = Callable[..., TestResponse]


@pytest.fixture
def service(sqlite_database, tmp_path: Path) -> Iterator[Services]:
    """The service on SQLite; what it stands on is tested on both databases."""
    url = sqlite_database.engine.url.render_as_string()
    made = build(Settings(home=tmp_path / "home", database_url=url))
    assert isinstance(made, Services)
    yield made
    made.close()


@pytest.fixture
def client(service: Services) -> FlaskClient:
    return create_app(Settings(), service).test_client()


@pytest.fixture
def bearer(service: Services) -> Callable[..., dict[str, str]]:
    """Makes a key with the given scopes and returns the header that carries it."""

    def make(*scopes: Scope) -> dict[str, str]:
        _, secret = ApiKeys(service.database).create("tester", frozenset(scopes), None, now())
        return {"Authorization": f"Bearer {secret}"}

    return make


@pytest.fixture
def evaluator(bearer) -> dict[str, str]:
    """A key of a service that has its facts decided on."""
    return bearer(Scope.POLICY_EVALUATE)


@pytest.fixture
def operator(bearer) -> dict[str, str]:
    """A key of somebody who works on the rules."""
    return bearer(Scope.POLICY_EVALUATE, Scope.POLICY_READ, Scope.POLICY_WRITE)


def _recorded(service: Services) -> int:
    with service.database.reading() as unit:
        return int(unit.execute(select(func.count()).select_from(tables.decisions)).scalar_one())


def _codes(told: dict) -> list[str]:
    return [reason["code"] for reason in told["reasons"]]


def test_evaluate_answers_each_set_in_order_and_logs_it(service, client, evaluator) -> None:
    body = {"facts": [ORDINARY, STRANGERS, ORDINARY]}
    answer = client.post(EVALUATE, json=body, headers=evaluator)
    assert answer.status_code == 200
    told = answer.get_json()["decisions"]
    assert [one["verdict"] for one in told] == ["allow", "deny", "allow"]
    assert [_codes(one) for one in told] == [[], ["NOT_TWO_WAY_FRIENDS"], []]
    with service.database.reading() as unit:
        kept = [decisions.find(unit, one["decision_id"]) for one in told]
    assert [record and record.purpose for record in kept] == ["evaluate"] * 3
    assert [record and record.verdict.effect for record in kept] == ["allow", "deny", "allow"]
    assert kept[1].facts.values["pair.two_way_friends"] is False
    assert _recorded(service) == 3


def test_evaluate_takes_null_for_unknown(service, client, evaluator) -> None:
    body = {"facts": [{**ORDINARY, "recipient.age_years": None}]}
    [told] = client.post(EVALUATE, json=body, headers=evaluator).get_json()["decisions"]
    with service.database.reading() as unit:
        facts = decisions.find(unit, told["decision_id"]).facts.values
    assert (facts["recipient.age_years"], facts["recipient.age_years_known"]) == (0, False)


def test_evaluate_tells_the_pack_to_operators_only(client, evaluator, operator) -> None:
    body = {"facts": [STRANGERS]}
    [public] = client.post(EVALUATE, json=body, headers=evaluator).get_json()["decisions"]
    [told] = client.post(EVALUATE, json=body, headers=operator).get_json()["decisions"]
    assert (public["pack"], public["explanation"]) == (None, None)
    assert told["pack"]["pack"] == "gift_send"
    assert len(told["pack"]["hash"]) == 64
    assert told["explanation"] is None


def test_evaluate_explains_to_operators_only(client, evaluator, operator) -> None:
    body = {"facts": [STRANGERS, ORDINARY], "explain": True}
    told, plain = client.post(EVALUATE, json=body, headers=operator).get_json()["decisions"]
    rules = {rule["rule"]: rule for rule in told["explanation"]["rules"]}
    named = {c["attribute"]: c for c in rules["two_way_friends"]["conditions"]}
    assert named["pair.two_way_friends"]["value"] is False
    assert plain["verdict"] == "allow"
    assert plain["explanation"]["hash"] == told["explanation"]["hash"]
    refused = client.post(EVALUATE, json=body, headers=evaluator)
    assert (refused.status_code, refused.get_json()["code"]) == (403, "SCOPE_MISSING")


def test_evaluate_speaks_the_language_asked_for(client, evaluator) -> None:
    body = {"facts": [STRANGERS], "language": "zh"}
    [told] = client.post(EVALUATE, json=body, headers=evaluator).get_json()["decisions"]
    assert "好友" in told["reasons"][0]["text"]


def test_evaluate_answers_as_its_documented_model_says(client, evaluator, operator) -> None:
    sets = given_facts(60, odd_share=0.9, seed=3)
    for headers, explain in ((evaluator, False), (operator, False), (operator, True)):
        for language in LANGUAGES:
            body = {"facts": sets, "explain": explain, "language": language}
            answer = client.post(EVALUATE, json=body, headers=headers)
            read = Evaluations.model_validate_json(answer.data, strict=True)
            assert len(read.decisions) == len(sets)
            # Not a member more or less than the model would write itself.
            assert orjson.loads(answer.data) == read.model_dump(mode="json")
            assert len({one.verdict for one in read.decisions}) >= 2


def test_evaluate_tells_outputs(client, evaluator) -> None:
    facts = _some_facts("gift_settle")
    answer = client.post(
        "/v1/policy/gift_settle/evaluate", json={"facts": [facts]}, headers=evaluator
    )
    [told] = answer.get_json()["decisions"]
    assert told["outputs"]
    assert set(told["outputs"]) <= set(CATALOGUES["gift_settle"].outputs)


def test_evaluate_refuses_all_for_one_bad_set_and_names_the_fact(
    service, client, evaluator
) -> None:
    sets = [dict(ORDINARY) for _ in range(20)]
    sets[17]["gift.price_fen"] = "900"
    sets[3]["sender.day_gifts_after"] = 0
    sets[4]["gift.price_fen"] = -1
    sets[18]["gift/odd~name"] = True
    del sets[18]["gift.tier"]
    answer = client.post(EVALUATE, json={"facts": sets}, headers=evaluator)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "INVALID_INPUT")
    errors = {e["field"]: e["message"] for e in answer.get_json()["errors"]}
    assert errors["/facts/3/sender.day_gifts_after"] == "must be at least 1"
    assert errors["/facts/4/gift.price_fen"] == "must be at least 0"
    assert errors["/facts/17/gift.price_fen"] == "must be a whole number, not str"
    assert errors["/facts/18/gift.tier"] == "is missing"
    assert errors["/facts/18/gift~1odd~0name"] == "is not supplied from outside"
    assert _recorded(service) == 0


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/v1/policy/no_such/evaluate", {"facts": [ORDINARY]}, 404, None),
        (EVALUATE, {"facts": []}, 422, "/facts"),
        (EVALUATE, {}, 422, "/facts"),
        (EVALUATE, {"facts": ORDINARY}, 422, "/facts"),
        (EVALUATE, {"facts": [{}] * 1_001}, 422, "/facts"),
        (EVALUATE, {"facts": [7]}, 422, "/facts/0"),
        (EVALUATE, {"facts": [ORDINARY], "fact": 1}, 422, "/fact"),
        (EVALUATE, {"facts": [ORDINARY], "explain": 1}, 422, "/explain"),
        (EVALUATE, {"facts": [ORDINARY], "language": "fr"}, 422, "/language"),
        (EVALUATE, {"facts": [ORDINARY], "at": "2026-02-01T00:00:00"}, 422, "/at"),
        (EVALUATE, {"facts": [ORDINARY], "at": "1990-01-01T00:00:00Z"}, 422, "/at"),
    ],
)
def test_evaluate_refuses_what_means_nothing(
    service, client, evaluator, path, body, status, field
) -> None:
    answer = client.post(path, json=body, headers=evaluator)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    if field is not None:
        assert [error["field"] for error in answer.get_json()["errors"]] == [field]
    assert _recorded(service) == 0


def test_evaluate_refuses_a_member_named_twice(service, client, evaluator) -> None:
    once = json.dumps({"facts": [ORDINARY]})
    for twice in (
        once.replace('"gift.price_fen": 900', '"gift.price_fen": 900, "gift.price_fen": 901'),
        once.replace('"gift.price_fen": 900', '"gift.price_fen": 900, "gift.price\\u005ffen": 901'),
        once.replace('{"facts"', '{"language": "en", "language": "zh", "facts"'),
    ):
        assert twice != once
        headers = {**evaluator, "Content-Type": "application/json"}
        answer = client.post(EVALUATE, data=twice, headers=headers)
        assert (answer.status_code, answer.get_json()["code"]) == (400, "MALFORMED_REQUEST")
    assert _recorded(service) == 0


def test_evaluate_as_of_an_instant_uses_the_pack_in_effect_then(client, operator) -> None:
    in_effect = client.get("/v1/policy/packs", headers=operator).get_json()["in_effect"]
    body = {"facts": [ORDINARY], "at": format_time(now() + 30 * DAY)}
    [told] = client.post(EVALUATE, json=body, headers=operator).get_json()["decisions"]
    assert told["pack"] == in_effect["gift_send"]


def test_evaluate_is_counted_by_verdict_and_reason(client, evaluator) -> None:
    client.post(EVALUATE, json={"facts": [STRANGERS] * 3 + [ORDINARY] * 2}, headers=evaluator)
    counted = client.get("/metrics").get_data(as_text=True)
    assert (
        'lishang_decisions_total{decision="gift_send",effect="deny",'
        'reason="NOT_TWO_WAY_FRIENDS"} 3.0' in counted
    )
    assert (
        'lishang_decisions_total{decision="gift_send",effect="allow",reason="none"} 2.0' in counted
    )


def test_evaluate_without_sound_rules_is_503_counted_and_logs_nothing(
    service, client, evaluator
) -> None:
    service.rulebook.stop()
    service.policy.close()
    answer = client.post(EVALUATE, json={"facts": [ORDINARY]}, headers=evaluator)
    assert (answer.status_code, answer.get_json()["code"]) == (503, "POLICY_UNAVAILABLE")
    counted = client.get("/metrics").get_data(as_text=True)
    assert 'lishang_policy_anomalies_total{kind="POLICY_UNAVAILABLE"} 1.0' in counted
    assert _recorded(service) == 0


def test_policy_routes_ask_for_their_scopes(client, evaluator, bearer) -> None:
    reader = bearer(Scope.POLICY_READ)
    assert client.post(EVALUATE, json={"facts": [ORDINARY]}, headers=reader).status_code == 403
    for path in ("packs", "packs/gift_send/versions", "backtests/bt_1"):
        assert client.get(f"/v1/policy/{path}", headers=evaluator).status_code == 403
    lint = client.post("/v1/policy/lint", json={"text": PACK}, headers=evaluator)
    begun = client.post("/v1/policy/backtests", json={"text": PACK}, headers=reader)
    assert (lint.status_code, begun.status_code) == (403, 403)


def test_packs_tell_what_is_in_service_and_in_effect(service, client, operator) -> None:
    answer = client.get("/v1/policy/packs", headers=operator)
    told = Packs.model_validate_json(answer.data)
    assert {pack.pack for pack in told.enforced} >= {"gift_send", "gift_settle", "offer_show"}
    assert told.shadows == []
    assert set(told.in_effect) == set(CATALOGUES)
    for decision, pack in told.in_effect.items():
        assert pack is not None
        assert pack.hash == service.policy.in_effect(decision, now()).hash


def test_packs_before_any_is_in_effect_tell_null(service, operator) -> None:
    early = create_app(Settings(), _replaced(service, clock=lambda: DAY)).test_client()
    told = early.get("/v1/policy/packs", headers=operator).get_json()
    assert told["in_effect"] == dict.fromkeys(CATALOGUES)
    assert told["enforced"]


def test_versions_tell_author_state_and_window(client, operator) -> None:
    answer = client.get("/v1/policy/packs/gift_send/versions", headers=operator)
    told = PackVersions.model_validate_json(answer.data)
    [version] = told.versions
    assert (version.state, version.author, version.approver) == ("enforced", "seed", None)
    assert version.effective_from <= format_time(now())
    unknown = client.get("/v1/policy/packs/none/versions", headers=operator)
    assert unknown.status_code == 404


def test_lint_of_a_shipped_pack_is_sound(client, operator) -> None:
    answer = client.post("/v1/policy/lint", json={"text": PACK}, headers=operator)
    told = LintReport.model_validate_json(answer.data)
    assert (answer.status_code, told.sound) == (200, True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("rules: [", "NOT_YAML"),
        ("just words", "WRONG_SHAPE"),
        (PACK.replace("person.offers_consent", "person.offers_consents"), "UNKNOWN_FACT"),
        (PACK.replace("reason: NO_CONSENT", "reason: NEVER_HEARD_OF"), "UNKNOWN_REASON"),
    ],
)
def test_lint_of_a_broken_pack_answers_with_what_is_wrong(client, operator, text, code) -> None:
    body = {"text": text, "file": "mine.yaml"}
    answer = client.post("/v1/policy/lint", json=body, headers=operator)
    told = LintReport.model_validate_json(answer.data)
    assert (answer.status_code, told.sound) == (200, False)
    [found] = [finding for finding in told.findings if finding.code == code][:1]
    assert (found.file, found.severity) == ("mine.yaml", "error")
    assert found.line >= 1


TYPED = ["version: 1_", "version: !!int abc", "version: !!int 0o7", "version: !!float x"]
TYPED += [f"version: {'9' * 5_000}", r'owner: "\UFFFFFFFF"', r'owner: "\ud800"']


@pytest.mark.parametrize("line", TYPED)
def test_lint_and_backtest_of_a_typing_error_answer_with_it(client, operator, line) -> None:
    key = line.partition(":")[0]
    text = "".join(
        f"{line}\n" if one.startswith(f"{key}:") else one for one in PACK.splitlines(keepends=True)
    )
    answer = client.post("/v1/policy/lint", json={"text": text}, headers=operator)
    told = LintReport.model_validate_json(answer.data)
    assert (answer.status_code, told.sound) == (200, False)
    begun = _begin(client, operator, text=text)
    assert (begun.status_code, begun.get_json()["code"]) == (422, "INVALID_INPUT")


@pytest.mark.parametrize(
    ("params", "when", "copies"),
    [
        (f"{{l: {list(range(101))}}}", "person.shown_7d in params.l", 1),
        (f"{{l: {list(range(61))}}}", "person.shown_7d in params.l", 1),
        (f"{{l: {list(range(60))}}}", "!(person.shown_7d in params.l)", 400),
    ],
)
def test_backtest_of_what_cannot_be_compiled_is_refused(
    client, operator, params, when, copies
) -> None:
    head = PACK.partition("params:")[0].partition("rules:")[0]
    rules = "".join(
        f"- {{id: r{n}, description: x, when: '{when}', then: deny, reason: NO_CONSENT}}\n"
        for n in range(copies)
    )
    begun = _begin(client, operator, text=f"{head}params: {params}\nrules:\n{rules}")
    assert (begun.status_code, begun.get_json()["code"]) == (422, "INVALID_INPUT")


def _begin(client: FlaskClient, headers: dict[str, str], **body: object) -> TestResponse:
    return client.post("/v1/policy/backtests", json=body, headers=headers)


def _ended(client: FlaskClient, headers: dict[str, str], place: str) -> Backtest:
    end = time.monotonic() + 60
    while True:
        told = Backtest.model_validate_json(client.get(place, headers=headers).data)
        if told.state in {"done", "failed"}:
            return told
        assert time.monotonic() < end, told
        time.sleep(0.05)


@pytest.fixture
def offers_decided(client, evaluator) -> None:
    sets = [{**OFFER, "person.shown_7d": shown} for shown in range(6)]
    answer = client.post("/v1/policy/offer_show/evaluate", json={"facts": sets}, headers=evaluator)
    assert {one["verdict"] for one in answer.get_json()["decisions"]} == {"allow"}


@pytest.mark.usefixtures("offers_decided")
def test_backtest_is_taken_goes_on_by_itself_and_ends_with_a_report(client, operator) -> None:
    text = PACK.replace("shown_per_7_days: 7", "shown_per_7_days: 3")
    assert text != PACK
    answer = _begin(client, operator, text=text)
    told = Backtest.model_validate_json(answer.data)
    assert (answer.status_code, told.state, told.report) == (202, "waiting", None)
    place = answer.headers["Location"]
    assert place == f"/v1/policy/backtests/{told.backtest}"
    done = _ended(client, operator, place)
    assert (done.state, done.replayed, done.total, done.fault) == ("done", 6, 6, None)
    assert done.report is not None
    # Shown 3, 4 and 5 times before.
    assert done.report["changes"]["newly_blocked"] == 3


@pytest.mark.usefixtures("offers_decided")
def test_backtest_of_a_stored_version_within_a_window(client, operator) -> None:
    window = {"since": format_time(now() - DAY), "until": format_time(now() + DAY)}
    answer = _begin(client, operator, pack="offer_show", version=1, **window)
    done = _ended(client, operator, answer.headers["Location"])
    assert (done.state, done.replayed) == ("done", 6)
    assert done.since == window["since"]
    assert done.report is not None
    assert done.report["changes"]["unchanged"] == 6


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"text": PACK, "pack": "offer_show", "version": 1}, 422),
        ({"pack": "offer_show"}, 422),
        ({"text": "no pack"}, 422),
        ({"pack": "offer_show", "version": 99}, 404),
        ({"text": PACK, "since": "2026-03-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}, 422),
    ],
)
def test_backtest_of_nothing_is_refused(client, operator, body, status) -> None:
    answer = _begin(client, operator, **body)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")


def test_backtest_whose_worker_ended_is_told_as_failed(service, client, operator) -> None:
    long_ago = now() - 2 * SILENT
    job = BacktestJob(
        new_id("bt", long_ago), "gift_send", PACK, None, None, "k", long_ago, long_ago
    )
    with service.database.writing() as unit:
        backtests.add(unit, job)
        backtests.begin(unit, job.backtest, long_ago)
    told = client.get(f"/v1/policy/backtests/{job.backtest}", headers=operator).get_json()
    assert (told["state"], told["fault"]) == ("failed", "its worker ended")
    assert client.get("/v1/policy/backtests/bt_none", headers=operator).status_code == 404


def _some_facts(decision: str) -> dict[str, object]:
    """Facts that fit the catalogue; what may be unknown is."""
    plain: dict[str, object] = {"bool": False, "int": 1_000, "text": "x"}
    return {
        entry.name: None
        if entry.may_be_unknown
        else entry.values[0]
        if entry.values
        else plain[entry.type.value]
        for entry in CATALOGUES[decision].supplied
    }


def _replaced(service: Services, **parts: object) -> Services:
    fields = {name: getattr(service, name) for name in Services.__dataclass_fields__}
    return Services(**{**fields, **parts})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*ORDINARY]) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
_GOOD = {
    EVALUATE: {"facts": [ORDINARY], "at": None, "explain": False, "language": "en"},
    "/v1/policy/lint": {"text": PACK, "file": "x.yaml"},
    "/v1/policy/backtests": {"pack": "none", "version": 1, "text": None, "since": None},
}


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(data=st.data(), route=st.sampled_from(sorted(_GOOD)), value=_JSON)
def test_no_body_on_a_policy_route_is_answered_with_an_unexpected_error(
    client, operator, data, route, value
) -> None:
    place = data.draw(st.sampled_from([*_GOOD[route], "unheard-of", "facts/0", None]))
    good = _GOOD[route]
    body = value if place is None else {**good, place: value}
    if place == "facts/0":
        body = {**good, "facts": [{**ORDINARY, "gift.kind": value}]}
    answer = client.post(
        route, data=json.dumps(body), headers={**operator, "Content-Type": "application/json"}
    )
    assert answer.status_code in {200, 400, 404, 422}
    if answer.status_code != 200:
        assert answer.content_type == "application/problem+json"


_NAMES = st.sampled_from(["a", "b", "a:b", 'a"', "é", ""])
_DOCUMENT = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", ":", '":', "\\", "a:b"]),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(_NAMES, inner), max_size=3),
    max_leaves=8,
)


def test_plain_documents_are_not_taken_in_by_an_escaped_colon() -> None:
    # The colon that the dropped member had is made up for by one written as an escape.
    assert plain_document(b'{"a": 1, "a": 2, "b": "\\u003a"}') is None
    assert plain_document(b'{"a": 1, "b": ":"}') == {"a": 1, "b": ":"}


@settings(max_examples=400)
@given(_DOCUMENT, st.booleans())
def test_plain_documents_name_no_member_twice(tree: object, ascii_only: bool) -> None:
    doubled = False

    def write(node: object) -> str:
        nonlocal doubled
        if isinstance(node, list) and node and isinstance(node[0], tuple):
            names = [name for name, _ in node]
            doubled |= len(set(names)) != len(names)
            members = (
                f"{json.dumps(name, ensure_ascii=ascii_only)} : {write(v)}" for name, v in node
            )
            return "{" + ", ".join(members) + "}"
        if isinstance(node, list):
            return "[" + ",".join(map(write, node)) + "]"
        return json.dumps(node, ensure_ascii=ascii_only)

    data = write(tree).encode()
    found = plain_document(data)
    if doubled:
        assert found is None
    else:
        assert found == json.loads(data) or (found is None and (b"\\" in data or data == b"null"))
