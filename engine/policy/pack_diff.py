"""What differs between two packs: effective dates, parameters and rules, as they are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import JsonValue

from engine.policy.pack_shape import PackShape, RuleShape
from engine.policy.packs import canonical_hash
from engine.policy.yaml_shape import read_shape
from engine.policy.yaml_text import read_yaml

Said: TypeAlias = JsonValue
"""A value as YAML says it."""

_HEAD = ("pack", "decides", "version", "owner", "jurisdiction")


@dataclass(frozen=True, slots=True)
class Changed:
    """Something that both sides may have, and what each says; None where a side has it not."""

    name: str
    before: Said
    after: Said

    def as_json(self) -> dict[str, Said]:
        """Return it for a machine."""
        return {"name": self.name, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class ChangedRule:
    """A rule that only one side has, or that says something else on the other."""

    rule: str
    when_before: str | None
    """Its condition; None if the rule is new."""
    when_after: str | None
    """None if the rule is gone."""
    others: tuple[Changed, ...]
    """What else a rule on both sides says differently."""

    def as_json(self) -> dict[str, Said]:
        """Return it for a machine."""
        return {
            "rule": self.rule,
            "when_before": self.when_before,
            "when_after": self.when_after,
            "others": [change.as_json() for change in self.others],
        }


@dataclass(frozen=True, slots=True)
class PackDiff:
    """What differs between two packs."""

    same: bool
    """Whether both have one hash."""
    head: tuple[Changed, ...]
    """Names, owner, effective dates."""
    params: tuple[Changed, ...]
    rules_added: tuple[ChangedRule, ...]
    rules_removed: tuple[ChangedRule, ...]
    rules_changed: tuple[ChangedRule, ...]
    reordered: bool
    """Whether rules on both sides stand in another order: reasons are told in that order."""

    def as_json(self) -> dict[str, Said]:
        """Return it for a machine."""
        return {
            "same": self.same,
            "head": [change.as_json() for change in self.head],
            "params": [change.as_json() for change in self.params],
            "rules_added": [rule.as_json() for rule in self.rules_added],
            "rules_removed": [rule.as_json() for rule in self.rules_removed],
            "rules_changed": [rule.as_json() for rule in self.rules_changed],
            "reordered": self.reordered,
        }


def diff(before: str, before_file: str, after: str, after_file: str) -> PackDiff:
    """Compare two packs; their facts need not be known to this code.

    Parameters
    ----------
    before, after
        YAML documents.
    before_file, after_file
        Their names, for messages.

    Raises
    ------
    PackInvalid
        If one is no pack; the message begins with `file:line:column`.
    """
    old = read_shape(read_yaml(before, before_file), PackShape)
    new = read_shape(read_yaml(after, after_file), PackShape)
    olds = {rule.id: rule for rule in old.rules}
    news = {rule.id: rule for rule in new.rules}
    kept = [rule for rule in olds if rule in news]
    changed = ((name, _others(olds[name], news[name])) for name in kept)
    return PackDiff(
        same=canonical_hash(old) == canonical_hash(new),
        head=_changes(_head(old), _head(new)),
        params=_changes(_params(old), _params(new)),
        rules_added=tuple(
            ChangedRule(name, None, rule.when, ())
            for name, rule in news.items()
            if name not in olds
        ),
        rules_removed=tuple(
            ChangedRule(name, rule.when, None, ())
            for name, rule in olds.items()
            if name not in news
        ),
        rules_changed=tuple(
            ChangedRule(name, olds[name].when, news[name].when, others)
            for name, others in changed
            if others or olds[name].when != news[name].when
        ),
        reordered=kept != [rule for rule in news if rule in olds],
    )


def _others(old: RuleShape, new: RuleShape) -> tuple[Changed, ...]:
    return _changes(*(rule.model_dump(mode="json", exclude={"id", "when"}) for rule in (old, new)))


def _changes(old: Mapping[str, Said], new: Mapping[str, Said]) -> tuple[Changed, ...]:
    names: Iterable[str] = dict.fromkeys((*old, *new))
    pairs = (Changed(name, old.get(name), new.get(name)) for name in names)
    return tuple(change for change in pairs if not _equal(change.before, change.after))


def _equal(one: Said, other: Said) -> bool:
    # To Python True is 1; to a pack they are two things.
    return type(one) is type(other) and one == other


def _head(pack: PackShape) -> dict[str, Said]:
    said: dict[str, Said] = {name: getattr(pack, name) for name in _HEAD}
    said["effective.from"] = pack.effective.from_
    said["effective.until"] = pack.effective.until
    return said


def _params(pack: PackShape) -> dict[str, Said]:
    said: dict[str, Said] = pack.model_dump(mode="json")["params"]
    return said
