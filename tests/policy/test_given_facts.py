"""Given facts are completed as the catalogue does it, and every fault is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import FactsInvalid
from engine.policy.catalogue import FactCatalogue
from engine.policy.entries import FactEntry, FactType
from engine.policy.given_facts import FactFault, GivenFacts

CATALOGUE = FactCatalogue(
    "given",
    [
        FactEntry("t.yes", FactType.BOOL, "test", "a truth"),
        FactEntry("t.age", FactType.INT, "test", "a number", "years", 0, least=0, greatest=150),
        FactEntry("t.kind", FactType.TEXT, "test", "a colour", "", "red", ("red", "green")),
        FactEntry("t.text", FactType.TEXT, "test", "a text"),
    ],
)
GOOD = {"t.yes": True, "t.age": 7, "t.kind": "green", "t.text": "礼"}
READER = GivenFacts(CATALOGUE)

_values = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(
        [150, 151, 2**53, 2**53 + 1, -(2**53) - 1, 1.0, "red", "blue", "x" * 257, [], {}]
    )
)
_changes = st.dictionaries(st.sampled_from([*GOOD, "t.age_known", "stray", ""]), _values)
_dropped = st.sets(st.sampled_from([*GOOD]), max_size=2)


@given(_changes, _dropped)
def test_given_facts_are_faultless_exactly_where_the_catalogue_takes_them(changes, dropped) -> None:
    facts = {name: value for name, value in {**GOOD, **changes}.items() if name not in dropped}
    try:
        expected = CATALOGUE.fact_set(facts)
        CATALOGUE.row(expected)
    except FactsInvalid as error:
        faults = list(READER.faults(facts))
        assert faults
        # The catalogue tells its first fault; it is among ours.
        assert any(repr(fault.fact) in error.message for fault in faults)
        with pytest.raises(FactsInvalid):
            CATALOGUE.row(READER.complete(facts))
    else:
        assert list(READER.faults(facts)) == []
        assert READER.complete(facts) == expected


@given(st.none() | st.integers() | st.text() | st.lists(st.integers()))
def test_given_facts_that_are_no_object_are_one_fault(value) -> None:
    [fault] = READER.faults(value)
    assert fault.fact == ""
    with pytest.raises(FactsInvalid):
        READER.complete(value)


def test_given_facts_with_several_faults_tell_each() -> None:
    facts = {"t.yes": 1, "t.age": None, "t.kind": "blue", "t.age_known": False}
    assert list(READER.faults(facts)) == [
        FactFault("t.yes", "must be true or false, not int"),
        FactFault("t.kind", "must be one of red, green"),
        FactFault("t.text", "is missing"),
        FactFault("t.age_known", "is not supplied from outside"),
    ]
    assert list(READER.faults({**GOOD, "t.age": -1})) == [FactFault("t.age", "must be at least 0")]
    assert list(READER.faults({**GOOD, "t.age": 151})) == [
        FactFault("t.age", "must be at most 150")
    ]
    assert list(READER.faults({**GOOD, "t.yes": None})) == [
        FactFault("t.yes", "must always be known")
    ]
