"""Gift ideas: where they come from, how they are ordered, and what never moves them."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.clock import DAY
from engine.domain.errors import ManifestMismatch
from engine.domain.gifts import Item, Mechanics, Tier
from engine.domain.ports import GiftContext, GiftRanker, ItemSignal
from models.features.gift import GIFT_FEATURES, gift_features
from models.gift_ranking import NAME, GiftModel, fit_ranker
from models.gift_reasons import FITS_BUDGET, FRIENDS_LIKE, LIKES_SIMILAR, POPULAR, gift_reasons
from models.gift_retrieval import GiftRetrieval
from models.item_catalogue import ItemCatalogue
from models.item_popularity import ItemPopularity
from models.item_similarity import ItemSimilarity
from models.manifest import Manifest, features_hash, write_manifest

N = 300
CIRCLES = 6
CATEGORIES = ("cake", "tea", "toys")
ITEMS = tuple(
    Item(
        f"i{n:03d}",
        f"Item {n}",
        500 + 40 * n,
        Tier.BASIC,
        CATEGORIES[n % 3],
        "voucher",
        Mechanics.DIRECT,
        frozenset({"friend"}),
        frozenset({"chat"}),
    )
    for n in range(N)
)


def _signals(items: list[int], kind: str = "liked") -> tuple[ItemSignal, ...]:
    return tuple(
        ItemSignal(f"i{item:03d}", kind, (900 - place) * DAY) for place, item in enumerate(items)
    )


def _retrieval(repeats: bool = False) -> GiftRetrieval:
    """Six circles of fifty items; low numbers within a circle are the popular ones."""
    rng = np.random.default_rng(0)
    taste = np.zeros((240, N))
    for person in range(240):
        circle = person % CIRCLES
        liked = rng.choice(50, 12, replace=False, p=_popular_first())
        taste[person, liked * CIRCLES + circle] = 1.0
    person, item = np.nonzero(taste)
    catalogue = ItemCatalogue(
        tuple(i.item for i in ITEMS),
        tuple(i.category for i in ITEMS),
        tuple(i.kind for i in ITEMS),
        np.array([i.price_fen for i in ITEMS], dtype=np.int64),
    )
    none = np.zeros(0, dtype=np.int64)
    popularity = ItemPopularity.fit(
        catalogue,
        item=item.astype(np.int64),
        weight=np.ones(len(item)),
        at=np.zeros(len(item), dtype=np.int64),
        gift_item=none,
        gift_at=none,
        gift_occasion=none,
    )
    return GiftRetrieval(catalogue, ItemSimilarity.fit(sp.csr_array(taste)), popularity, repeats)


def _popular_first() -> np.ndarray:
    weight = 1.0 / np.arange(2, 52)
    return weight / weight.sum()


def _context(**changes: object) -> GiftContext:
    plain = GiftContext("s", "r", "none", None, 1_000 * DAY)
    return replace(plain, **changes)  # type: ignore[arg-type]


def _lessons(retrieval: GiftRetrieval) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return queries whose answer is an item of the recipient's circle, preferably a dear one."""
    rng = np.random.default_rng(1)
    features, chosen, group = [], [], []
    for _ in range(300):
        circle = int(rng.integers(CIRCLES))
        own = rng.choice(50, 10, replace=False) * CIRCLES + circle
        context = _context(
            recipient_history=_signals(own[:9].tolist()),
            recipient_friends_history=_signals(rng.choice(N, 20).tolist()),
            sender_history=_signals([int(rng.integers(N))], "gave"),
        )
        # Dear items are chosen on purpose: the ranker must not learn to push them.
        answer = max(int(own[9]), int(rng.integers(40, 50)) * CIRCLES + circle)
        rows = np.unique(np.append(rng.choice(N, 40, replace=False), answer))
        items = [ITEMS[row] for row in rows]
        features.append(gift_features(retrieval, retrieval.evidence(context), items))
        chosen.append((rows == answer).astype(float))
        group.append(len(rows))
    return np.vstack(features), np.concatenate(chosen), np.array(group)


