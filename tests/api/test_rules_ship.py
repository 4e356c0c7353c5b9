"""The commands that ship rules: who may, what they say, and what they refuse with which hint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import main
from engine.domain.clock import now
from engine.domain.pack_life import Actor
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys, Scope
from engine.policy.pack_diff import diff
from engine.shipping import Shipping

Run = Callable[..., Result]


@pytest.fixture
def keys(sqlite_database: Database) -> ApiKeys:
    return ApiKeys(sqlite_database)


@pytest.fixture
def key(keys: ApiKeys) -> Callable[..., str]:
    def make(name: str, *scopes: Scope) -> str:
        return keys.create(name, frozenset(scopes), None, now())[1]

    return make


@pytest.fixture
def run(sqlite_url: str, sqlite_database: Database, tmp_path: Path, small_rules: Path) -> Run:
    """Runs `lishang rules …` with the given key."""
    env = {
        "LISHANG_HOME": str(tmp_path),
        "LISHANG_DATABASE_URL": sqlite_url,
        "LISHANG_RULES": str(small_rules),
    }

    def invoke(*arguments: str, key: str = "") -> Result:
        given = {**env, "LISHANG_KEY": key}
        return CliRunner().invoke(main, ["rules", *arguments], env=given)

    return invoke


@pytest.fixture
def candidate(tmp_path: Path, small_pack: Callable[..., str]) -> Path:
    path = tmp_path / "candidate.yaml"
    path.write_text(small_pack(2, then="review"), encoding="utf-8")
    return path


def refused(result: Result) -> tuple[str, str]:
    """The message and the hint of a refusal."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    message, hint = result.stderr.strip().splitlines()[-2:]
    assert (message[:7], hint[:6]) == ("error: ", "hint: ")
    return message[7:], hint[6:]


def test_version_is_shipped_by_two_people_and_rolled_back(run, key, candidate) -> None:
    ann, bob = key("ann", Scope.POLICY_WRITE), key("bob", Scope.POLICY_APPROVE)
    published = run("publish", str(candidate), key=ann)
    assert published.stdout.startswith("gift_send version 2: published, hash ")
    assert run("publish", str(candidate), key=ann).stdout == published.stdout
    assert "no backtest" in refused(run("shadow", "gift_send@2", key=ann))[0]
    assert run("backtest", "gift_send@2", key=ann).exit_code == 0
    message, hint = refused(run("shadow", "gift_send@2", key=ann))
    assert (message[-20:], hint[-17:]) == ("replayed no decision", "--without-history")
    shadowed = run("shadow", "gift_send@2", "--without-history", key=ann)
    assert shadowed.stdout == "gift_send version 2 is in shadow\n"
    told = run("enforce", "gift_send@2", key=bob).stdout.splitlines()
    assert told[0] == "gift_send version 2 is enforced"
    assert told[1].startswith("it decides from 2")
    assert told[2] == "gift_send version 1 is retired"
    assert told[3].startswith("backtest: 0 decisions replayed: newly blocked 0, ")
    told = run("rollback", "gift_send", key=bob).stdout
    assert "gift_send version 1 is enforced again" in told
    assert "gift_send version 2 is retired" in told
    assert (
        "version 2 is enforced again" in run("rollback", "gift_send", "--to", "2", key=bob).stdout
    )
    shown = json.loads(run("history", "gift_send", "--format", "json").stdout)
    assert [(v["version"], v["state"]) for v in shown["versions"]] == [
        (1, "retired"),
        (2, "enforced"),
    ]
    assert shown["versions"][1]["author"]["name"] == "ann"
    assert shown["versions"][1]["approver"]["name"] == "bob"
    actions = [event["action"] for event in shown["events"]]
    assert actions == [
        "seeded",
        "published",
        "backtested",
        "shadowed without history",
        "retired",
        "enforced",
        "rolled back",
        "rolled back to",
        "retired",
        "rolled back to",
    ]
    table = run("history").stdout
    assert "gift_send@2" in table
    assert "offer_show@1" in table
    assert "rolled back to" in table


@pytest.mark.parametrize(
    ("command", "scope"),
    [
        (("publish", "{file}"), Scope.POLICY_WRITE),
        (("shadow", "gift_send@1"), Scope.POLICY_WRITE),
        (("enforce", "gift_send@1"), Scope.POLICY_APPROVE),
        (("rollback", "gift_send"), Scope.POLICY_APPROVE),
    ],
)
def test_command_without_the_right_key_is_refused_with_how_to_get_one(
    run, key, candidate, keys, command, scope
) -> None:
    asked = [part.format(file=candidate) for part in command]
    other = Scope.POLICY_APPROVE if scope is Scope.POLICY_WRITE else Scope.POLICY_WRITE
    lacking = key("ann", other, Scope.POLICY_READ)
    ended = key("old", scope)
    keys.revoke(keys.list()[-1].key_id, now())
    for secret, told in (
        ("", f"this asks for a key that carries {scope}"),
        ("lsk_" + "x" * 43, "the key is unknown, expired or revoked"),
        (ended, "the key is unknown, expired or revoked"),
        (lacking, f"the key of ann does not carry {scope}"),
    ):
        message, hint = refused(run(*asked, key=secret))
        assert message == told
        assert f"--scopes {scope}" in hint
        assert "LISHANG_KEY" in hint
        assert secret not in message or not secret


