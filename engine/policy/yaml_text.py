"""YAML text to plain values that remember their line and column; nothing surprising is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import yaml

from engine.domain.errors import PackInvalid

Path = tuple[str | int, ...]
"""The keys and indices that lead to a value."""

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]

LONGEST_FILE = 1_000_000
"""Characters."""

DEEPEST_NESTING = 20

_LONGEST_SHOWN = 40
"""Characters of a faulty value that its message repeats."""

Number = TypeVar("Number", int, float)


class Mark(Protocol):
    """A place in a text, counted from 0."""

    line: int
    column: int


class _Loader(yaml.SafeLoader):
    """The safe loader without YAML 1.1's surprises: `on` is a text, 1:30 is no number, a date
    stays as it is written. What would make composing dangerous is refused as it is met."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose what begins here, unless it is an alias or too deep."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(event.start_mark, "an alias", "write the value out again")
        self._depth += 1
        if isinstance(event, yaml.CollectionStartEvent) and self._depth > DEEPEST_NESTING:
            what = f"nested deeper than {DEEPEST_NESTING}"
            raise _Refused(event.start_mark, what, "a pack needs far less")
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Refused(Exception):
    """YAML as it may be, but not in a pack."""

    def __init__(self, mark: Mark | None, what: str, hint: str) -> None:
        super().__init__(mark, what, hint)
        self.mark, self.what, self.hint = mark, what, hint


_Loader.yaml_implicit_resolvers = {}  # of its own: SafeLoader's stay as they are
for _tag, _pattern, _first in (
    ("null", r"null|~|", ["n", "~", ""]),
    ("bool", r"true|false", list("tf")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)", list("-+0123456789")),
    ("float", r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?", list("-+0123456789")),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


@dataclass(frozen=True, slots=True)
class YamlText:
    """A YAML file as values and as text.

    `values` maps each path to its node, `keys` each path in a mapping to its key's node.
    """

    file: str
    text: str
    value: Plain
    nodes: Mapping[Path, yaml.Node]
    keys: Mapping[Path, yaml.Node]

    def where(self, path: Path, *, key: bool = False) -> str:
        """Return `file:line:column` of the value at `path` (or its key), or of the nearest
        enclosing one that is written."""
        if key and path in self.keys:
            return place(self.file, self.keys[path].start_mark)
        return place(self.file, self.nodes[self.written(path)].start_mark)

    def written(self, path: Path) -> Path:
        """Return the longest beginning of `path` that is written in the file."""
        while path not in self.nodes:
            path = path[:-1]
        return path

    def within(self, path: Path, offset: int) -> str:
        """Return `file:line:column` of the character at `offset` of the text at `path`.

        White space may be folded, so characters are counted without it.
        """
        node, value = self.nodes[path], self._text_at(path)
        start, end = node.start_mark.index, node.end_mark.index
        source = self.text[start:end]
        skipped = 0
        if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
            skipped = source.index("\n") + 1  # the header, such as >-
        elif isinstance(node, yaml.ScalarNode) and node.style in ("'", '"'):
            skipped = 1
        body = source[skipped:]
        wanted = len("".join(value[:offset].split()))
        if "\\" in body or "''" in body:
            return self.where(path)
        solid = [index for index, char in enumerate(body) if not char.isspace()]
        if not solid:
            return self.where(path)
        found = solid[wanted] if wanted < len(solid) else solid[-1] + 1
        before = self.text[: start + skipped + found]
        line = before.count("\n")
        return f"{self.file}:{line + 1}:{len(before) - (before.rfind(chr(10)) + 1) + 1}"

    def _text_at(self, path: Path) -> str:
        node = self.nodes[path]
        return node.value if isinstance(node, yaml.ScalarNode) else ""


def place(file: str, mark: Mark | None) -> str:
    """Return a mark as `file:line:column`, counted from 1."""
    return f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else f"{file}:1:1"


def read_yaml(text: str, file: str) -> YamlText:
    """Read one YAML document.

    Raises
    ------
    PackInvalid
        If it is malformed, too long or too deep, has a doubled key, an alias or a tag, or is
        more than one document. The message begins with file, line and column.
    """
    if len(text) > LONGEST_FILE:
        raise PackInvalid(f"{file}:1:1: {len(text)} characters", f"at most {LONGEST_FILE}")
    try:
        root = yaml.compose(text, Loader=_Loader)
    except _Refused as error:
        raise PackInvalid(f"{place(file, error.mark)}: {error.what}", error.hint) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise PackInvalid(f"{place(file, mark)}: {error.problem}", "correct the YAML") from error
    except yaml.YAMLError as error:
        raise PackInvalid(f"{file}:1:1: {error}", "save it as UTF-8 YAML") from error
    except (ValueError, OverflowError) as error:  # such as "\\UFFFFFFFF"
        raise PackInvalid(f"{file}:1:1: {error}", "correct the YAML") from error
    if root is None:
        raise PackInvalid(f"{file}:1:1: the file is empty", "write a pack into it")
    nodes: dict[Path, yaml.Node] = {}
    keys: dict[Path, yaml.Node] = {}
    return YamlText(file, text, _plain(root, (), file, nodes, keys), nodes, keys)


def _plain(
    node: yaml.Node,
    path: Path,
    file: str,
    nodes: dict[Path, yaml.Node],
    keys: dict[Path, yaml.Node],
) -> Plain:
    nodes[path] = node
    if isinstance(node, yaml.SequenceNode):
        return [
            _plain(item, (*path, index), file, nodes, keys) for index, item in enumerate(node.value)
        ]
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Plain] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise PackInvalid(
                    f"{place(file, key.start_mark)}: a key that is no text", "quote the key"
                )
            _text(key, file)
            if key.value in mapping:
                raise PackInvalid(
                    f"{place(file, key.start_mark)}: the key {key.value!r} stands twice",
                    "keep one of the two",
                )
            keys[*path, key.value] = key
            mapping[key.value] = _plain(value, (*path, key.value), file, nodes, keys)
        return mapping
    return _scalar(node, file)


def _scalar(node: yaml.Node, file: str) -> Plain:
    match node.tag.removeprefix("tag:yaml.org,2002:"):
        case "null":
            return None
        case "bool":
            return bool(node.value == "true")
        case "int":
            return _number(node, file, int)
        case "float":
            return _number(node, file, float)
        case "str":
            return _text(node, file)
    raise PackInvalid(f"{place(file, node.start_mark)}: the tag {node.tag}", "use plain values")


def _text(node: yaml.Node, file: str) -> str:
    text = str(node.value)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, by an escape
        where = place(file, node.start_mark)
        shown = ascii(text[:_LONGEST_SHOWN])
        raise PackInvalid(f"{where}: {shown} is no text", "write the character itself") from None
    return text


def _number(node: yaml.Node, file: str, read: Callable[[str], Number]) -> Number:
    try:
        return read(node.value)
    except ValueError as error:
        shown = node.value[:_LONGEST_SHOWN] + "…" * (len(node.value) > _LONGEST_SHOWN)
        raise PackInvalid(
            f"{place(file, node.start_mark)}: {shown!r} is no number", "write digits, or a text"
        ) from error