def _manifest(names: tuple[str, ...] = GIFT_FEATURES) -> Manifest:
    return Manifest(
        model=NAME,
        features=names,
        features_hash=features_hash(NAME, names),
        fitted_at=1,
        cutoff=1,
        horizon_us=0,
        seed=0,
        params={},
        metrics={},
        libraries={},
    )


@pytest.fixture(scope="module")
def model() -> GiftModel:
    retrieval = _retrieval()
    return GiftModel(retrieval, fit_ranker(*_lessons(retrieval), seed=0), _manifest(), "7")


def _rank(model: GiftModel, context: GiftContext, limit: int = 200) -> list[tuple[str, str]]:
    found = model.candidates(context, limit)
    position = model.retrieval.catalogue.positions(c.item for c in found)
    ranked = model.rank(context, found, [ITEMS[place] for place in position])
    return [(gift.item, gift.reason) for gift in ranked]


def test_gift_model_satisfies_the_port(model: GiftModel) -> None:
    ranker: GiftRanker = model
    assert (ranker.ref.name, ranker.ref.version) == ("gifts", "7")


@given(
    history=st.lists(st.integers(0, N - 1), max_size=30),
    friends=st.lists(st.integers(0, N - 1), max_size=30),
    limit=st.integers(1, 250),
)
@settings(max_examples=30)
def test_candidates_are_distinct_within_the_limit_and_not_owned(
    model: GiftModel, history: list[int], friends: list[int], limit: int
) -> None:
    context = _context(
        recipient_history=_signals(history), recipient_friends_history=_signals(friends)
    )
    found = [candidate.item for candidate in model.candidates(context, limit)]
    assert len(found) == len(set(found)) == min(limit, N - len(set(history)))
    assert not {f"i{item:03d}" for item in history} & set(found)


def test_candidates_without_any_history_are_the_popular_ones(model: GiftModel) -> None:
    found = model.candidates(_context(), 20)
    assert {candidate.source for candidate in found} == {"popular"}
    best = np.argsort(-model.retrieval.popularity.recent, kind="stable")[:20]
    assert [candidate.item for candidate in found] == [ITEMS[place].item for place in best]
    assert all(a.score > b.score for a, b in pairwise(found))


def test_candidates_with_a_wish_put_it_among_the_first(model: GiftModel) -> None:
    context = _context(recipient_history=_signals([299], "wished") + _signals([0, 6]))
    assert "i299" in [candidate.item for candidate in model.candidates(context, 3)]


def test_candidates_where_people_repeat_include_what_is_owned() -> None:
    context = _context(recipient_history=_signals([0, 6]))
    found = {
        candidate.item
        for candidate in _retrieval(repeats=True).candidates(_retrieval().evidence(context), 50)
    }
    assert {"i000", "i006"} <= found


def test_rank_with_a_history_suggests_the_recipients_circle(model: GiftModel) -> None:
    for circle in range(CIRCLES):
        own = [circle + CIRCLES * n for n in (0, 3, 5, 8)]
        ranked = _rank(model, _context(recipient_history=_signals(own)))
        circles = [int(item[1:]) % CIRCLES for item, _ in ranked[:10]]
        assert circles.count(circle) >= 8
        assert LIKES_SIMILAR in {reason for _, reason in ranked[:10]}


@given(
    history=st.lists(st.integers(0, N - 1), max_size=15),
    gave=st.lists(st.integers(0, N - 1), max_size=5),
    row=st.integers(0, 49),
    factor=st.floats(1.0, 50.0),
)
@settings(max_examples=60)
def test_rank_of_an_item_made_dearer_never_rises(
    model: GiftModel, history: list[int], gave: list[int], row: int, factor: float
) -> None:
    context = _context(recipient_history=_signals(history), sender_history=_signals(gave, "gave"))
    found = model.candidates(context, 50)
    items = [ITEMS[int(candidate.item[1:])] for candidate in found]
    dearer = list(items)
    dearer[row] = replace(items[row], price_fen=round(items[row].price_fen * factor))
    before = {gift.item: gift.score for gift in model.rank(context, found, items)}
    after = {gift.item: gift.score for gift in model.rank(context, found, dearer)}
    name = items[row].item
    assert after[name] <= before[name]
    assert {k: v for k, v in after.items() if k != name} == {
        k: v for k, v in before.items() if k != name
    }