def test_key_may_be_given_as_an_option(run, key, candidate) -> None:
    secret = key("ann", Scope.ADMIN)
    assert run("publish", str(candidate), "--key", secret).exit_code == 0


def test_author_with_every_scope_cannot_approve(run, key, candidate, sqlite_database, small_rules):
    secret = key("ann", Scope.ADMIN)
    assert run("publish", str(candidate), key=secret).exit_code == 0
    job = Shipping(sqlite_database, small_rules)
    job.attach_backtest("gift_send", 2, '{"decisions":1}', Actor("x", "x"), now())
    assert run("shadow", "gift_send@2", key=secret).exit_code == 0
    message, hint = refused(run("enforce", "gift_send@2", key=secret))
    assert message == "ann published gift_send version 2 and cannot approve it"
    assert "somebody else" in hint
    assert job.find("gift_send", 2).state.value == "shadow"


def test_publish_of_a_file_with_a_fault_keeps_none_of_the_files(
    run, key, candidate, tmp_path, small_pack
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(small_pack(2, "offer_show").replace("fires: false", "fires: true"), "utf-8")
    result = run("publish", str(candidate), str(bad), key=key("ann", Scope.POLICY_WRITE))
    message, hint = refused(result)
    assert "bad.yaml is not published: " in message
    assert hint.startswith("see all of it: lishang rules ")
    shown = json.loads(run("history", "--format", "json").stdout)
    assert {version["state"] for version in shown["versions"]} == {"enforced"}


@pytest.mark.parametrize("named", ["gift_send", "gift_send@", "gift_send@0", "@1", "a@b@1", "a@x"])
def test_version_that_is_not_named_rightly_is_refused(run, key, named) -> None:
    message, hint = refused(run("shadow", named, key=key("ann", Scope.POLICY_WRITE)))
    assert message == f"{named!r} names no version"
    assert hint == "write it as gift_send@2"


def test_diff_of_a_kept_version_and_a_file_shows_what_is_written_differently(
    run, candidate, small_rules
) -> None:
    shown = run("diff", "gift_send@1", str(candidate)).stdout
    assert shown.splitlines() == [
        "- version: 1",
        "+ version: 2",
        "rule only_rule: changed",
        "  - then: deny",
        "  + then: review",
    ]
    assert run("diff", "gift_send@1", str(small_rules / "gift_send.yaml")).stdout == (
        "no difference\n"
    )
    assert "no gift_send version 9 is kept" in refused(run("diff", "gift_send@1", "gift_send@9"))[0]
    assert "'nowhere.yaml' is no file" in refused(run("diff", "nowhere.yaml", "gift_send@1"))[0]


BEFORE = """
pack: p
decides: d
version: 1
owner: a
jurisdiction: CN
effective: {from: 2026-01-01T00:00:00+08:00}
params: {cap: 10, gone: true, kinds: [a, b]}
rules:
  - {id: stays, description: S., when: x > 1, then: deny, reason: R}
  - {id: changes, description: C., when: x > params.cap, then: deny, reason: R}
  - {id: leaves, description: L., when: y, then: deny, reason: R}
"""
AFTER = """
pack: p
decides: d
version: 2
owner: a
jurisdiction: CN
effective: {from: 2026-02-01T00:00:00+08:00, until: 2026-03-01T00:00:00+08:00}
params: {cap: 12, kinds: [a, c]}
rules:
  - id: changes
    description: C.
    when: x >= params.cap
    then: {require: guardian_consent}
    reason: R
  - {id: stays, description: S., when: x > 1, then: deny, reason: R}
  - {id: comes, description: N., when: z, then: review, reason: R}
"""


def test_diff_tells_dates_params_and_rules_with_both_conditions(run, tmp_path) -> None:
    paths = [tmp_path / name for name in ("before.yaml", "after.yaml")]
    for path, text in zip(paths, (BEFORE, AFTER), strict=True):
        path.write_text(text, encoding="utf-8")
    assert run("diff", *map(str, paths)).stdout.splitlines() == [
        "- version: 1",
        "+ version: 2",
        "- effective.from: 2026-01-01T00:00:00+08:00",
        "+ effective.from: 2026-02-01T00:00:00+08:00",
        "+ effective.until: 2026-03-01T00:00:00+08:00",
        "params",
        "  - cap: 10",
        "  + cap: 12",
        "  - gone: true",
        '  - kinds: ["a","b"]',
        '  + kinds: ["a","c"]',
        "rule comes: added",
        "  + when: z",
        "rule leaves: removed",
        "  - when: y",
        "rule changes: changed",
        "  - when: x > params.cap",
        "  + when: x >= params.cap",
        "  - then: deny",
        '  + then: {"require":"guardian_consent"}',
        "the rules stand in another order",
    ]
    told = json.loads(run("diff", *map(str, paths), "--format", "json").stdout)
    assert told["params"][0] == {"name": "cap", "before": 10, "after": 12}
    assert told["rules_added"] == [
        {"rule": "comes", "when_before": None, "when_after": "z", "others": []}
    ]
    assert (told["reordered"], told["same"]) == (True, False)


def test_diff_of_a_truth_and_a_number_is_a_difference() -> None:
    one, other = BEFORE.replace("gone: true", "gone: 1"), BEFORE
    [change] = diff(one, "a", other, "b").params
    assert (change.before, change.after) == (1, True)


def test_diff_of_layout_alone_is_none() -> None:
    assert diff(BEFORE, "a", "# words\n" + BEFORE, "b").same


REPORT = {
    "since": None,
    "until": "2026-05-02T00:00:00Z",
    "decisions": 1200,
    "changes": {"newly_blocked": 3, "newly_held": 4, "newly_allowed": 5, "not_evaluable": 6},
    "packs": [{"first_at": "2026-04-02T00:00:00Z"}, {"first_at": "2026-04-01T00:00:00Z"}],
}
TOTALS = (
    "backtest: 1,200 decisions replayed from 2026-04-01T00:00:00Z to 2026-05-02T00:00:00Z: "
    "newly blocked 3, newly held for review 4, newly allowed 5, not evaluable 6"
)


def test_show_and_enforce_tell_what_was_found_about_a_version(
    run, key, candidate, sqlite_database, small_rules
) -> None:
    ann, bob = key("ann", Scope.POLICY_WRITE), key("bob", Scope.POLICY_APPROVE)
    run("publish", str(candidate), key=ann)
    shown = run("show", "gift_send@2").stdout
    assert "gift_send version 2: draft; it has not been in shadow" in shown
    assert "approved by nobody yet" in shown
    assert "backtest: none" in shown
    assert "2 examples and 0 cases passed" in shown
    job = Shipping(sqlite_database, small_rules)
    job.attach_backtest("gift_send", 2, json.dumps(REPORT), Actor("x", "x"), now())
    run("shadow", "gift_send@2", key=ann)
    told = run("enforce", "gift_send@2", key=bob).stdout
    assert TOTALS in told.splitlines()
    shown = run("show", "gift_send@2").stdout
    assert TOTALS in shown.splitlines()
    assert "gift_send version 2: enforced; it is or has been in shadow" in shown
    assert "published by ann at 2" in shown
    assert "approved by bob at 2" in shown
    assert "in effect 2025-12-31T16:00:00" in shown
    found = json.loads(run("show", "gift_send@2", "--format", "json").stdout)
    assert (found["state"], found["backtest"]) == ("enforced", REPORT)
    assert found["checks"]["proof"]["examples"] == 2
    assert "checks: none kept" in run("show", "gift_send@1").stdout  # it was seeded
    assert "no gift_send version 9 is kept" in refused(run("show", "gift_send@9"))[0]


def test_enforce_beneath_a_version_dated_ahead_says_until_when_it_decides(
    run, key, sqlite_database, small_rules, small_pack
) -> None:
    job, ann, bob = Shipping(sqlite_database, small_rules), Actor("a", "ann"), Actor("b", "bob")
    for version, begins in ((2, "2090-01-01T00:00:00Z"), (3, "2026-01-01T00:00:00+08:00")):
        text = small_pack(version, begins=begins, then="review")
        job.publish({"f.yaml": text}, ann, now())
        job.attach_backtest("gift_send", version, json.dumps(REPORT), ann, now())
        job.shadow("gift_send", version, ann, now())
        if version == 2:
            job.enforce("gift_send", version, bob, now())
    told = run("enforce", "gift_send@3", key=key("cai", Scope.POLICY_APPROVE)).stdout
    assert "it decides until 2090-01-01T00:00:00" in told
    assert ", then gift_send version 2" in told


def test_history_of_a_pack_that_is_not_kept_is_refused(run) -> None:
    assert refused(run("history", "nosuch"))[0] == "no pack 'nosuch' is kept"


def test_history_of_a_store_that_is_empty_shows_what_was_seeded(run) -> None:
    shown = json.loads(run("history", "gift_settle", "--format", "json").stdout)
    [version] = shown["versions"]
    assert (version["state"], version["author"]["name"]) == ("enforced", "seed")
