"""The fitted gift model finds the planted tastes, and beats popularity on real listeners."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.domain.clock import DAY
from engine.domain.errors import NotEnoughData
from engine.domain.ports import GiftContext, ItemSignal
from models.gift_ranking import GiftModel
from training.fit_gifts import fit_gifts, fit_retrieval
from training.frames.gifts import GiftLog
from training.log import ExportedLog

T = 20_000 * DAY
CIRCLES = 4
Row = dict[str, object]
LogWriter = Callable[..., ExportedLog]


def _item(name: str, category: str, price_fen: int = 1_000) -> Row:
    return {
        "item": name,
        "name": name,
        "price_fen": price_fen,
        "tier": "basic",
        "category": category,
        "kind": "voucher",
        "mechanics": "direct",
        "relations": "friend",
        "scenes": "chat",
        "recorded_at": 0,
    }


def _circle_log(
    write_log: LogWriter, gifts: int, events: int = 4_000, people: int = 200
) -> ExportedLog:
    """Four circles of taste with thirty items each; birthdays are for the items 0 to 4 of one."""
    rng = np.random.default_rng(5)
    items = [
        _item(f"c{c}-{n:02d}", "cake" if n < 5 else f"style{c}", 500 + 70 * n)
        for c in range(CIRCLES)
        for n in range(30)
    ]
    chosen: list[Row] = []
    given: list[Row] = []
    for n in range(events):
        person = int(rng.integers(people))
        item = f"c{person % CIRCLES}-{rng.integers(5, 30):02d}"
        at = T + int(rng.integers(100 * DAY))
        chosen.append(
            {"event": f"e{n}", "person": f"p{person}", "item": item, "kind": "liked"}
            | {"weight": 1.0, "occurred_at": at, "recorded_at": at}
        )
    for _ in range(gifts):
        to, birthday = int(rng.integers(people)), bool(rng.random() < 0.3)
        number = rng.integers(0, 5) if birthday else rng.integers(5, 30)
        given.append(
            {"sender": f"p{rng.integers(people)}", "recipient": f"p{to}"}
            | {"item": f"c{to % CIRCLES}-{number:02d}", "occasion": "none"}
            | {"occurred_at": T + int(rng.integers(100 * DAY))}
            | ({"occasion": "birthday"} if birthday else {})
        )
    return write_log(items=items, item_events=chosen, gifts=given)


def _model(log: ExportedLog, seed: int = 1) -> tuple[GiftModel, dict[str, float]]:
    fitted = fit_gifts(log, seed)
    assert isinstance(fitted.model, GiftModel)
    return fitted.model, fitted.metrics


def _best(log: ExportedLog, model: GiftModel, context: GiftContext) -> list[str]:
    items = GiftLog(log, 0).items
    found = model.candidates(context, 100)
    return [g.item for g in model.rank(context, found, [items[c.item] for c in found])]


def test_fit_on_circles_of_taste_finds_them_and_the_occasion(
    write_log: LogWriter, tmp_path: Path
) -> None:
    log = _circle_log(write_log, gifts=3_000)
    model, metrics = _model(log)
    # Twenty-five items of the recipient's circle are equally likely: 0.4 at best, 0.1 unaware.
    assert metrics["recall@10"] > 2 * metrics["popularity_recall@10"]
    assert metrics["recall@10"] > 0.35
    history = tuple(ItemSignal(f"c2-{n:02d}", "liked", T) for n in (7, 12, 20))
    context = GiftContext("x", "y", "birthday", None, T + 101 * DAY, history)
    birthday = _best(log, model, context)[:5]
    assert sum(item.startswith("c2-0") and item < "c2-05" for item in birthday) >= 3
    plain = _best(log, model, GiftContext("x", "y", "none", None, T + 101 * DAY, history))[:10]
    assert sum(item.startswith("c2") and item >= "c2-05" for item in plain) >= 8
    model.save(tmp_path / "model")
    assert _best(log, GiftModel.load(tmp_path / "model", "1"), context)[:5] == birthday


def test_fit_with_the_same_seed_is_the_same(write_log: LogWriter) -> None:
    log = _circle_log(write_log, gifts=0, events=800, people=40)
    (one, first), (other, second) = _model(log), _model(log)
    assert first == second
    assert one.booster.model_to_string() == other.booster.model_to_string()


def test_fit_without_gifts_and_prices_learns_from_what_people_like(write_log: LogWriter) -> None:
    _, metrics = _model(_circle_log(write_log, gifts=0, events=2_400, people=120))
    assert metrics["recall@10"] > 2 * metrics["popularity_recall@10"]


def test_fit_judged_on_a_window_ignores_who_chose_in_it(write_log: LogWriter) -> None:
    log = _circle_log(write_log, gifts=0)
    gifts = GiftLog(log, 0)
    [cut] = gifts.cuts((0.8,))
    before = fit_retrieval(gifts, cut, False)
    events = log.table("item_events").to_pyarrow().to_pylist()
    kept = [row for row in events if row["occurred_at"] < cut]
    items = log.table("items").to_pyarrow().to_pylist()
    cut_log = GiftLog(write_log("cut", items=items, item_events=kept), 0)
    alone = fit_retrieval(cut_log, None, False)
    assert 3_000 < len(kept) < 3_300
    np.testing.assert_allclose(before.popularity.recent, alone.popularity.recent)
    np.testing.assert_allclose(
        before.similarity.matrix.toarray(), alone.similarity.matrix.toarray()
    )


def test_fit_with_a_handful_of_choices_is_refused(write_log: LogWriter) -> None:
    events = [
        {"event": f"e{n}", "person": f"p{n % 3}", "item": "tea", "kind": "liked", "weight": 1.0}
        | {"occurred_at": T + n, "recorded_at": T + n}
        for n in range(40)
    ]
    with pytest.raises(NotEnoughData):
        fit_gifts(write_log(items=[_item("tea", "tea")], item_events=events), 1)


class Listeners:
    """Last.fm listeners, 80 % of each one's artists to learn from and 10 % to judge by."""

    def __init__(self, folder: Path, write_log: LogWriter, seed: int) -> None:
        rng = np.random.default_rng(seed)
        chosen: dict[str, list[str]] = defaultdict(list)
        for user, artist in _rows(folder / "lastfm.inter"):
            chosen[user].append(artist)
        self.friends: dict[str, list[str]] = defaultdict(list)
        for user, friend in _rows(folder / "lastfm.net"):
            self.friends[user].append(friend)
        self.history: dict[str, list[ItemSignal]] = {}
        self.wanted: dict[str, frozenset[str]] = {}
        for user, artists in chosen.items():
            rng.shuffle(artists)
            taught, judged = int(len(artists) * 0.8), int(len(artists) * 0.9)
            self.history[user] = [ItemSignal(artist, "liked", 0) for artist in artists[:taught]]
            self.wanted[user] = frozenset(artists[judged:])
        known = [(user, s.item) for user, some in self.history.items() for s in some]
        self.log = write_log(
            items=[
                _item(a, "music") for a in sorted({a for some in chosen.values() for a in some})
            ],
            friendships=[
                {"person": user, "friend": friend, "since": 0, "recorded_at": 0}
                for user, friends in self.friends.items()
                for friend in friends
            ],
            item_events=[
                {"event": f"e{n}", "person": user, "item": artist, "kind": "liked"}
                | {"weight": 1.0, "occurred_at": 0, "recorded_at": 0}
                for n, (user, artist) in enumerate(known)
            ],
        )

    def context(self, user: str) -> GiftContext:
        circle = [s for friend in self.friends[user] for s in self.history.get(friend, [])]
        spread = np.random.default_rng(0).permutation(len(circle))[:500]
        return GiftContext(
            "",
            user,
            "none",
            None,
            1,
            tuple(self.history[user]),
            recipient_friends_history=tuple(circle[n] for n in spread),
        )

    def recall(self, suggest: Callable[[GiftContext], list[str]]) -> float:
        """Return the mean recall@10 over all listeners with something to find."""
        found = []
        for user, wanted in self.wanted.items():
            if wanted:
                top = suggest(self.context(user))[:10]
                found.append(len(wanted.intersection(top)) / len(wanted))
        return float(np.mean(found))


