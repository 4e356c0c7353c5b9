"""Reasons name what moved a tie, add up what belongs together, and are in plain words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.domain.clock import DAY
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, Kind, update
from engine.domain.structure import Structure, unknown
from models.features.pair import pair_features
from models.features.pair_view import PairView
from models.tie_reasons import MOST, TEXTS, reasons_of
from models.tie_rows import TieRows
from models.ties import TieModel

START = 1_700_000_000_000_000
AT = START + 60 * DAY
FEATURES = pair_features()
FAMILIES = [feature.family for feature in FEATURES.features]


def _state(*events: tuple[Kind, float]) -> Floats:
    state = DEFAULT_LAYOUT.empty(1)
    for kind, day in events:
        update(DEFAULT_LAYOUT, state[0], kind, 1.0, START + int(day * DAY))
    return state


def _around(**known: float) -> Floats:
    found = unknown(1)
    for name, value in known.items():
        found[0, Structure[name]] = value
    found[0, Structure.AS_OF] = AT
    return found


def _view(out: Floats, back: Floats, around: Floats | None = None, at: int = AT) -> PairView:
    return PairView.of(DEFAULT_LAYOUT, out, back, unknown(1) if around is None else around, at)


NOTHING = _state()
FEW = _state((Kind.MESSAGE, 1), (Kind.MESSAGE, 1.5), (Kind.GIFT, 49.5), (Kind.CALL, 58))
ONE = _state((Kind.GIFT, 58.5))


@pytest.mark.parametrize(
    ("family", "view", "text"),
    [
        ("volume", _view(FEW, ONE), "5 exchanges so far, 2 gifts among them"),
        ("volume", _view(ONE, NOTHING), "1 exchange so far, 1 gift among them"),
        ("volume", _view(_state((Kind.CALL, 2)), NOTHING), "1 exchange so far"),
        ("mutuality", _view(FEW, ONE), "who gave less gave 25% of what the other gave"),
        ("mutuality", _view(NOTHING, ONE), "only one of the two ever gave anything"),
        ("regularity", _view(FEW, ONE), "in touch on 3 days of the last half year"),
        ("recency", _view(FEW, ONE), "last in touch 2 days ago"),
        ("recency", _view(FEW, ONE, at=START + 59 * DAY), "in touch within the last day"),
        ("recency", _view(FEW, ONE, at=START + 9_000 * DAY), "not in touch for years"),
        ("tenure", _view(FEW, ONE), "in touch over a span of 58 days"),
        ("structure", _view(ONE, ONE, _around(COMMON=12)), "12 people known to both"),
        ("structure", _view(ONE, ONE, _around(COMMON=1)), "1 person known to both"),
        ("friendship", _view(ONE, ONE, _around()), "not friends both ways"),
        ("friendship", _view(ONE, ONE, _around(SINCE=AT - 9 * DAY)), "friends for 9 days"),
        (
            "others",
            _view(ONE, ONE, _around(OTHERS_LEAST=2, OTHERS_MOST=1_140)),
            "the one who knows more people knows 1,140 others",
        ),
        (
            "bustle",
            _view(ONE, ONE, _around(VOLUME_LEAST=2, VOLUME_MOST=1_140)),
            "the busier of the two exchanged 1,140 with others",
        ),
        (
            "attention",
            _view(FEW, ONE, _around(VOLUME_LEAST=5, VOLUME_MOST=80)),
            "50% of all that one of the two exchanges",
        ),
    ],
)
def test_reason_of_a_family_says_what_was_seen(family: str, view: PairView, text: str) -> None:
    assert TEXTS[family](view) == [text]


def test_reasons_have_words_for_every_family_of_features() -> None:
    assert set(FAMILIES) == set(TEXTS)


def test_reasons_add_up_a_family_and_tell_the_three_that_moved_most() -> None:
    shares = np.zeros((1, len(FEATURES)))
    for name, share in {
        "days": 0.4, "days_short": 0.3, "lesser_short": -0.5, "volume_lesser": 0.49, "age": -0.6,
        "common": 0.2, "active_span": 0.1,
    }.items():  # fmt: skip
        shares[0, FEATURES.column(name)] = share
    [found] = reasons_of(FEATURES, _view(FEW, ONE, _around(COMMON=3)), shares)
    assert [reason.code for reason in found] == ["regularity", "recency", "structure"]
    assert [reason.share for reason in found] == pytest.approx([0.7, -0.6, 0.2])
    assert len(found) == MOST
    # The two of mutuality cancel, and too little is not worth telling.
    shares[:] = np.where(np.abs(shares) < 0.45, 0.0, shares) / 15
    assert reasons_of(FEATURES, _view(FEW, ONE, _around()), shares) == [()]


def test_reasons_say_nothing_of_surroundings_that_are_unknown() -> None:
    around = {"structure", "friendship", "others", "bustle", "attention"}
    shares = np.array([[2.0 if family in around else 1.0 for family in FAMILIES]])
    [known] = reasons_of(FEATURES, _view(FEW, ONE, _around(COMMON=3)), shares)
    [found] = reasons_of(FEATURES, _view(FEW, ONE), shares)
    assert {reason.code for reason in known} <= around
    assert len(found) == MOST
    assert not {reason.code for reason in found} & around


def test_tie_model_reasons_are_parts_of_the_odds_that_the_strength_reads(
    tie_model: TieModel, world: Callable[..., TieRows]
) -> None:
    rows = world(60, 11)
    reasons = tie_model.explain(rows.out, rows.back, rows.structure, AT)
    assert len(reasons) == len(rows)
    for found in reasons:
        assert len(found) <= MOST
        sizes = [abs(reason.share) for reason in found]
        assert sizes == sorted(sizes, reverse=True)
    # Of those who never exchanged anything only what surrounds them can tell.
    known = rows.known(DEFAULT_LAYOUT)
    told = {
        reason.code for one, seen in zip(reasons, known, strict=True) if not seen for reason in one
    }
    assert told
    assert told <= {"structure", "friendship", "others", "bustle"}
    busiest = int(np.argmax(tie_model.predict(rows.out, rows.back, rows.structure, AT).strength))
    assert sum(reason.share for reason in reasons[busiest]) > 0.0
