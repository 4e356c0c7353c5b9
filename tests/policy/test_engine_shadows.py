"""Packs in shadow: tried on every decision, and whatever happens in them costs no answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from engine.domain.clock import parse_time
from engine.domain.errors import PackInvalid, PolicyError
from engine.domain.verdicts import PackRef, Verdict
from engine.policy.decisions import CATALOGUES
from engine.policy.engine import PolicyEngine
from engine.policy.folder import reasons_in
from engine.policy.packs import Pack, read_pack
from engine.policy.ready_pack import ReadyPack

AT = parse_time("2026-06-01T00:00:00+08:00")


class Witness:
    """Notes what it is told, and breaks down where it is told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, list[str]]] = []
        self.failures: list[tuple[int, PolicyError]] = []
        self.broken = False

    def evaluated(
        self, shadow: PackRef, enforced: Sequence[Verdict], shadowed: Sequence[Verdict]
    ) -> None:
        self._break()
        self.seen.append((shadow.version, [verdict.effect.value for verdict in shadowed]))

    def failed(self, shadow: PackRef, error: PolicyError) -> None:
        self._break()
        self.failures.append((shadow.version, error))

    def _break(self) -> None:
        if self.broken:
            raise RuntimeError("nowhere to count")


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def pack(small_pack: Callable[..., str]) -> Callable[..., Pack]:
    def read(version: int, **changed: str) -> Pack:
        return read_pack(small_pack(version, **changed), f"v{version}.yaml", CATALOGUES)

    return read


@pytest.fixture
def shadowed(rules_folder, pack, witness) -> Iterator[PolicyEngine]:
    """An engine that decides by version 1, with 2 and 3 in shadow."""
    shadows = [pack(2, then="review"), pack(3, begins="2099-01-01T00:00:00+08:00")]
    made = PolicyEngine(
        [pack(1)], reasons_in(rules_folder), CATALOGUES, shadows=shadows, witness=witness
    )
    yield made
    made.close()


def ask(engine: PolicyEngine, gift: Callable[..., object]) -> list[str]:
    facts = gift({"gift.to_self": True})
    return [verdict.effect.value for verdict in engine.decide_many("gift_send", [facts], AT)]


def test_shadow_is_tried_on_every_decision_whatever_its_effective_dates(
    shadowed, witness, gift
) -> None:
    assert ask(shadowed, gift) == ["deny"]
    assert witness.seen == [(2, ["review"]), (3, ["deny"])]


@pytest.mark.parametrize("fault", [PolicyError("gave up"), RuntimeError("boom"), KeyError("x")])
def test_shadow_that_breaks_down_costs_neither_the_answer_nor_the_next_shadow(
    shadowed, witness, gift, monkeypatch, fault
) -> None:
    decide = ReadyPack.decide

    def breaking(self: ReadyPack, rows: Sequence[tuple[object, ...]]) -> list[Verdict]:
        if self.pack.ref.version == 2:
            raise fault
        return decide(self, rows)

    monkeypatch.setattr(ReadyPack, "decide", breaking)
    assert ask(shadowed, gift) == ["deny"]
    assert witness.seen == [(3, ["deny"])]
    [(version, error)] = witness.failures
    assert (version, str(fault) in str(error)) == (2, True)


def test_witness_that_breaks_down_costs_no_answer(shadowed, witness, gift) -> None:
    witness.broken = True
    assert ask(shadowed, gift) == ["deny"]
    witness.broken = False
    assert ask(shadowed, gift) == ["deny"]
    assert [version for version, _ in witness.seen] == [2, 3]


def test_shadow_whose_rules_a_swap_closed_has_not_failed(
    shadowed, witness, gift, monkeypatch, pack
) -> None:
    decide = ReadyPack.decide

    def swapping(self: ReadyPack, rows: Sequence[tuple[object, ...]]) -> list[Verdict]:
        if self.pack.ref.version == 2:
            shadowed.swap([pack(1)])
        return decide(self, rows)

    monkeypatch.setattr(ReadyPack, "decide", swapping)
    assert ask(shadowed, gift) == ["deny"]
    assert (witness.seen, witness.failures) == ([], [])


def test_check_usable_refuses_what_a_swap_would_refuse(shadowed, pack, small_pack) -> None:
    shadowed.check_usable(pack(4))
    strange = read_pack(small_pack(4).replace("GIFT_TO_SELF", "UNHEARD_OF"), "f.yaml", CATALOGUES)
    with pytest.raises(PackInvalid, match="UNHEARD_OF"):
        shadowed.check_usable(strange)
