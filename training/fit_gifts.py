"""Fits the gift model: popularity and similarity as they stood, and a ranker of what was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from engine.domain.clock import now
from engine.domain.errors import NotEnoughData
from engine.domain.pair_state import Floats, Ints
from engine.domain.ports import GiftContext
from models.boosting import predict
from models.features.gift import GIFT_FEATURES, gift_features
from models.gift_ranking import NAME, RANKER_PARAMS, ROUNDS, GiftModel, fit_ranker
from models.gift_retrieval import GiftRetrieval
from models.item_catalogue import UNKNOWN, ItemCatalogue
from models.item_popularity import ItemPopularity
from models.item_similarity import ItemSimilarity
from models.manifest import Manifest, features_hash, library_versions
from training.evaluate import ndcg_at_k, recall_at_k
from training.fitted import Fitted
from training.frames.gifts import GiftLog, GiftQuery
from training.log import ExportedLog

_TIMED_SHARES = (0.4, 0.6, 0.8, 1.0)
_UNTIMED_SHARES = (0.8, 0.9, 1.0)
"""Where the choices are cut into windows; the last window judges, the others teach."""

_QUERIES_A_WINDOW = 800
_CANDIDATES = 150
_NEGATIVES = 19
"""How many candidates that were not chosen stand beside those that were, drawn at random."""
_HEAVIEST = 4.0
_PLACES = 10
_FEWEST_QUERIES = 30
_WITHOUT_CONSENT = 0.1
"""The share of lessons without any history, in a log that knows no consent."""
_REPEATS_FROM = 0.02
"""Items someone has already stay out unless so large a share of choices repeats one."""


@dataclass(frozen=True, slots=True, eq=False)
class GiftFrame:
    """Rows of candidates, query after query."""

    features: Floats
    chosen: Floats
    group: Ints


def fit_gifts(log: ExportedLog, seed: int) -> Fitted:
    """Fit and judge the gift model.

    The choices are cut by time into windows (without usable times, each person's at random). A
    window's candidates and features come from popularity and similarity of what was known before
    it, and from histories known before each choice. The figures are those of a ranker taught on
    the earlier windows and judged on the last; the model handed on was taught on all of them, over
    popularity and similarity of the whole log.

    Raises
    ------
    NotEnoughData
        If there are too few choices to learn from or to judge by.
    """
    gifts = GiftLog(log, seed)
    cuts = gifts.cuts(_TIMED_SHARES if gifts.timed else _UNTIMED_SHARES)
    windows = [
        gifts.queries(since, until, _QUERIES_A_WINDOW) for since, until in _windows(gifts, cuts)
    ]
    if min(len(window) for window in windows) < _FEWEST_QUERIES:
        raise NotEnoughData(
            f"fewer than {_FEWEST_QUERIES} choices in a window", "import more gifts or item events"
        )
    repeats = _repeat_share(windows[0]) >= _REPEATS_FROM
    starts = [since for since, _ in _windows(gifts, cuts)]
    retrievals = [fit_retrieval(gifts, since, repeats) for since in starts]
    rng = np.random.default_rng(seed)
    frames = [
        gift_frame(
            gifts, retrieval, window if gifts.knows_consent else _forgetting(window, rng), rng
        )
        for retrieval, window in zip(retrievals, windows, strict=True)
    ]
    taught = _stack(frames[:-1])
    judged = GiftModel(
        retrievals[-1],
        fit_ranker(taught.features, taught.chosen, taught.group, seed),
        _manifest(gifts, seed, cuts[-1], {}),
    )
    metrics = judge_gifts(gifts, judged, windows[-1])
    everything = _stack(frames)
    manifest = _manifest(gifts, seed, cuts[-1], metrics)
    model = GiftModel(
        fit_retrieval(gifts, None, repeats),
        fit_ranker(everything.features, everything.chosen, everything.group, seed),
        manifest,
    )
    return Fitted(model, metrics, manifest.params, manifest.cutoff)


def fit_retrieval(gifts: GiftLog, before: int | None, repeats: bool) -> GiftRetrieval:
    """Return popularity and similarity of what was known before an instant (`None`: of all)."""
    items = gifts.items
    catalogue = ItemCatalogue(
        tuple(items),
        tuple(item.category for item in items.values()),
        tuple(item.kind for item in items.values()),
        np.array([item.price_fen for item in items.values()], dtype=np.int64),
    )
    taken = gifts.taken(before)
    place = catalogue.positions(taken.item)
    known = place != UNKNOWN
    people = int(taken.person.max(initial=-1)) + 1
    weight = np.minimum(taken.weight[known], _HEAVIEST)
    taste = sp.csr_array(
        (weight, (taken.person[known], place[known])), shape=(people, len(catalogue))
    )
    signal_item, signal_weight, signal_at = gifts.daily_signals(before)
    signal_place = catalogue.positions(signal_item)
    signal_known = signal_place != UNKNOWN
    given_item, given_at, occasion = gifts.given(before)
    given_place = catalogue.positions(given_item)
    given_known = given_place != UNKNOWN
    popularity = ItemPopularity.fit(
        catalogue,
        item=signal_place[signal_known],
        weight=signal_weight[signal_known],
        at=signal_at[signal_known],
        gift_item=given_place[given_known],
        gift_at=given_at[given_known],
        gift_occasion=occasion[given_known],
    )
    return GiftRetrieval(catalogue, ItemSimilarity.fit(taste), popularity, repeats)


def gift_frame(
    gifts: GiftLog,
    retrieval: GiftRetrieval,
    queries: Sequence[GiftQuery],
    rng: np.random.Generator,
) -> GiftFrame:
    """Return what was chosen in each query beside other candidates, drawn at random.

    A query none of whose choices was retrieved teaches nothing and is left out.
    """
    features, chosen, group = [], [], []
    for query in queries:
        evidence = retrieval.evidence(query.context)
        found = retrieval.candidates(evidence, _CANDIDATES)
        label = np.array([c.item in query.chosen for c in found], dtype=np.float64)
        if label.any():
            others = np.flatnonzero(label == 0.0)
            drawn = rng.choice(others, min(len(others), _NEGATIVES), replace=False)
            rows = np.sort(np.concatenate((np.flatnonzero(label), drawn)))
            items = [gifts.items[found[row].item] for row in rows]
            features.append(gift_features(retrieval, evidence, items))
            chosen.append(label[rows])
            group.append(len(rows))
    if not features:
        raise NotEnoughData("no choice is among the candidates", "import more of the log")
    return GiftFrame(np.vstack(features), np.concatenate(chosen), np.array(group, dtype=np.int64))


def judge_gifts(gifts: GiftLog, model: GiftModel, queries: Sequence[GiftQuery]) -> dict[str, float]:
    """Return recall@10 and ndcg@10 of the model's ranking, beside the popularity list's.

    What was chosen but not retrieved counts as missed.
    """
    ranked = [_ranked(gifts, model, query.context) for query in queries]
    popular = [_most_popular(model.retrieval, query.context) for query in queries]
    chosen = [query.chosen for query in queries]
    recall, ndcg = _judge(ranked, chosen)
    popular_recall, popular_ndcg = _judge(popular, chosen)
    return {
        "recall@10": recall,
        "ndcg@10": ndcg,
        "popularity_recall@10": popular_recall,
        "popularity_ndcg@10": popular_ndcg,
        "queries": float(len(queries)),
    }


def _ranked(gifts: GiftLog, model: GiftModel, context: GiftContext) -> list[str]:
    """Return the model's ten best items."""
    evidence = model.retrieval.evidence(context)
    found = model.retrieval.candidates(evidence, _CANDIDATES)
    items = [gifts.items[candidate.item] for candidate in found]
    scores = predict(model.booster, gift_features(model.retrieval, evidence, items))
    return [found[row].item for row in np.argsort(-scores, kind="stable")[:_PLACES]]


def _windows(gifts: GiftLog, cuts: Sequence[int]) -> list[tuple[int, int]]:
    """Return (since, until) of each window; the lessons come first, the judging one last."""
    if gifts.timed:
        return list(pairwise(cuts))
    first, second, end = cuts
    return [(first, second), (second, end)]


def _repeat_share(queries: Sequence[GiftQuery]) -> float:
    repeated = [
        not query.chosen.isdisjoint(signal.item for signal in query.context.recipient_history)
        for query in queries
    ]
    return float(np.mean(repeated))


def _forgetting(queries: Sequence[GiftQuery], rng: np.random.Generator) -> list[GiftQuery]:
    """Return the queries, some of them as they stand without the recipient's consent.

    A log that knows no consent would else never teach what to suggest without it.
    """
    return [
        replace(query, context=_without_histories(query.context))
        if rng.random() < _WITHOUT_CONSENT
        else query
        for query in queries
    ]


def _without_histories(context: GiftContext) -> GiftContext:
    return replace(context, recipient_history=(), sender_history=(), recipient_friends_history=())


def _most_popular(retrieval: GiftRetrieval, context: GiftContext) -> list[str]:
    """Return the ten most popular items, those left out that the model leaves out."""
    owned = set() if retrieval.repeats else {s.item for s in context.recipient_history}
    best = np.argsort(-retrieval.popularity.recent, kind="stable")[: len(owned) + 10]
    items = [retrieval.catalogue.items[place] for place in best]
    return [item for item in items if item not in owned][:10]


def _judge(
    ranked: Sequence[Sequence[str]], chosen: Sequence[frozenset[str]]
) -> tuple[float, float]:
    """Return recall@10 and ndcg@10 of ranked lists of items."""
    query: list[int] = []
    relevant: list[float] = []
    score: list[float] = []
    for number, (items, wanted) in enumerate(zip(ranked, chosen, strict=True)):
        top = list(items[:_PLACES])
        # What was missed stands behind the ten places, of which some may be empty.
        found = [float(item in wanted) for item in top] + [0.0] * (_PLACES - len(top))
        rows = found + [1.0] * (len(wanted) - int(sum(found)))
        query += [number] * len(rows)
        relevant += rows
        score += [-float(place) for place in range(len(rows))]
    return (
        recall_at_k(query, relevant, score, _PLACES),
        ndcg_at_k(query, relevant, score, _PLACES),
    )


def _stack(frames: Sequence[GiftFrame]) -> GiftFrame:
    return GiftFrame(
        np.vstack([frame.features for frame in frames]),
        np.concatenate([frame.chosen for frame in frames]),
        np.concatenate([frame.group for frame in frames]),
    )


def _manifest(gifts: GiftLog, seed: int, cutoff: int, metrics: dict[str, float]) -> Manifest:
    return Manifest(
        model=NAME,
        features=GIFT_FEATURES,
        features_hash=features_hash(NAME, GIFT_FEATURES),
        fitted_at=now(),
        cutoff=cutoff,
        horizon_us=0,
        seed=seed,
        params={**RANKER_PARAMS, "rounds": ROUNDS, "timed": gifts.timed},
        metrics=metrics,
        libraries=library_versions("lightgbm", "numpy", "scipy", "scikit-learn"),
    )
