"""What the jobs read online is what training read offline, on a town in a real ledger."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.domain.gifts import Scene
from engine.domain.ports import ModelRef, OfferScore
from engine.gift_policy import GiftPolicy
from engine.ledger.database import Database
from engine.ledger.export import export_log
from engine.ledger.facts import read_pair_context
from engine.ledger.migration import migrate
from engine.policy.engine import PolicyEngine
from engine.recommending import Recommending, Wish
from engine.targeting import Targeting
from models.features.offer import facts_of
from models.features.pair_log import pair_events, pair_states
from training.frames.gifts import GiftLog
from training.frames.offers import offer_frame
from training.importing import ImportOptions, import_files
from training.importing.fields import FILE_KINDS
from training.log import ExportedLog
from training.simulate import write_town

FOREVER = 2**62


RULES = Path(__file__).parents[2] / "rules"


class Recorder:
    """An offer model that keeps what the targeting job asks of it."""

    ref = ModelRef("offers", "1")

    def __init__(self) -> None:
        self.contexts = []

    def score(self, contexts):
        self.contexts += contexts
        return [OfferScore(0.5) for _ in contexts]


class Ranker:
    """A gift ranker that keeps what the recommending job asks of it and suggests nothing."""

    ref = ModelRef("gifts", "1")

    def __init__(self) -> None:
        self.contexts = []

    def candidates(self, context, limit):
        self.contexts.append(context)
        return []

    def rank(self, context, candidates, items):
        return []


class Shelf:
    ties = None

    def __init__(self, gifts: Ranker | None = None, offers: Recorder | None = None) -> None:
        self.gifts = gifts
        self.offers = offers


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> tuple[Database, ExportedLog]:
    folder: Path = tmp_path_factory.mktemp("town")
    write_town(folder / "files", 400, 60, 11)
    database = Database(f"sqlite:///{folder / 'lishang.db'}")
    migrate(database)
    import_files(
        database, {kind: folder / "files" / f"{kind}.csv" for kind in FILE_KINDS}, ImportOptions()
    )
    export_log(database, folder / "log", FOREVER)
    return database, ExportedLog(folder / "log")


def test_tie_states_in_the_ledger_equal_those_from_the_exported_log(town) -> None:
    database, log = town
    found = pair_states(pair_events(log.table("gifts"), log.table("interactions"), FOREVER))
    pairs = list(zip(found.sender.tolist(), found.recipient.tolist(), strict=True))
    assert len(pairs) > 1_000
    for begin in range(0, len(pairs), 500):
        some = slice(begin, begin + 500)
        with database.reading() as unit:
            contexts = read_pair_context(unit, pairs[some], FOREVER // 2**10)
        stored = np.array([context.out for context in contexts])
        np.testing.assert_allclose(stored, found.states[some], rtol=1e-9, atol=1e-9)


def test_gift_contexts_online_equal_those_in_the_training_frame(town) -> None:
    database, log = town
    gifts = GiftLog(log, seed=3)
    since, until = gifts.cuts([0.5, 1.0])
    policy = PolicyEngine.from_folder(RULES)
    ranker = Ranker()
    shelf = Shelf(gifts=ranker)
    job = Recommending(database, GiftPolicy(policy, shelf), shelf)
    told = {"recipient_history": 0, "sender_history": 0, "recipient_friends_history": 0}
    for query in gifts.queries(since, until, 150):
        offline = query.context
        wish = Wish(offline.sender, offline.recipient, offline.occasion, None, Scene.CHAT)
        job.suggest(wish, 5, offline.at)
        online = ranker.contexts[-1]
        for name in told:
            assert getattr(online, name) == getattr(offline, name), (name, offline)
            told[name] += bool(getattr(offline, name))
    policy.close()
    assert min(told.values()) > 30, told


def test_offer_facts_online_equal_those_in_the_training_frame(town) -> None:
    database, log = town
    frame = offer_frame(log, seed=3)
    table = log.table("offer_events").select("event", "person", "offer").to_pyarrow().to_pylist()
    shown = {row["event"]: (row["person"], row["offer"]) for row in table}
    policy = PolicyEngine.from_folder(RULES)
    compared = 0
    for row in np.flatnonzero(~frame.held_out)[:: max(1, len(frame.event) // 80)]:
        person, offer = shown[frame.event[row]]
        recorder = Recorder()
        job = Targeting(database, policy, Shelf(offers=recorder))
        job.score([person], [offer], int(frame.at[row]))
        if not recorder.contexts:
            continue  # the rules would not show it again: no score is asked for
        facts = facts_of(recorder.contexts)
        for name in facts.__dataclass_fields__:
            offline, online = getattr(frame.facts, name)[row], getattr(facts, name)[0]
            assert online == pytest.approx(offline, rel=1e-9, abs=1e-9), name
        compared += 1
    policy.close()
    assert compared > 30
