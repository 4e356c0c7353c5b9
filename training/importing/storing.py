"""From checked rows to the ledger: defaults, event keys, the people that rows name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import starmap

import pyarrow as pa
import pyarrow.compute as pc

from engine.domain.gifts import GiftState, Origin
from engine.domain.structure import ordered
from engine.ledger.bulk import BulkWriter, Completion, Contradiction, Stored
from engine.ledger.structure import MOST_PAIRS
from training.importing.checking import Checked
from training.importing.fields import FileKind
from training.importing.options import ImportOptions
from training.importing.reading import Source
from training.importing.rejects import Reject

TRACKED_PAIRS = 5_000
"""Beyond so many touched pairs all ties are computed anew: that is one pass over the log."""

_KEY_LENGTH = 16
_COMPLETIONS = {
    "friendships": Completion(("until",), "until", None),
    # How a gift of our own ends is no file's to say: no money, stock or event would go with it.
    "gifts": Completion(("state", "outcome_at"), "state", GiftState.SENT.value, ("origin",)),
}
_STORED_AS = {"outcome": "state"}


class Store:
    """Writes the files of one import and remembers whom and which pairs they touched."""

    def __init__(self, writer: BulkWriter, options: ImportOptions) -> None:
        self._writer = writer
        self._options = options
        self._people: set[str] = set()
        self._prices: dict[str, int] | None = None
        self._pairs: set[tuple[str, str]] | None = set()
        if writer.is_empty("ties"):
            self._pairs = None
        self._touched = False
        self._befriended: set[tuple[str, str]] | None = set()
        self.consents = 0
        """Consents that the files themselves gave."""

    def open_file(self, source: Source) -> FileStore:
        """Return what takes the rows of one file."""
        return FileStore(self, self._writer, source, self._options)

    def meet(self, people: Iterable[str]) -> None:
        """Remember people that rows name."""
        self._people.update(people)

    def price_of(self, items: pa.Array) -> pa.Array:
        """Return the recorded price of each of n items; 0 where the item is not known."""
        if self._prices is None:
            self._prices = self._writer.prices()
        return pa.array([self._prices.get(item, 0) for item in items.to_pylist()], pa.int64())

    def forget_prices(self) -> None:
        """Read the prices again when they are next needed."""
        self._prices = None

    def touch(self, senders: Sequence[str], recipients: Sequence[str], both_ways: bool) -> None:
        """Remember pairs whose events changed."""
        self._touched = True
        if self._pairs is None:
            return
        self._pairs.update(zip(senders, recipients, strict=True))
        if both_ways:
            self._pairs.update(zip(recipients, senders, strict=True))
        if len(self._pairs) > TRACKED_PAIRS:
            self._pairs = None

    def befriend(self, people: Sequence[str], friends: Sequence[str]) -> None:
        """Remember pairs whose friendships changed, as long as they are few."""
        if self._befriended is None:
            return
        self._befriended.update(starmap(ordered, zip(people, friends, strict=True)))
        if len(self._befriended) > MOST_PAIRS:
            self._befriended = None

    @property
    def befriended(self) -> set[tuple[str, str]] | None:
        """The pairs whose friendships changed; None when their structure is left to the batch."""
        return self._befriended

    @property
    def touched(self) -> bool:
        """Whether any pair has new events."""
        return self._touched

    @property
    def pairs(self) -> set[tuple[str, str]] | None:
        """The pairs with new events; None when all are to be computed anew."""
        return self._pairs

    def record_people(self) -> tuple[int, int]:
        """Record the people met and their assumed consents; return how many of each were new."""
        people = sorted(self._people)
        new = self._writer.insert_new(
            "people", {"person": people, "recorded_at": [0] * len(people)}
        ).new
        consents = [(person, purpose, 0) for person in people for purpose in self._options.consents]
        return new, self.consent(consents)

    def consent(self, granted: Sequence[tuple[str, str, int]]) -> int:
        """Record consents (person, purpose, since) where that person's word is not recorded."""
        return self._writer.insert_absent(
            "consents",
            {
                "person": [person for person, _, _ in granted],
                "purpose": [purpose for _, purpose, _ in granted],
                "since": [since for _, _, since in granted],
                "granted": [True] * len(granted),
                "recorded_at": [since for _, _, since in granted],
            },
            unless=("person", "purpose"),
        )


