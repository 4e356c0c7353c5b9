"""What differs between two packs, in lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from engine.policy.pack_diff import Changed, PackDiff, Said


def lines_of(found: PackDiff) -> list[str]:
    """Return the differences: `-` what was, `+` what is."""
    if found.same:
        return ["no difference"]
    lines = [*_changes(found.head), *_titled("params", _changes(found.params))]
    for rule in found.rules_added:
        lines += [f"rule {rule.rule}: added", f"  + when: {rule.when_after}"]
    for rule in found.rules_removed:
        lines += [f"rule {rule.rule}: removed", f"  - when: {rule.when_before}"]
    for rule in found.rules_changed:
        lines.append(f"rule {rule.rule}: changed")
        if rule.when_before != rule.when_after:
            lines += [f"  - when: {rule.when_before}", f"  + when: {rule.when_after}"]
        lines += [f"  {line}" for line in _changes(rule.others)]
    if found.reordered:
        lines.append("the rules stand in another order")
    return lines


def _titled(title: str, lines: Iterable[str]) -> list[str]:
    indented = [f"  {line}" for line in lines]
    return [title, *indented] if indented else []


def _changes(changes: Iterable[Changed]) -> Iterator[str]:
    for change in changes:
        if change.before is not None:
            yield f"- {change.name}: {_said(change.before)}"
        if change.after is not None:
            yield f"+ {change.name}: {_said(change.after)}"


def _said(value: Said) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
