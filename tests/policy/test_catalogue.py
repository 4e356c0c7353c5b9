"""The fact catalogue refuses whatever durable_rules would silently misread."""

from __future__ import annotations

from enum import StrEnum

import pytest

from engine.domain.errors import FactsInvalid, PolicyError
from engine.domain.verdicts import FactSet
from engine.policy.attribute_names import attribute_hash, attribute_name
from engine.policy.catalogue import FactCatalogue, FactEntry, FactType
from engine.policy.decisions import CATALOGUES

PLAIN = {"t.p": True, "t.q": False, "t.a": 1, "t.b": 2, "t.kind": "red", "t.s": "x", "t.u": "y"}


def _entry(name: str, **more: object) -> FactEntry:
    return FactEntry(name, FactType.INT, "test", "a number", **more)


def test_fact_set_unknown_value_takes_conservative_one() -> None:
    catalogue = FactCatalogue("d", [_entry("t.age", when_unknown=0), _entry("t.n")])
    assert catalogue.fact_set({"t.age": None, "t.n": 4}).values == {
        "t.age": 0,
        "t.age_known": False,
        "t.n": 4,
    }
    assert catalogue.fact_set({"t.age": 30, "t.n": 4}).values["t.age_known"] is True


def test_fact_set_enumeration_member_becomes_plain_text(small: FactCatalogue) -> None:
    class Colour(StrEnum):
        RED = "red"

    facts = small.fact_set({**PLAIN, "t.kind": Colour.RED})
    assert type(facts.values["t.kind"]) is str
    assert small.row(facts) == tuple(PLAIN.values())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"t.age": 1}, "'t.n' is missing"),
        ({"t.age": 1, "t.n": None}, "'t.n' must always be known"),
        ({"t.age": 1, "t.n": 2, "t.x": 3}, "'t.x' is not supplied"),
        ({"t.age": 1, "t.n": 2, "t.age_known": True}, "'t.age_known' is not supplied"),
    ],
)
def test_fact_set_wrong_keys_are_refused(given: dict[str, object], said: str) -> None:
    catalogue = FactCatalogue("d", [_entry("t.age", when_unknown=0), _entry("t.n")])
    with pytest.raises(FactsInvalid, match=said):
        catalogue.fact_set(given)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"t.a": True}, "'t.a' must be a whole number, not bool"),
        ({"t.a": "5"}, "'t.a' must be a whole number, not str"),
        ({"t.a": 5.0}, "'t.a' must be a whole number, not float"),
        ({"t.a": None}, "'t.a' must be a whole number, not NoneType"),
        ({"t.p": 1}, "'t.p' must be true or false, not int"),
        ({"t.a": 2**53 + 1}, "outside"),
        ({"t.b": -(2**53) - 1}, "outside"),
        ({"t.kind": "pink"}, "must be one of red, green, blue"),
        ({"t.s": "x" * 257}, "at most 256"),
        ({"t.s": "\ud800"}, "no UTF-8 text"),
        ({"t.extra": 1}, "'t.extra' is not in the catalogue"),
        ({"id": "7"}, "'id' is not in the catalogue"),
    ],
)
def test_row_unsound_fact_is_refused(
    small: FactCatalogue, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(FactsInvalid, match=said):
        small.row(FactSet({**PLAIN, **changes}))


def test_row_missing_fact_is_refused_even_beside_a_stray_one(small: FactCatalogue) -> None:
    facts = {**PLAIN, "t.stray": 1}
    del facts["t.a"]
    with pytest.raises(FactsInvalid, match=r"'t\.a' is missing"):
        small.row(FactSet(facts))


def test_row_extremes_are_accepted(small: FactCatalogue) -> None:
    facts = {**PLAIN, "t.a": 2**53, "t.b": -(2**53), "t.s": "礼" * 256, "t.u": ""}
    assert small.row(FactSet(facts)) == tuple(facts.values())


def test_row_unknown_fact_with_another_value_is_refused() -> None:
    catalogue = FactCatalogue("d", [_entry("t.age", when_unknown=0)])
    with pytest.raises(FactsInvalid, match="is unknown, so it must be 0"):
        catalogue.row(FactSet({"t.age": 40, "t.age_known": False}))


def test_attribute_hash_known_collision_is_reproduced() -> None:
    assert attribute_hash("bil3ui1") == attribute_hash("is_friend")


@pytest.mark.parametrize(
    "names",
    [
        ("t.a_b", "t_a.b"),  # one attribute once dots are gone
        ("t.mbyuhep", "t.qpzymxk"),  # found by trying random names
    ],
)
def test_catalogue_names_of_one_hash_are_refused(names: tuple[str, str]) -> None:
    first, second = map(attribute_name, names)
    assert attribute_hash(first) == attribute_hash(second)
    with pytest.raises(PolicyError, match="one attribute to durable_rules"):
        FactCatalogue("d", [_entry(name) for name in names])


@pytest.mark.parametrize("name", ["params.x", "age", "T.age", "t.Age", "t.a.b", "t.礼"])
def test_catalogue_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(PolicyError, match="no fact name"):
        FactCatalogue("d", [_entry(name)])


def test_catalogue_conservative_value_of_another_type_is_refused() -> None:
    with pytest.raises(PolicyError, match="conservative value"):
        FactCatalogue("d", [_entry("t.age", when_unknown="young")])


def test_shipped_catalogues_have_a_companion_exactly_where_unknown_is_possible() -> None:
    for catalogue in CATALOGUES.values():
        supplied = {entry.name for entry in catalogue.supplied}
        companions = set(catalogue.names) - supplied
        assert companions == {e.name + "_known" for e in catalogue.supplied if e.may_be_unknown}
        assert all(entry.description and entry.supplier for entry in catalogue.entries)
