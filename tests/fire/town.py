"""A town to storm: a served installation with a catalogue, its ledger read beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rulebook import HELD_FROM_FEN, HOUR_KIND, MONTH_KIND, write_rules
from served import Served
from sqlalchemy import Row, insert, text
from storm import Storm, Told

from engine.domain.clock import now
from engine.ledger import tables
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys, Scope
from engine.ledger.migration import migrate

# name: price in fen, kind, and what else the catalogue says
CATALOGUE: dict[str, tuple[int, str, dict[str, object]]] = {
    "coffee": (900, "voucher", {"brand": "bean"}),
    "tea": (900, "voucher", {"brand": "leaf"}),
    "cake": (5_000, "cake", {}),
    "pie": (5_000, "cake", {}),
    "watch": (HELD_FROM_FEN, "watch", {}),
    "rose": (900, HOUR_KIND, {}),
    "ring": (3_000, MONTH_KIND, {}),
}


class Town:
    """One server, its database and what storms it."""

    def __init__(self, home: Path, url: str, workers: int = 2, bent: bool = False) -> None:
        home.mkdir(parents=True)
        self._clock_file, self._pages_file = home / "clock", home / "pages"
        told = {"BENT_CLOCK": str(self._clock_file), "BENT_PAGES": str(self._pages_file)}
        self.served = Served(home, url, write_rules(home / "rules"), workers, told if bent else {})
        self.database = Database(url)
        self.seen: list[Told] = []
        """Everything that anybody was told here."""
        migrate(self.database)
        keys = ApiKeys(self.database)
        _, self.secret = keys.create("storm", frozenset({Scope.ADMIN}), None, now())
        for item, (price_fen, kind, more) in CATALOGUE.items():
            self.item(item, price_fen, kind, **more)

    @classmethod
    @contextmanager
    def running(cls, home: Path, url: str, workers: int = 2, bent: bool = False) -> Iterator[Town]:
        """Start a town, and end it whatever became of its server."""
        town = cls(home, url, workers, bent)
        try:
            town.served.start()
            yield town
            town.served.stop()
        finally:
            town.served.kill()
            town.database.close()

    def storm(self, patient: bool = True) -> Storm:
        return Storm(self.served.port, self.secret, patient, self.seen)

    def item(self, item: str, price_fen: int, kind: str = "cake", **more: object) -> None:
        values = {
            "item": item,
            "name": item,
            "price_fen": price_fen,
            "tier": "goods",
            "category": "drinks",
            "kind": kind,
            "mechanics": "direct",
            "relations": "friend",
            "scenes": "chat",
            "recorded_at": 0,
        }
        with self.database.writing() as unit:
            unit.execute(insert(tables.items).values(values | more))

    def rows(self, sql: str, **values: object) -> Sequence[Row[Any]]:
        with self.database.reading() as unit:
            return unit.execute(text(sql), values).all()

    def one(self, sql: str, **values: object) -> Any:
        return self.rows(sql, **values)[0][0]

    def bend_clock(self, micros: int) -> None:
        """Let the server's clock be wrong by so much from now on."""
        _put(self._clock_file, micros)

    def limit_pages(self, pages: int | None) -> None:
        """Let its SQLite file have no more than so many pages from now on; None: any number."""
        if pages is None:
            self._pages_file.unlink()
        else:
            _put(self._pages_file, pages)

    def audit(self) -> str:
        """Prove the whole ledger with the command, which fails where it finds a fault."""
        return self.served.run("ledger", "audit")


def _put(path: Path, number: int) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(str(number))
    beside.rename(path)  # no worker reads half a number
