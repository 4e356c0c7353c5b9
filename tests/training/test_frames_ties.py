"""A frame holds what was known, and nothing that came later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.domain.clock import DAY, HOUR
from engine.domain.errors import NotEnoughData, UnknownReference
from engine.domain.pair_state import DEFAULT_LAYOUT, Kind
from training.frames.ties import TieFrame, tie_frame
from training.log import ExportedLog

START = 1_700_000_000_000_000
CUTOFF = START + 20 * DAY
HORIZON = 7 * DAY
Row = dict[str, object]
LogWriter = Callable[..., ExportedLog]


def _talk(sender: str, recipient: str, day: float, **more: object) -> Row:
    at = START + int(day * DAY)
    return {"sender": sender, "recipient": recipient, "occurred_at": at, **more}


PAST = [
    _talk("b", "a", 1, weight=2.0),
    _talk("a", "b", 5, kind="call"),
    _talk("a", "b", 5, kind="call"),
    _talk("c", "a", 19.9),
    _talk("d", "d", 3),
]
FUTURE = [
    _talk("a", "b", 20, weight=4.0),  # at the cut-off: belongs to the horizon
    _talk("b", "a", 26.9),
    _talk("b", "a", 27, weight=50.0),  # at the horizon's end: does not
    _talk("e", "a", 22),  # a pair that is new
]


def _friends(one: str, other: str, day: float, **more: object) -> list[Row]:
    """Return a two-way friendship since a day, as it is told from both sides."""
    at = START + int(day * DAY)
    told = {"since": at, "until": None, "recorded_at": at, **more}
    return [{"person": one, "friend": other, **told}, {"person": other, "friend": one, **told}]


def _same(one: TieFrame, other: TieFrame) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b, names in (
            (one, other, ("first", "second", "count", "known")),
            (one.rows, other.rows, ("out", "back", "structure", "at", "amount")),
        )
        for name in names
    )


def test_frame_of_a_known_log_has_its_pairs_states_and_amounts(write_log: LogWriter) -> None:
    frame = tie_frame(write_log(interactions=PAST + FUTURE), CUTOFF, HORIZON)
    assert list(zip(frame.first, frame.second, strict=True)) == [("a", "b"), ("a", "c")]
    assert frame.count.tolist() == [3.0, 1.0]
    assert frame.rows.amount.tolist() == [5.0, 0.0]
    assert frame.rows.exchanged.tolist() == [1.0, 0.0]
    layout = DEFAULT_LAYOUT
    assert frame.rows.out[0, layout.counts][Kind.CALL] == 2.0  # equal rows are two events
    assert frame.rows.back[0, layout.volumes][Kind.MESSAGE] == 2.0
    assert not frame.rows.out[1].any()
    assert frame.rows.back[1, layout.first_at] == START + int(19.9 * DAY)


def test_frame_does_not_change_when_a_future_event_is_planted(write_log: LogWriter) -> None:
    plain = tie_frame(write_log("plain", interactions=PAST), CUTOFF, HORIZON)
    later = [
        _talk("a", "c", 40, weight=9.0),
        _talk("c", "a", 27),
        # Happened before the cut-off, but we learned of it afterwards.
        _talk("a", "c", 10, recorded_at=CUTOFF, weight=9.0),
        _talk("a", "e", 10, recorded_at=CUTOFF + HOUR),
    ]
    gifts = [
        _talk("a", "c", 10, recorded_at=CUTOFF),
        _talk("a", "c", 28, state="accepted", outcome_at=CUTOFF + 9 * DAY),
    ]
    planted = write_log("planted", interactions=PAST + later, gifts=gifts)
    assert _same(plain, tie_frame(planted, CUTOFF, HORIZON))


def test_frame_does_not_change_when_a_future_friendship_is_planted(write_log: LogWriter) -> None:
    told = [*_friends("a", "c", 3), *_friends("c", "d", 4, until=CUTOFF + DAY)]
    plain = tie_frame(write_log("plain", interactions=PAST, friendships=told), CUTOFF, HORIZON)
    later = [
        *_friends("b", "c", 20),  # at the cut-off: known from then on only
        *_friends("b", "e", 25),
        # Were friends before the cut-off, but we learned of it afterwards.
        *_friends("b", "c", 10, recorded_at=CUTOFF),
        *_friends("a", "d", 10, recorded_at=CUTOFF + HOUR),
        # Only one of the two ever called the other a friend.
        _friends("b", "d", 2)[0],
        *_friends("a", "d", 1, until=START + 2 * DAY),
    ]
    planted = write_log("planted", interactions=PAST, friendships=told + later)
    found = tie_frame(planted, CUTOFF, HORIZON)
    assert _same(plain, found)
    assert list(zip(found.first, found.second, strict=True))[found.known :] == [("c", "d")]


def test_frame_silent_friends_follow_the_known_pairs_without_a_history(
    write_log: LogWriter,
) -> None:
    told = [*_friends("a", "b", 2), *_friends("b", "c", 3), *_friends("a", "e", 4)]
    frame = tie_frame(write_log(interactions=PAST + FUTURE, friendships=told), CUTOFF, HORIZON)
    pairs = list(zip(frame.first, frame.second, strict=True))
    assert frame.known == 2
    assert pairs == [("a", "b"), ("a", "c"), ("a", "e"), ("b", "c")]
    assert frame.count.tolist() == [3.0, 1.0, 0.0, 0.0]
    assert not frame.rows.out[2:].any()
    assert not frame.rows.back[2:].any()
    # What came of them counts for a silent pair as for any other.
    assert frame.rows.amount.tolist() == [5.0, 0.0, 1.0, 0.0]
    assert len(set(frame.rows.pair.tolist())) == 4


def test_frame_structure_is_that_of_friends_and_exchanges_by_hand(write_log: LogWriter) -> None:
    told = [*_friends("b", "c", 3), *_friends("a", "b", 2)]
    frame = tie_frame(write_log(interactions=PAST + FUTURE, friendships=told), CUTOFF, HORIZON)
    by_pair = dict(
        zip(zip(frame.first, frame.second, strict=True), frame.rows.structure, strict=True)
    )
    left = {day: 0.5 ** ((20 - day) / 7) for day in (1, 5, 19.9)}
    of_a_b, of_a_c = 2 * left[1] + 2 * left[5], left[19.9]
    # a, b and c all know each other; d only ever wrote to themself.
    hand = {
        ("a", "b"): [1, 1, 0.0, of_a_c, 0.0, 1.0, START + 2 * DAY],
        ("a", "c"): [1, 1, 0.0, of_a_b, 0.0, 4.0, 0],
        ("b", "c"): [1, 1, of_a_b, of_a_c, 1.0, 4.0, START + 3 * DAY],
    }
    assert set(by_pair) == set(hand)
    for pair, (least, most, *rest) in hand.items():
        expected = [1.0, 1 / np.log(2), least, most, *rest, CUTOFF]
        np.testing.assert_allclose(by_pair[pair], expected, rtol=1e-9)


def test_frame_knows_no_outcome_that_came_after_its_instant(write_log: LogWriter) -> None:
    gift = _talk("a", "b", 19.5)
    waiting = write_log("waiting", gifts=[{**gift, "state": "sent"}])
    taken = write_log("taken", gifts=[{**gift, "state": "accepted", "outcome_at": CUTOFF + HOUR}])
    known = write_log("known", gifts=[{**gift, "state": "accepted", "outcome_at": CUTOFF - HOUR}])
    before = tie_frame(waiting, CUTOFF, HORIZON)
    assert _same(before, tie_frame(taken, CUTOFF, HORIZON))
    assert tie_frame(known, CUTOFF, HORIZON).rows.back[0, DEFAULT_LAYOUT.counts][Kind.ACCEPTED] == 1
    # Taking a gift is no exchange of its own.
    assert before.rows.amount.tolist() == [0.0]


def test_frame_labels_hold_only_what_was_recorded_by_then(write_log: LogWriter) -> None:
    log = write_log(interactions=[*PAST, _talk("a", "c", 22, recorded_at=CUTOFF + 30 * DAY)])
    assert tie_frame(log, CUTOFF, HORIZON).rows.amount.tolist() == [0.0, 1.0]
    then = tie_frame(log, CUTOFF, HORIZON, labelled_by=CUTOFF + HORIZON)
    assert then.rows.amount.tolist() == [0.0, 0.0]


def test_frame_numbers_a_pair_alike_at_every_instant(write_log: LogWriter) -> None:
    log = write_log(interactions=PAST + FUTURE)
    early, late = tie_frame(log, START + 6 * DAY, HORIZON), tie_frame(log, CUTOFF, HORIZON)
    assert early.first.tolist() == ["a"]
    assert early.rows.pair[0] == late.rows.pair[0]


def test_frame_of_an_empty_log_is_empty(write_log: LogWriter) -> None:
    log = write_log()
    assert len(tie_frame(log, CUTOFF, HORIZON).rows) == 0
    with pytest.raises(NotEnoughData):
        log.span()


def test_log_span_covers_gifts_and_interactions(write_log: LogWriter) -> None:
    log = write_log(interactions=PAST, gifts=[_talk("a", "b", 99)])
    assert log.span() == (START + DAY, START + 99 * DAY)


def test_log_without_a_table_is_refused_by_name(write_log: LogWriter, tmp_path: Path) -> None:
    write_log("cut")
    (tmp_path / "cut" / "gifts.parquet").unlink()
    with pytest.raises(UnknownReference, match="gifts"):
        ExportedLog(tmp_path / "cut")
