"""The items a gift model knows: their ids in a fixed order, categories, kinds and prices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from engine.domain.errors import ModelError
from engine.domain.pair_state import Ints

UNKNOWN = -1
"""The position, or code, of what the model has never seen."""


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    items: tuple[str, ...]
    categories: tuple[str, ...]
    kinds: tuple[str, ...]
    price_fen: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ItemCatalogue:
    """n items, each at one position; categories and kinds as codes.

    Parameters
    ----------
    items, categories, kinds
        n texts each.
    price_fen
        n whole numbers, in fen.
    """

    items: tuple[str, ...]
    categories: tuple[str, ...]
    kinds: tuple[str, ...]
    price_fen: Ints
    category: Ints = field(init=False)
    """The code of each item's category, n."""
    kind: Ints = field(init=False)
    _position: dict[str, int] = field(init=False)
    _category_code: dict[str, int] = field(init=False)
    _kind_code: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        # A frozen dataclass fills its derived fields through object.__setattr__.
        categories = {name: code for code, name in enumerate(sorted(set(self.categories)))}
        kinds = {name: code for code, name in enumerate(sorted(set(self.kinds)))}
        position = {item: place for place, item in enumerate(self.items)}
        for name, value in (
            ("_position", position),
            ("_category_code", categories),
            ("_kind_code", kinds),
            ("category", np.array([categories[c] for c in self.categories], dtype=np.int64)),
            ("kind", np.array([kinds[k] for k in self.kinds], dtype=np.int64)),
        ):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def category_count(self) -> int:
        """How many categories there are."""
        return len(self._category_code)

    @property
    def kind_count(self) -> int:
        """How many kinds there are."""
        return len(self._kind_code)

    def positions(self, items: Iterable[str]) -> Ints:
        """Return the position of each item, `UNKNOWN` where there is none."""
        return _codes(self._position, items)

    def category_codes(self, categories: Iterable[str]) -> Ints:
        """Return the code of each category, `UNKNOWN` where there is none."""
        return _codes(self._category_code, categories)

    def kind_codes(self, kinds: Iterable[str]) -> Ints:
        """Return the code of each kind, `UNKNOWN` where there is none."""
        return _codes(self._kind_code, kinds)

    def save(self, path: Path) -> None:
        """Write the catalogue to `path` as JSON."""
        stored = _Stored(
            items=self.items,
            categories=self.categories,
            kinds=self.kinds,
            price_fen=tuple(self.price_fen.tolist()),
        )
        path.write_text(stored.model_dump_json() + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> ItemCatalogue:
        """Return the catalogue stored at `path`.

        Raises
        ------
        ModelError
            If the file is absent or unreadable.
        """
        try:
            stored = _Stored.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ModelError(f"cannot read the catalogue at {path}", "train again") from error
        return cls(
            stored.items,
            stored.categories,
            stored.kinds,
            np.array(stored.price_fen, dtype=np.int64),
        )


def _codes(known: dict[str, int], names: Iterable[str] | Sequence[str]) -> Ints:
    return np.array([known.get(name, UNKNOWN) for name in names], dtype=np.int64)
