"""Packs with typing errors: whatever is typed, it is a finding with its place, never a crash."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain.errors import PackInvalid
from engine.policy.decisions import CATALOGUES
from engine.policy.lint import lint_pack
from engine.policy.packs import read_pack
from engine.policy.yaml_text import read_yaml

RULES = Path(__file__).resolve().parents[2] / "rules"
SHIPPED = [(RULES / f"{name}.yaml").read_text() for name in ("gift_settle", "offer_show")]
TYPED = (
    *(
        "_",
        "!!int ",
        "!!float ",
        "!!bool ",
        "!!null ",
        "!!str ",
        "!",
        "!!",
        "&a ",
        "*a",
        "? ",
        "- ",
    ),
    *('"', "'", "|", ">", "%", "@", "`", "#", ":", ": ", "{", "}", "[", "]", ",", "~", "\n", "\t"),
    *(
        "\\U",
        "\\x",
        "\\ud800",
        '"\\UFFFFFFFF"',
        '"\\ud800"',
        '"\\0"',
        "\\",
        "\0",
        "\ufeff",
        "\u2028",
    ),
    *("0o7", "0x1F", "1e999", "-0", "1_0", "1_", ".inf", ".nan", "9" * 20, "9" * 5_000, "<<: "),
    *("---\n", "...\n", "%YAML 9.9\n", "params.", "&&", "||", "!(", "in [", "礼", "😀", "  "),
)
place = st.integers(0, max(map(len, SHIPPED)))
edits = st.lists(
    st.tuples(
        st.sampled_from(["insert", "delete", "replace", "double"]),
        place,
        st.integers(1, 40),
        st.one_of(st.sampled_from(TYPED), st.text(max_size=6)),
    ),
    min_size=1,
    max_size=4,
)


def mutated(text: str, edit: tuple[str, int, int, str]) -> str:
    kind, at, length, typed = edit
    starts = [found.end() for found in re.finditer(r": |- |\[", text)]
    # Half of all errors are made where a value begins: there most can be said wrongly.
    at = starts[at // 2 % len(starts)] if at % 2 else at % (len(text) + 1)
    span = text[at : at + length]
    put = {"insert": typed + span, "delete": "", "replace": typed, "double": span + span}[kind]
    return text[:at] + put + text[at + length :]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SHIPPED), edits)
def test_pack_mutated_is_read_or_refused_with_its_place(text, edits) -> None:
    for edit in edits:
        text = mutated(text, edit)
    found = lint_pack(text, "pack.yaml", None)
    assert all(one.place[0] == "pack.yaml" for one in found)
    try:
        read_pack(text, "pack.yaml", CATALOGUES)
    except PackInvalid as error:
        assert error.message.startswith("pack.yaml:")
        assert any(one.severity.rank == 0 for one in found)


@pytest.mark.parametrize(
    ("value", "where", "message"),
    [
        ("!!int abc", "1:4", "'abc' is no number"),
        ("!!int 0o7", "1:4", "'0o7' is no number"),
        ("!!float x", "1:4", "'x' is no number"),
        ("!!int 1_", "1:4", "'1_' is no number"),
        ("9" * 5_000, "1:4", f"'{'9' * 40}…' is no number"),
        (r'"\UFFFFFFFF"', "1:1", ""),
        (r'"\U00110000"', "1:1", ""),
        (r'"\ud800"', "1:4", r"'\ud800' is no text"),
    ],
)
def test_read_yaml_typing_error_is_refused_with_its_place(value, where, message) -> None:
    with pytest.raises(PackInvalid) as caught:
        read_yaml(f"a: {value}", "pack.yaml")
    assert caught.value.message.startswith(f"pack.yaml:{where}: {message}")


def test_read_yaml_key_that_is_no_text_is_refused_with_its_place() -> None:
    with pytest.raises(PackInvalid, match=r"pack\.yaml:1:1: '\\ud800' is no text"):
        read_yaml(r'"\ud800": 1', "pack.yaml")


@pytest.mark.parametrize("written", ["1_", "1__0", "_1", "1_0_"])
def test_read_yaml_stray_underscore_is_a_text(written: str) -> None:
    assert read_yaml(f"a: {written}", "pack.yaml").value == {"a": written}


def test_read_yaml_underscore_between_digits_is_a_number() -> None:
    assert read_yaml("a: 1_000", "pack.yaml").value == {"a": 1000}
