"""docs/rules.md: what it shows is true, and every key that an author may write is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from engine.policy.cases import CaseShape, CasesShape
from engine.policy.decisions import CATALOGUES
from engine.policy.folder import reasons_in
from engine.policy.pack_shape import PackShape, RuleShape
from engine.policy.packs import read_pack
from engine.policy.proving import prove


@pytest.fixture(scope="module")
def guide(rules_folder: Path) -> str:
    return (rules_folder.parent / "docs" / "rules.md").read_text(encoding="utf-8")


def test_pack_in_the_guide_is_sound(guide: str, rules_folder: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    pack = read_pack(blocks[0], "docs/rules.md", CATALOGUES)
    proof = prove(pack, [], reasons_in(rules_folder))
    assert (proof.failures, proof.coverage.gaps) == ((), ())
    assert proof.coverage.probes == 3


@pytest.mark.parametrize(
    ("shape", "prefix"),
    [(PackShape, ""), (RuleShape, ""), (CasesShape, ""), (CaseShape, "cases[].")],
)
def test_every_key_is_in_a_table_of_the_guide(
    guide: str, shape: type[BaseModel], prefix: str
) -> None:
    for name, field in shape.model_fields.items():
        if name != "cases":
            assert f"| `{prefix}{field.alias or name}` |" in guide
