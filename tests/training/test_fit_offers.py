"""The fitted response model recovers a planted response, calibrated, and explains it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.domain.clock import DAY
from engine.domain.errors import ManifestMismatch, NotEnoughData
from engine.domain.ports import ItemSignal, OfferContext, OfferScorer, OfferView
from models.features.offer import OFFER_FEATURES
from models.manifest import features_hash, read_manifest, write_manifest
from models.offers import OfferModel
from training.fit_offers import fit_offers
from training.fitted import Fitted
from training.log import ExportedLog

T = 20_000 * DAY
CATEGORIES = ("tea", "cake", "toys", "books")
Row = dict[str, object]
LogWriter = Callable[..., ExportedLog]


def _log(
    write_log: LogWriter, people: int = 400, affinity: float = 0.35, unseen: float = 0.03
) -> ExportedLog:
    """Everyone likes one category; an offer of it is redeemed by `affinity` + 5 % of those shown
    it, another by 5 %; of those it is withheld from, a share `unseen` redeems it anyway."""
    rng = np.random.default_rng(9)
    items: list[Row] = [
        {"item": f"i{n}", "name": "", "price_fen": 1_000, "tier": "basic", "kind": "voucher"}
        | {"category": CATEGORIES[n % 4], "mechanics": "direct", "relations": "friend"}
        | {"scenes": "chat", "brand": f"b{n % 8}", "recorded_at": 0}
        for n in range(40)
    ]
    events: list[Row] = []
    for n in range(people * 6):
        who = n % people
        item = int(rng.integers(10)) * 4 + (who % 4 if rng.random() < 0.9 else rng.integers(4))
        at = T + int(rng.integers(20 * DAY))
        events.append(
            {"event": f"e{n}", "person": f"p{who}", "item": f"i{item}", "kind": "bought"}
            | {"weight": 1.0, "occurred_at": at, "recorded_at": at}
        )
    offers: list[Row] = []
    responses: list[Row] = []

    def respond(who: int, offer: str, kind: str, at: int) -> None:
        row = {"event": f"r{len(responses)}", "offer": offer, "person": f"p{who}", "kind": kind}
        responses.append(row | {"occurred_at": at, "recorded_at": at})

    for n in range(24):
        starts = T + (20 + 3 * n) * DAY
        offers.append(
            {"offer": f"o{n}", "brand": f"b{n % 8}", "category": CATEGORIES[n % 4]}
            | {"item": f"i{n}", "value_fen": 200, "price_fen": 800, "starts_at": starts}
            | {"ends_at": starts + 7 * DAY, "recorded_at": 0}
        )
        for who in rng.choice(people, people // 2, replace=False):
            shown = rng.random() < 0.8
            at = starts + int(rng.integers(DAY))
            respond(who, f"o{n}", "shown" if shown else "held_out", at)
            chance = 0.05 + affinity * (who % 4 == n % 4) if shown else unseen
            if rng.random() < chance:
                respond(who, f"o{n}", "redeemed", at + 2 * DAY)
    return write_log(items=items, item_events=events, offers=offers, offer_events=responses)


def _context(category: str, offer_category: str, **changes: object) -> OfferContext:
    view = OfferView("new", "b9", offer_category, 200, 800, T + 99 * DAY, T + 106 * DAY, 1_000)
    history = tuple(ItemSignal(f"i{n}", "bought", T + (18 - n) * DAY) for n in range(6))
    plain = OfferContext("p", view, T + 100 * DAY, history, (category,) * 6, shown=6)
    return replace(plain, **changes)  # type: ignore[arg-type]


def _model(fitted: Fitted) -> OfferModel:
    assert isinstance(fitted.model, OfferModel)
    return fitted.model


@pytest.fixture
def fitted(write_log: LogWriter) -> Fitted:
    return fit_offers(_log(write_log), seed=3)


def test_fit_recovers_the_planted_response(fitted: Fitted) -> None:
    metrics = fitted.metrics
    # A perfect judge reaches 0.79: 40 % of a quarter against 5 % of the rest.
    assert metrics["auc"] > 0.72
    assert metrics["log_loss"] < 0.92 * metrics["base_log_loss"]
    assert metrics["calibration_error"] < 0.05
    assert 0.10 < metrics["base_rate"] < 0.18
    assert 0.015 < metrics["held_out_rate"] < 0.045
    assert 0.07 < metrics["response_lift"] < 0.14
    scorer: OfferScorer = _model(fitted)
    fan, other = scorer.score([_context("tea", "tea"), _context("cake", "tea")])
    assert 0.25 < fan.p_redeem < 0.55
    assert other.p_redeem < 0.12
    assert fan.reasons[0] == "LIKES_CATEGORY"
    assert other.reasons == ("GENERAL_INTEREST",)


def test_withheld_offers_teach_nothing(write_log: LogWriter) -> None:
    # If they did, a fifth of all examples would say yes.
    fitted = fit_offers(_log(write_log, unseen=1.0), seed=3)
    [other] = _model(fitted).score([_context("cake", "tea")])
    assert other.p_redeem < 0.15
    assert fitted.metrics["held_out_rate"] == 1.0
    assert fitted.metrics["response_lift"] < -0.8


def test_score_does_not_depend_on_what_the_brand_pays(fitted: Fitted) -> None:
    plain = _context("tea", "tea")
    dear = replace(plain, offer=replace(plain.offer, value_fen=999_999))
    one, other = _model(fitted).score([plain, dear])
    assert one == other


def test_reasons_of_one_friends_redemption_do_not_name_friends(fitted: Fitted) -> None:
    contexts = [_context("tea", "tea", friends_redeemed=n) for n in (0, 1)]
    for score in _model(fitted).score(contexts):
        assert "FRIENDS_REDEEMED" not in score.reasons


def test_score_of_nobody_is_empty(fitted: Fitted) -> None:
    assert _model(fitted).score([]) == []


def test_score_without_any_history_is_near_the_base_rate(fitted: Fitted) -> None:
    empty = replace(_context("tea", "tea"), history=(), history_categories=(), shown=0)
    [score] = _model(fitted).score([empty])
    assert 0.0 < score.p_redeem < 0.35
    assert score.reasons == ("GENERAL_INTEREST",)


def test_model_saved_and_loaded_scores_the_same(fitted: Fitted, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    fitted.model.save(folder)
    loaded = OfferModel.load(folder, "4")
    contexts = [_context("tea", "tea"), _context("cake", "tea", clicked=3, redeemed=2)]
    assert loaded.score(contexts) == _model(fitted).score(contexts)
    assert (loaded.ref.name, loaded.ref.version) == ("offers", "4")
    names = (*OFFER_FEATURES[:-1], "value")
    manifest = read_manifest(folder, "offers", OFFER_FEATURES)
    changed = {"features": names, "features_hash": features_hash("offers", names)}
    write_manifest(folder, manifest.model_copy(update=changed))
    with pytest.raises(ManifestMismatch, match="value"):
        OfferModel.load(folder, "4")


def test_fit_of_too_few_showings_is_refused(write_log: LogWriter) -> None:
    with pytest.raises(NotEnoughData):
        fit_offers(_log(write_log, people=10), seed=0)
    with pytest.raises(NotEnoughData):
        fit_offers(write_log("none"), seed=0)
