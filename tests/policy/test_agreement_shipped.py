"""Five evaluations of the packs in rules/ give one answer on random complete facts."""

from __future__ import annotations

from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from engine.policy.decisions import CATALOGUES
from engine.policy.packs import Pack, read_pack
from engine.policy.yaml_text import read_yaml

PACKS = ("gift_send.yaml", "gift_settle.yaml", "offer_show.yaml")


def _read(rules_folder: Path, name: str) -> tuple[Pack, list[str]]:
    text = (rules_folder / name).read_text(encoding="utf-8")
    document = read_yaml(text, name).value
    return read_pack(text, name, CATALOGUES), [rule["when"] for rule in document["rules"]]


def _differences(
    evaluations: ModuleType, rules_folder: Path, name: str, seeds: int
) -> tuple[list[str], int, set[int]]:
    pack, written = _read(rules_folder, name)
    catalogue = CATALOGUES[pack.decides]
    panel = evaluations.Panel(pack, written, catalogue)
    differences: list[str] = []
    fired: set[int] = set()
    compared = 0
    try:
        for seed in range(seeds):
            asked = evaluations.random_facts(pack, catalogue, 1_000, Random(seed))
            differences += panel.differences(asked)
            compared += len(asked)
            fired = fired.union(*panel.by_evaluator(asked))
    finally:
        panel.close()
    return differences, compared, fired


@pytest.mark.parametrize("name", PACKS)
def test_evaluations_of_a_shipped_pack_agree(
    evaluations: ModuleType, rules_folder: Path, name: str
) -> None:
    differences, compared, fired = _differences(evaluations, rules_folder, name, 2)
    assert differences == []
    assert compared == 2_000
    pack, _ = _read(rules_folder, name)
    assert [pack.rules[i].id for i in range(len(pack.rules)) if i not in fired] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", PACKS)
def test_evaluations_of_a_shipped_pack_agree_on_100_000_facts(
    evaluations: ModuleType, rules_folder: Path, name: str
) -> None:
    differences, compared, _ = _differences(evaluations, rules_folder, name, 100)
    assert differences == []
    assert compared == 100_000
