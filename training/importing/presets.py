"""Public research data read as import files: the Copenhagen Networks Study and HetRec Last.fm."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from engine.domain.errors import InvalidInput
from engine.domain.gifts import Tier
from engine.domain.people import ASSUMABLE
from training.importing.fields import FILE_KINDS
from training.importing.reading import Batch, Source
from training.importing.values import NumericTimes

RESEARCH_CONSENTS = tuple(purpose.value for purpose in ASSUMABLE)
"""What the people of these data are taken to have agreed to: they took part in research, or the
data were published for it, and no service reaches them."""

MISSED_CALL_WEIGHT = 0.5
"""A call nobody answered: an attempt, half a message."""

NOMINAL_PRICE_FEN = 1_000
"""Price of an artist's gift in the Last.fm data, which know no prices: ten yuan for each, so that
price says nothing."""


def copenhagen(folder: Path) -> tuple[Source, ...]:
    """Return the Copenhagen Networks Study (Sapiezynski et al., Sci Data 6:315, 2019).

    `genders.csv` names the people. `fb_friends.csv` has one row an edge: each becomes a friendship
    both ways, there from the start (a person's edges to themselves are left out). `sms.csv` and
    `calls.csv` are interactions at seconds from the start of the study; a call of m minutes
    weighs 1 + log₂(1 + m), one nobody answered `MISSED_CALL_WEIGHT`.
    """
    return (
        _source("people", folder / "genders.csv", {"person": "user"}),
        _source(
            "friendships",
            folder / "fb_friends.csv",
            {"person": "user_a", "friend": "user_b"},
            derive=_both_ways,
        ),
        _source(
            "interactions",
            folder / "sms.csv",
            {"occurred_at": "timestamp", "sender": "sender", "recipient": "recipient"},
            {"kind": "message"},
        ),
        _source(
            "interactions",
            folder / "calls.csv",
            {
                "occurred_at": "timestamp",
                "sender": "caller",
                "recipient": "callee",
                "weight": "duration",
            },
            {"kind": "call"},
            derive=_weigh_calls,
        ),
    )


def lastfm(folder: Path) -> tuple[Source, ...]:
    """Return the HetRec-2011 Last.fm data in the form of RecBole's atomic files.

    `lastfm.item` gives the artists as items, all at `NOMINAL_PRICE_FEN`; `lastfm.net` has each
    friendship both ways; `lastfm.inter` says who listens to whom: liked, at time 0, since the data
    have no times.
    """
    return (
        _source(
            "items",
            folder / "lastfm.item",
            {"item": "artist_id:token", "name": "name:token_seq"},
            {
                "price_fen": str(NOMINAL_PRICE_FEN),
                "tier": Tier.BASIC.value,
                "category": "artist",
                "kind": "artist",
            },
        ),
        _source(
            "friendships",
            folder / "lastfm.net",
            {"person": "source_id:token", "friend": "target_id:token"},
        ),
        _source(
            "item_events",
            folder / "lastfm.inter",
            {"person": "user_id:token", "item": "artist_id:token"},
            {"kind": "liked"},
        ),
    )


PRESETS: Mapping[str, Callable[[Path], tuple[Source, ...]]] = {
    "copenhagen": copenhagen,
    "lastfm": lastfm,
}
"""Every preset by its name."""


def preset_sources(name: str, folder: Path, epoch: int = 0) -> tuple[Source, ...]:
    """Return the sources of the preset `name` in `folder`.

    `epoch` is the instant (microseconds) from which the data count their times.

    Raises
    ------
    InvalidInput
        If there is no such preset or a file of it is not there.
    """
    if name not in PRESETS:
        raise InvalidInput(f"no preset is called {name!r}", f"use one of {', '.join(PRESETS)}")
    times = NumericTimes(epoch=epoch)
    sources = tuple(replace(source, times=times) for source in PRESETS[name](folder))
    for source in sources:
        if not source.path.is_file():
            raise InvalidInput(
                f"the preset {name} needs {source.path}", "name the folder that holds the data"
            )
    return sources


def _source(
    kind: str,
    path: Path,
    columns: Mapping[str, str],
    constants: Mapping[str, str] | None = None,
    derive: Callable[[Batch], Batch] | None = None,
) -> Source:
    mapping = {field: (column, True) for field, column in columns.items()}
    return Source(FILE_KINDS[kind], path, mapping, constants=constants or {}, derive=derive)


def _both_ways(batch: Batch) -> Batch:
    one, other = batch.cells["person"], batch.cells["friend"]
    apart = pc.fill_null(pc.not_equal(one, other), True)
    one, other = one.filter(apart), other.filter(apart)
    lines = batch.lines[apart.to_numpy(zero_copy_only=False)].repeat(2)
    order = pa.array(_interleaved(len(one)))
    cells = {
        "person": pa.concat_arrays([one, other]).take(order),
        "friend": pa.concat_arrays([other, one]).take(order),
    }
    return Batch(lines, cells, batch.misfits, batch.share)


def _interleaved(rows: int) -> list[int]:
    """Return the order that puts row n of a second half after row n of the first."""
    return [row + half for row in range(rows) for half in (0, rows)]


def _weigh_calls(batch: Batch) -> Batch:
    """Turn durations into weights; what is no duration stays for the check to find."""
    encoded = pc.dictionary_encode(batch.cells["weight"])
    weights = pa.array([_call_weight(text) for text in encoded.dictionary.to_pylist()], pa.string())
    cells = {**batch.cells, "weight": weights.take(encoded.indices)}
    return Batch(batch.lines, cells, batch.misfits, batch.share)


def _call_weight(duration: str) -> str:
    if duration == "-1":
        return str(MISSED_CALL_WEIGHT)
    if not duration.isdecimal():
        return duration
    return repr(1 + math.log2(1 + int(duration) / 60))