def test_rank_within_a_budget_puts_what_is_above_it_last(model: GiftModel) -> None:
    context = _context(recipient_history=_signals([0, 6]), budget_fen=3_000)
    ranked = [item for item, _ in _rank(model, context)]
    within = [ITEMS[int(item[1:])].price_fen <= 3_000 for item in ranked]
    assert any(within)
    assert not all(within)
    assert within == sorted(within, reverse=True)


def test_reasons_without_history_name_no_person(model: GiftModel) -> None:
    assert {reason for _, reason in _rank(model, _context())} == {POPULAR}
    fitting = {reason for _, reason in _rank(model, _context(budget_fen=50_000))}
    assert fitting <= {POPULAR, FITS_BUDGET}


def test_reason_of_one_friends_single_like_is_not_friends_like(model: GiftModel) -> None:
    ranked = _rank(model, _context(recipient_friends_history=_signals([7])))
    assert FRIENDS_LIKE not in {reason for _, reason in ranked}


def test_reason_with_features_worth_most_is_given() -> None:
    # The score is the friends' part alone, so their reason must win wherever it is evident.
    column = GIFT_FEATURES.index("friends_chose")
    features = np.zeros((3, len(GIFT_FEATURES)))
    features[:, GIFT_FEATURES.index("recipient_similar")] = 1.0
    features[:, column] = (0.0, 1.0, 2.0)

    def score(rows: np.ndarray) -> np.ndarray:
        similar = rows[:, GIFT_FEATURES.index("recipient_similar")]
        return np.asarray(3.0 * rows[:, column] + 0.1 * similar)

    reasons = gift_reasons(features, score(features), score, np.zeros(3, dtype=bool), False)
    assert reasons == [LIKES_SIMILAR, LIKES_SIMILAR, FRIENDS_LIKE]


def test_rank_of_an_unknown_item_still_answers(model: GiftModel) -> None:
    context = _context(recipient_history=_signals([0]))
    found = model.candidates(context, 2)
    new = replace(ITEMS[0], item="new", category="unheard of")
    ranked = model.rank(context, [found[0], replace(found[1], item="new")], [ITEMS[1], new])
    assert {gift.item for gift in ranked} == {found[0].item, "new"}


def test_rank_of_nothing_is_nothing(model: GiftModel) -> None:
    assert model.rank(_context(), [], []) == []


def test_gift_model_saved_and_loaded_answers_the_same(model: GiftModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    loaded = GiftModel.load(tmp_path, "8")
    context = _context(recipient_history=_signals([0, 12]), occasion="birthday", budget_fen=4_000)
    assert loaded.candidates(context, 50) == model.candidates(context, 50)
    assert _rank(loaded, context) == _rank(model, context)
    assert loaded.ref.version == "8"
    assert loaded.retrieval.repeats is False


def test_gift_model_of_other_features_is_refused(model: GiftModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    write_manifest(tmp_path, _manifest((*GIFT_FEATURES[:-1], "price")))
    with pytest.raises(ManifestMismatch, match="price"):
        GiftModel.load(tmp_path, "8")


def test_serving_of_two_hundred_candidates_is_quick(model: GiftModel) -> None:
    context = _context(
        recipient_history=_signals([n % N for n in range(0, 1200, 6)]),
        recipient_friends_history=_signals([n % N for n in range(500)]),
        sender_history=_signals([n % N for n in range(200)], "gave"),
    )
    spent = []
    for _ in range(15):
        begun = time.process_time()
        _rank(model, context)
        spent.append(time.process_time() - begun)
    # The aim is 10 ms on an idle machine; processor time is stretched by neighbours too.
    assert min(spent) < 0.02
