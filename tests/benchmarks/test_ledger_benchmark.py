"""The ledger benchmark measures what it says: the same rows, every answer, the same past."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select, text

from benchmarks.http_load import Server
from benchmarks.ledger import asked, growth, in_process, raw_sends
from benchmarks.ledger.__main__ import main
from benchmarks.ledger.asking import FRIENDS, pair, send
from benchmarks.ledger.clients import Asked, Clients, percentile
from benchmarks.ledger.history import CIRCLE, Stream, item, person, price_fen, write_items
from benchmarks.ledger.history import write_people as write_circles
from benchmarks.ledger.ledgers import Ledgers, ledgers
from engine.domain.clock import DAY
from engine.domain.errors import InvalidInput
from engine.gift_policy import GiftPolicy
from engine.ledger import tables
from engine.ledger.database import Database

AT = 20_500 * DAY
FEW = 200


@pytest.fixture(params=["sqlite", "postgresql"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledgers]:
    """A small filled ledger to copy, on each database in turn."""
    postgres = request.param == "postgresql"
    url = request.getfixturevalue("postgres_server") if postgres else None
    with ledgers(request.param, tmp_path, url, FEW, AT) as copies:
        yield copies


@pytest.fixture
def made_in_files(tmp_path: Path) -> Iterator[Ledgers]:
    """A small filled ledger to copy."""
    with ledgers("sqlite", tmp_path, None, FEW, AT) as copies:
        yield copies


@pytest.fixture(scope="module")
def policy() -> Iterator[GiftPolicy]:
    """The shipped rules."""
    with in_process.gift_policy() as ready:
        yield ready


def _scalar(database: Database, sql: str) -> object:
    with database.reading() as connection:
        return connection.execute(text(sql)).scalar_one()


def test_stream_leaves_the_counters_that_its_gifts_add_up_to(database) -> None:
    stream = Stream(12_345, AT)
    with database.writing() as connection:
        write_items(connection)
        write_circles(connection, stream.people, AT)
        stream.write_gifts(connection, 0, 5_000)
        stream.write_gifts(connection, 5_000, stream.gifts)
        stream.write_counters(connection)
    assert _scalar(database, "SELECT count(*) FROM gifts") == stream.gifts
    for scope, subject in (
        ("sender", "sender"),
        ("recipient", "recipient"),
        ("pair", "'9\\:' || sender || '>' || recipient"),
    ):
        added = f"""SELECT {subject} AS subject, sender_day AS day, count(*) AS gifts,
          CAST(sum(price_fen) AS BIGINT) AS fen FROM gifts
          WHERE state NOT IN ('declined', 'expired') GROUP BY 1, 2"""
        counted = f"""SELECT subject, day, gifts, fen FROM counters
          WHERE scope = '{scope}' AND day > 0"""
        for one, other in ((added, counted), (counted, added)):
            sql = f"SELECT count(*) FROM ({one} EXCEPT {other}) AS different"
            assert _scalar(database, sql) == 0, scope
    first = Stream(12_345, AT).first_at
    assert _scalar(database, "SELECT min(occurred_at) FROM gifts") == first
    assert AT - 2 * stream.step < _scalar(database, "SELECT max(occurred_at) FROM gifts") < AT


def test_stream_gives_only_to_friends_and_to_what_the_catalogue_knows(database) -> None:
    stream = Stream(10_000, AT)
    with database.writing() as connection:
        write_items(connection)
        write_circles(connection, stream.people, AT)
        stream.write_gifts(connection, 0, stream.gifts)
    friends = """SELECT count(*) FROM gifts g JOIN friendships f
      ON f.person = g.sender AND f.friend = g.recipient"""
    sold = "SELECT count(*) FROM gifts g JOIN items i USING (item) WHERE i.price_fen = g.price_fen"
    assert _scalar(database, friends) == _scalar(database, sold) == 10_000
    with database.reading() as connection:
        one = connection.execute(select(tables.items).where(tables.items.c.item == item(7))).one()
    assert one.price_fen == price_fen(7)


def test_pairs_asked_of_are_all_different_and_friends() -> None:
    pairs = [pair(n, FEW) for n in range(FEW * FRIENDS)]
    assert len(set(pairs)) == FEW * FRIENDS
    for sender, recipient in pairs:
        assert sender != recipient
        assert int(sender[1:]) // CIRCLE == int(recipient[1:]) // CIRCLE
    assert pair(0, FEW) == (person(0), person(1))


def test_past_of_the_asked_is_the_same_however_many_gifts_lie_around_it(policy, tmp_path) -> None:
    facts = []
    for gifts in (1_000, 4_000):
        path = tmp_path / f"{gifts}.db"
        growth.load(path, gifts, AT, pairs=5)
        database = Database(f"sqlite:///{path}")
        with database.reading() as unit:
            asking = asked.requests(5)
            readings = policy.read_pairs(unit, [(a.sender, a.recipient) for a in asking], AT)
            decided = policy.decide(unit, asking, readings, AT)
        assert _scalar(database, "SELECT count(*) FROM gifts") == gifts
        facts.append([one.facts.values for one in decided])
        assert {(r.context.out > 0).any() for r in readings} == {True}
        names = {index.name for index in tables.gifts.indexes}
        found = "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = '{}'"
        assert {_scalar(database, found.format(name)) for name in names} == {1}
        database.close()
    assert facts[0] == facts[1]
    assert facts[0][0]["sender.hour_gifts_after"] == 2
    assert facts[0][0]["pair.fen_vs_habit_ppm"] is not None


def test_raw_driver_writes_the_very_rows_that_sends_leave(made, policy) -> None:
    sending = in_process.SendsAndRaw(made, policy, FEW)
    assert min(sending.round(0.01)) > 0
    assert min(sending.round(0.01)) > 0
    rows = sending.close()
    # Of each of the hundred sends: gift, answer, two decisions, two postings, an event, counters.
    assert rows > 100 * 10


@pytest.mark.parametrize("table", ["counters", "decisions", "postings", "outbox", "ties", "items"])
def test_rows_that_the_raw_driver_leaves_out_are_found(
    made_in_files, policy, monkeypatch, table
) -> None:
    written = raw_sends.RawWriter.write

    def lazily(self, sent):
        *others, last = sent.counters
        uncounted = [*others, (*last[:3], 0, 0)]
        left_out = {
            "counters": raw_sends.SentRows(sent.rows, uncounted, sent.item),
            "items": raw_sends.SentRows(sent.rows, sent.counters, None),
        }
        fewer = raw_sends.SentRows({**sent.rows, table: []}, sent.counters, sent.item)
        written(self, left_out.get(table, fewer))

    monkeypatch.setattr(raw_sends.RawWriter, "write", lazily)
    sending = in_process.SendsAndRaw(made_in_files, policy, FEW)
    sending.round(0.01)
    with pytest.raises(InvalidInput, match=f"{table}: a send and its replay"):
        sending.close()


def test_sends_beyond_what_the_people_may_send_are_refused(made_in_files, policy) -> None:
    sending = in_process.SendsAndRaw(made_in_files, policy, CIRCLE)
    with pytest.raises(InvalidInput, match="nothing is left to send"):
        sending.round(60)
    assert send(0, CIRCLE).sender == person(0)


@pytest.fixture
def silent_server() -> Iterator[tuple[Server, list[bytes]]]:
    """A server of one worker in this process that answers what a test puts into its list."""
    answers: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            while connection.recv(65_536):
                for part in answers:
                    connection.sendall(part)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield Server(None, listening.getsockname()[1], 2), answers
    listening.close()


def _answer(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


def test_clients_read_an_answer_that_comes_in_parts(silent_server) -> None:
    server, answers = silent_server
    whole = _answer("200 OK", '{"verdict":"allow"}')
    answers += [whole[:9], whole[9:30], whole[30:]]
    clients = Clients(server, 1)
    asking = Asked(b"x", lambda status, body: (status, body) == (b"200", b'{"verdict":"allow"}'))
    driven = clients.drive(repeat(asking), 0.05)
    clients.close()
    assert driven.answered == len(driven.latencies_ms) > 0


@pytest.mark.parametrize(
    ("status", "body"), [("500 Oh", '{"verdict":"allow"}'), ("200 OK", '{"verdict":"deny"}')]
)
def test_clients_stop_at_the_first_wrong_answer(silent_server, status, body) -> None:
    server, answers = silent_server
    answers.append(_answer(status, body))
    clients = Clients(server, 1)
    asking = Asked(b"x", lambda status, body: status == b"200" and b'"allow"' in body)
    with pytest.raises(InvalidInput, match="an answer was wrong"):
        clients.drive(repeat(asking), 5)
    clients.close()


def test_clients_without_anything_left_to_ask_say_so(silent_server) -> None:
    server, answers = silent_server
    answers.append(_answer("200 OK", "{}"))
    clients = Clients(server, 1)
    with pytest.raises(InvalidInput, match="nothing is left to ask"):
        clients.drive(iter([Asked(b"x", lambda _status, _body: True)]), 5)
    clients.close()


def test_percentile_is_a_latency_that_was_measured() -> None:
    assert [percentile([3.0, 1.0, 2.0, 4.0], share) for share in (0.5, 0.99, 0.25)] == [2, 4, 1]


def test_benchmark_of_an_unknown_database_is_refused() -> None:
    shown = CliRunner().invoke(main, ["--databases", "oracle"])
    assert shown.exit_code == 2
    assert "unknown database oracle" in shown.output


def _measured(tmp_path: Path, *options: str) -> dict[str, Any]:
    out = tmp_path / "results" / "ledger.json"
    few = "--clients 1,4 --seconds 0.1 --rounds 1 --people 1000 --batch 64 --sizes 5000,6000"
    where = ["--folder", str(tmp_path), "--out", str(out)]
    shown = CliRunner().invoke(main, [*few.split(), *where, *options])
    assert shown.exit_code == 0, shown.output
    assert not list(tmp_path.glob("lishang-ledger-*"))
    return json.loads(out.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_small_benchmark_answers_everything_and_writes_its_figures(tmp_path: Path) -> None:
    content = _measured(tmp_path, "--databases", "sqlite")
    metrics = content["metrics"]
    assert metrics["sqlite_send_to_raw_ratio"] > 0
    for clients in (1, 4):
        assert metrics[f"sqlite_sends_per_second_at_{clients}"] > 0
        assert metrics[f"sqlite_send_p99_ms_at_{clients}"] > 0
        assert metrics[f"check_p99_ms_at_{clients}"] > 0
        assert metrics[f"check_to_echo_ratio_at_{clients}"] > 0
        assert content["baselines"][f"echo_checks_per_second_at_{clients}"] > 0
    assert metrics["batch_checks_per_second"] > 0
    assert metrics["check_growth"] > 0
    assert content["raw"]["sqlite"]["durability"] == {"journal_mode": "wal", "synchronous": "2"}
    assert content["raw"]["growth"]["5000"]["file_mib"] > 1


@pytest.mark.slow
def test_small_benchmark_on_postgresql_measures_sends(postgres_server: str, tmp_path: Path) -> None:
    where = ["--databases", "postgresql", "--postgres-url", postgres_server, "--sizes", ""]
    content = _measured(tmp_path, *where)
    assert content["metrics"]["postgresql_send_to_raw_ratio"] > 0
    assert content["metrics"]["postgresql_sends_per_second_at_4"] > 0
    assert content["raw"]["postgresql"]["durability"]["synchronous_commit"] == "on"
    assert content["raw"]["postgresql"]["rows_written_twice_and_equal"] > 1_000