class FileStore:
    """Takes the checked rows of one file."""

    def __init__(
        self, store: Store, writer: BulkWriter, source: Source, options: ImportOptions
    ) -> None:
        self._store, self._writer = store, writer
        self._source, self._kind = source, source.kind
        self._hash = source.fingerprint()
        # A description that was taken before is not taken again: it would undo later changes.
        self._taken = self._kind.describes is not None and not self._receive(options)

    def take(self, checked: Checked) -> tuple[Stored, list[Reject]]:
        """Write good rows; return what became of them and those that contradict the record."""
        kind = self._kind
        for name in (*kind.people, *(("person",) if kind.name == "people" else ())):
            self._store.meet(pc.unique(checked.columns[name]).to_pylist())
        if kind.describes is not None:
            return (Stored(0) if self._taken else self._describe(checked)), []
        columns = _event_columns(kind, checked, self._hash)
        if kind.name == "gifts":
            columns = self._as_gifts(columns, checked)
        rows = {_STORED_AS.get(name, name): values.to_pylist() for name, values in columns.items()}
        compared = [
            _STORED_AS.get(field.name, field.name)
            for field in kind.fields
            if field.name in checked.given and field.name != kind.key
        ]
        stored = self._writer.insert_new(
            kind.name, rows, compared, _COMPLETIONS.get(kind.name) if compared else None
        )
        if stored.new + stored.changed and kind.name in ("gifts", "interactions"):
            self._store.touch(rows["sender"], rows["recipient"], kind.name == "gifts")
        if stored.new + stored.changed and kind.name == "friendships":
            self._store.befriend(rows["person"], rows["friend"])
        return stored, [self._reject(checked, rows, found) for found in stored.contradictions]

    def _describe(self, checked: Checked) -> Stored:
        kind = self._kind
        columns = {
            name: values.to_pylist()
            for name, values in checked.columns.items()
            if name != "consents"
        }
        copied = {"name": "item"} if kind.name == "items" else {}
        if kind.recorded_from is not None:
            copied["recorded_at"] = kind.recorded_from
        defaults = {field.name: field.default for field in kind.fields}
        stored = self._writer.upsert(kind.name, columns, copied, {**defaults, "recorded_at": 0})
        if kind.name == "items":
            self._store.forget_prices()
        if "consents" in checked.given:
            said = zip(
                checked.columns["person"].to_pylist(),
                checked.columns["consents"].to_pylist(),
                pc.fill_null(checked.columns["joined_at"], 0).to_pylist(),
                strict=True,
            )
            self._store.consents += self._store.consent(
                [
                    (person, purpose, since)
                    for person, purposes, since in said
                    if purposes is not None
                    for purpose in purposes.split(",")
                ]
            )
        return stored

    def _as_gifts(self, columns: Mapping[str, pa.Array], checked: Checked) -> dict[str, pa.Array]:
        """Without the column every gift counts as accepted; an empty cell says: not yet known."""
        rows = len(checked.lines)
        unsaid = GiftState.SENT if "outcome" in checked.given else GiftState.ACCEPTED
        outcome = pc.fill_null(columns["outcome"], unsaid.value)
        ended_at = pc.coalesce(columns["outcome_at"], columns["occurred_at"])
        is_open = pc.equal(outcome, GiftState.SENT.value)
        price = columns["price_fen"]
        if price.null_count:
            price = pc.coalesce(price, self._store.price_of(columns["item"]))
        return {
            **columns,
            "outcome": outcome,
            "outcome_at": pc.if_else(is_open, pa.scalar(None, pa.int64()), ended_at),
            "price_fen": price,
            "origin": pa.repeat(pa.scalar(Origin.IMPORTED.value), rows),
        }

    def _receive(self, options: ImportOptions) -> bool:
        """Note that this file came, read as it is; return whether it is new."""
        reading = sorted((field, column) for field, (column, _) in self._source.mapping.items())
        times = self._source.times
        received = f"file:{self._kind.name}:{self._hash}:{times.unit}:{times.epoch}:{reading}"
        row: dict[str, list[str | int]] = {
            "event": [received],
            "body_hash": [self._hash],
            "recorded_at": [options.clock()],
        }
        return self._writer.insert_new("received_events", row).new == 1

    def _reject(
        self, checked: Checked, rows: Mapping[str, Sequence[object]], found: Contradiction
    ) -> Reject:
        key = self._kind.key or "friend"
        return Reject(
            self._source.path,
            int(checked.lines[found.row]),
            key,
            f"already recorded with another {', '.join(found.columns)}",
            str(rows[key][found.row]),
        )


def _event_columns(kind: FileKind, checked: Checked, file_hash: str) -> dict[str, pa.Array]:
    columns = dict(checked.columns)
    for field in kind.fields:
        if field.default is not None and columns[field.name].null_count:
            columns[field.name] = pc.fill_null(columns[field.name], field.default)
    if kind.recorded_from is not None and columns["recorded_at"].null_count:
        columns["recorded_at"] = pc.coalesce(columns["recorded_at"], columns[kind.recorded_from])
    if kind.key is not None and kind.key not in checked.given:
        prefix = f"{file_hash[:_KEY_LENGTH]}:"
        columns[kind.key] = pa.array([f"{prefix}{line}" for line in checked.lines.tolist()])
    return columns
