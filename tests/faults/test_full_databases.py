"""A database that may not grow: refusals are clear, leave nothing behind, and end when it may."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from proof import check_acknowledged, check_caps
from sends import send
from storm import Call, Told
from town import Town

ROUND = 64
ROUNDS = 60
LARGEST = (1 << 20) + (1 << 16)
"""Bytes that a file may have: a segment of PostgreSQL's log, and little more."""


def _fill(town: Town) -> tuple[list[Told], list[Call]]:
    """Send until the database is full; return what was told and which calls were refused."""
    told: list[Told] = []
    for n in range(ROUNDS):
        calls = [send(f"full{n}-{k}", f"to{n}-{k}") for k in range(ROUND)]
        told += town.storm(patient=False).run(calls, clients=16)
        refused = [one.call for one in told if one.status == 503]
        if len(refused) >= ROUND // 2:
            return told, refused
    raise AssertionError(f"{len(told)} sends did not fill the database")


def _check_refusals(town: Town, told: Sequence[Told]) -> None:
    """See that a refusal says so clearly and left no trace."""
    sent = [one for one in told if one.status == 201]
    assert sent, "nothing went through before it was full"
    assert {one.status for one in told} == {201, 503}
    assert {one.body["code"] for one in told if one.status == 503} == {"LEDGER_UNAVAILABLE"}
    assert not [one for one in told if one.broken]
    assert check_acknowledged(town, town.seen) == len(sent)
    check_caps(town)
    # What is there can still be read.
    gift = sent[-1].body["gift"]
    assert town.storm().ask(Call(f"/v1/gifts/{gift}", {}, method="GET")).status == 200


def _check_recovery(town: Town, refused: Sequence[Call]) -> None:
    """See that what was refused goes through once there is room, and once only."""
    again = town.storm().run(refused, clients=16)
    assert {one.status for one in again} == {201}
    check_acknowledged(town, town.seen)
    check_caps(town)
    town.audit()


def test_sqlite_at_its_size_limit_refuses_clearly_and_goes_on_when_it_may_grow(found_town) -> None:
    town: Town = found_town(bent=True)
    town.limit_pages(town.one("PRAGMA page_count") + 40)
    told, refused = _fill(town)
    _check_refusals(town, told)
    town.audit()
    town.limit_pages(None)
    _check_recovery(town, refused)


@pytest.mark.slow
def test_postgresql_without_room_refuses_clearly_and_goes_on_when_there_is(
    own_postgres, found_town
) -> None:
    town: Town = found_town(own_postgres.url)
    # As on a full disk: a table cannot be extended, whatever there is to write elsewhere.
    assert own_postgres.largest_file() < LARGEST
    own_postgres.restart(LARGEST)
    try:
        told, refused = _fill(town)
        _check_refusals(town, told)
        town.audit()
    finally:
        own_postgres.restart()
    _check_recovery(town, refused)