def _rows(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row[0], row[1]) for row in list(csv.reader(file, delimiter="\t"))[1:]]


def test_similarity_on_real_listeners_beats_popularity(
    lishang_data: Path, write_log: LogWriter
) -> None:
    listeners = Listeners(lishang_data / "lastfm", write_log, seed=0)
    retrieval = fit_retrieval(GiftLog(listeners.log, 0), None, False)
    names = retrieval.catalogue.items

    def best(scores: np.ndarray, context: GiftContext) -> list[str]:
        owned = {signal.item for signal in context.recipient_history}
        order = np.argsort(-scores, kind="stable")[: len(owned) + 10]
        return [names[place] for place in order if names[place] not in owned]

    popular = listeners.recall(lambda context: best(retrieval.popularity.recent, context))
    similar = listeners.recall(lambda context: best(retrieval.evidence(context).similar, context))
    assert 0.06 < popular < 0.08
    assert similar > 0.165


@pytest.mark.slow
def test_fit_on_real_listeners_is_at_the_level_of_item_knn(
    lishang_data: Path, write_log: LogWriter
) -> None:
    listeners = Listeners(lishang_data / "lastfm", write_log, seed=0)
    model, metrics = _model(listeners.log)
    items = GiftLog(listeners.log, 0).items

    def suggest(context: GiftContext) -> list[str]:
        found = model.candidates(context, 200)
        return [g.item for g in model.rank(context, found, [items[c.item] for c in found])]

    assert listeners.recall(suggest) > 0.165
    assert metrics["recall@10"] > 2 * metrics["popularity_recall@10"]
