"""The fact catalogue refuses whatever durable_rules would silently misread."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import FactsInvalid, PolicyError
from engine.domain.verdicts import FactSet, FactValue
from engine.policy.attribute_names import attribute_hash, attribute_name
from engine.policy.catalogue import FactCatalogue
from engine.policy.decisions import CATALOGUES
from engine.policy.entries import FactEntry, FactType

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


BOUNDED = FactCatalogue(
    "d",
    [
        FactEntry("t.s", FactType.TEXT, "test", "a text"),
        _entry("t.free"),
        _entry("t.fen", least=0),
        _entry("t.count", least=1),
        _entry("t.dice", least=1, greatest=6),
        _entry("t.frost", least=-9, greatest=-1, when_unknown=-1),
        FactEntry("t.kind", FactType.TEXT, "test", "a colour", values=("red", "blue")),
    ],
)
LEAST = {
    "t.s": "",
    "t.free": -7,
    "t.fen": 0,
    "t.count": 1,
    "t.dice": 1,
    "t.frost": -9,
    "t.kind": "red",
}
GREATEST = {
    "t.s": "",
    "t.free": 7,
    "t.fen": 2**53,
    "t.count": 2**53,
    "t.dice": 6,
    "t.frost": -1,
    "t.kind": "blue",
}


@pytest.mark.parametrize("facts", [LEAST, GREATEST])
def test_row_number_at_its_bound_is_accepted(facts: dict[str, FactValue]) -> None:
    whole = {**facts, "t.frost_known": True}
    assert BOUNDED.row(FactSet(whole)) == BOUNDED.row(BOUNDED.fact_set(facts))


@pytest.mark.parametrize("other", [{}, {"t.s": "-"}, {"t.free": 2**53}, {"t.free": -(2**53)}])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"t.fen": -1}, "'t.fen' must be at least 0"),
        ({"t.fen": -(2**53)}, "'t.fen' must be at least 0"),
        ({"t.count": 0}, "'t.count' must be at least 1"),
        ({"t.count": -1}, "'t.count' must be at least 1"),
        ({"t.dice": 0}, "'t.dice' must be at least 1"),
        ({"t.dice": 7}, "'t.dice' must be at most 6"),
        ({"t.frost": 0}, "'t.frost' must be at most -1"),
        ({"t.frost": -10}, "'t.frost' must be at least -9"),
        ({"t.frost": 2**53 + 1}, "'t.frost' lies outside"),
    ],
)
@pytest.mark.parametrize("facts", [LEAST, GREATEST])
def test_row_number_beyond_its_bound_is_refused(
    facts: dict[str, FactValue], changes: dict[str, int], said: str, other: dict[str, FactValue]
) -> None:
    with pytest.raises(FactsInvalid, match=said):
        BOUNDED.row(BOUNDED.fact_set({**facts, **other, **changes}))


class Five(IntEnum):
    """A number by another name."""

    FIVE = 5


class Red(StrEnum):
    """A text by another name."""

    RED = "red"


class Liar(int):
    """A number that compares as it likes."""

    def __gt__(self, other: object) -> bool:
        return False


def _plain(name: str, value: object) -> object:
    """What stands for a number or a listed text of another type."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return value.value if name == "t.kind" and isinstance(value, Red) else value


ANYTHING = st.one_of(
    st.integers(-12, 12),
    st.integers(-(2**54), 2**54),
    st.integers(-(2**80), 2**80),
    st.booleans(),
    st.none(),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(["x" * 257, "礼" * 256, "\ud800", b"x", [1], 5.0, "red"]),
    st.sampled_from([Five.FIVE, Red.RED, Liar(3)]),
)


@given(
    facts=st.dictionaries(st.sampled_from([*BOUNDED.names, "t.stray"]), ANYTHING), data=st.data()
)
def test_row_takes_exactly_what_no_entry_finds_fault_with(
    facts: dict[str, FactValue], data: st.DataObject
) -> None:
    whole = {**BOUNDED.fact_set(LEAST).values, **facts}
    names = data.draw(st.permutations(sorted(whole)))
    mixed = FactSet({name: whole[name] for name in names})
    frost = whole["t.frost_known"] or whole["t.frost"] == -1
    plain = {name: _plain(name, value) for name, value in whole.items()}
    faults = [entry.fault(plain[entry.name]) for entry in BOUNDED.entries]
    if "t.stray" in whole or any(faults) or not frost:
        with pytest.raises(FactsInvalid, match=r"'t\."):
            BOUNDED.row(mixed)
    else:
        row = BOUNDED.row(mixed)
        assert row == tuple(plain[name] for name in BOUNDED.names)
        assert [*map(type, row)] == [entry.type.python for entry in BOUNDED.entries]


def test_row_of_the_gift_catalogue_wants_this_gift_counted_and_nothing_below_0() -> None:
    numbers = {e.name: e.least for e in CATALOGUES["gift_send"].entries if e.type is FactType.INT}
    assert {name for name, least in numbers.items() if least == 1} == {
        name for name in numbers if name.endswith("_gifts_after")
    }
    assert set(numbers.values()) == {0, 1}


def test_narrowed_catalogue_takes_what_was_recorded_under_other_bounds() -> None:
    narrowed = BOUNDED.narrowed(["t.dice", "t.frost"])
    assert narrowed.row(FactSet({"t.dice": 9, "t.frost": 0})) == (9, 0)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"least": 2, "greatest": 1}, "no number of 't.a' lies within its bounds"),
        ({"least": -(2**53) - 1}, "no number of 't.a' lies within its bounds"),
        ({"greatest": 2**53 + 1}, "no number of 't.a' lies within its bounds"),
        ({"least": 1, "when_unknown": 0}, "conservative value of 't.a' must be at least 1"),
        ({"greatest": 1, "when_unknown": 2}, "conservative value of 't.a' must be at most 1"),
    ],
)
def test_catalogue_bounds_that_cannot_be_are_refused(more: dict[str, int], said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        FactCatalogue("d", [_entry("t.a", **more)])


@pytest.mark.parametrize("type_", [FactType.BOOL, FactType.TEXT])
def test_catalogue_bounds_of_what_is_no_number_are_refused(type_: FactType) -> None:
    with pytest.raises(PolicyError, match="has bounds but is no number"):
        FactCatalogue("d", [FactEntry("t.a", type_, "test", "no number", least=0)])


@pytest.mark.parametrize(
    ("least", "greatest", "neutral"), [(-5, 5, 0), (1, 5, 1), (-5, -2, -2), (0, 0, 0)]
)
def test_neutral_number_is_the_one_nearest_to_0(least: int, greatest: int, neutral: int) -> None:
    entry = _entry("t.a", least=least, greatest=greatest)
    assert entry.neutral == neutral
    assert entry.fault(entry.neutral) is None


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


def test_row_of_what_is_no_mapping_of_names_is_refused() -> None:
    with pytest.raises(FactsInvalid, match="is missing"):
        BOUNDED.row(FactSet({1: 2}))
