"""A ledger of recorded `gift_send` decisions to measure on: complete facts, real verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from engine.domain.verdicts import DecisionRecord, FactSet, FactValue
from engine.ledger import decisions
from engine.ledger.database import Database
from engine.policy.decisions import CATALOGUES
from engine.policy.generating import generate
from engine.policy.packs import Pack
from engine.policy.ready_pack import verdict_of

BEGIN = 1_767_225_600_000_000
"""The first decision's instant in microseconds; one a second follows."""

_BATCH = 10_000

Column: TypeAlias = list[FactValue | None]
Draw: TypeAlias = np.random.Generator

_TIERS = {"basic": 0.55, "scene": 0.25, "custom": 0.1, "goods": 0.1}
_PRICES = {"basic": (100, 1_000), "scene": (800, 3_000), "custom": (5_000, 20_000)}
_KINDS = {"basic": "sticker", "scene": "voucher", "custom": "photo", "goods": "thing"}


def fill(database: Database, pack: Pack, count: int, seed: int) -> None:
    """Record `count` decisions of `pack` in one transaction."""
    fired = generate(pack).fired
    with database.writing() as unit:
        batch: list[DecisionRecord] = []
        for number, facts in enumerate(draw_facts(count, seed)):
            verdict = verdict_of(pack, fired(facts.values))
            at = BEGIN + number * 1_000_000
            batch.append(DecisionRecord(f"dec_{number:026d}", "send", at, verdict, facts, 180))
            if len(batch) == _BATCH:
                decisions.record(unit, batch)
                batch.clear()
        decisions.record(unit, batch)


def draw_facts(count: int, seed: int) -> Iterator[FactSet]:
    """Yield complete facts of `gift_send`: most gifts are small, lawful and between friends."""
    draw = np.random.default_rng(seed)
    complete = CATALOGUES["gift_send"].fact_set
    for begin in range(0, count, _BATCH):
        columns = _columns(min(_BATCH, count - begin), draw)
        for row in zip(*columns.values(), strict=True):
            yield complete(dict(zip(columns, row, strict=True)))


def _columns(size: int, draw: Draw) -> Mapping[str, Column]:
    relation = draw.choice(["friend", "creator", "company"], size, p=[0.92, 0.06, 0.02])
    tier = draw.choice(list(_TIERS), size, p=list(_TIERS.values()))
    goods = np.minimum(draw.lognormal(9, 1, size), 1_500_000).astype(int)
    price = goods.copy()
    for name, (least, most) in _PRICES.items():
        price = np.where(tier == name, draw.integers(least, most + 1, size), price)
    scene = np.select([relation == "friend", relation == "creator"], ["chat", "live_room"], "")
    sent_before = draw.geometric(0.5, size) - 1
    fen_before = sent_before * draw.integers(100, 3_000, size)

    def truth(share: float) -> Column:
        return _listed(draw.random(size) < share)

    def after(scope: str, span: str, times: int = 1) -> dict[str, Column]:
        return {
            f"{scope}.{span}_gifts_after": _listed(sent_before * times + 1),
            f"{scope}.{span}_fen_after": _listed(fen_before * times + price),
        }

    return {
        "gift.relation": _listed(relation),
        "gift.scene": _listed(np.where(scene == "", "bulk_order", scene)),
        "gift.mechanics": _listed(
            draw.choice(["direct", "blind_box", "group_draw"], size, p=[0.985, 0.01, 0.005])
        ),
        "gift.tier": _listed(tier),
        "gift.category": _listed(draw.choice(["tea", "drinks", "toys", "flowers"], size)),
        "gift.kind": [_KINDS[name] for name in tier.tolist()],
        "gift.moderation": _unless(
            tier != "custom", draw.choice(["approved", "pending"], size, p=[0.95, 0.05])
        ),
        "gift.odds_disclosed": truth(0.5),
        "gift.price_fen": _listed(price),
        "gift.relation_allowed": truth(0.995),
        "gift.scene_allowed": truth(0.995),
        "gift.on_sale": truth(0.995),
        "gift.in_stock": truth(0.99),
        "gift.to_creator": _listed(relation == "creator"),
        "gift.to_self": truth(0.001),
        "pair.two_way_friends": truth(0.98),
        "pair.blocked": truth(0.005),
        "pair.friends_days": _listed(draw.integers(0, 2_000, size)),
        "pair.fen_vs_habit_ppm": _unless(
            draw.random(size) < 0.4, (draw.lognormal(0, 0.6, size) * 1e6).astype(int)
        ),
        "pair.back_fen_24h": _listed(np.where(draw.random(size) < 0.1, price, 0)),
        "pair.unanswered_30d": _listed(draw.geometric(0.7, size) - 1),
        "pair.tie_class": _unless(
            draw.random(size) < 0.2,
            draw.choice(["close", "friend", "acquaintance"], size, p=[0.4, 0.4, 0.2]),
        ),
        **after("pair", "day"),
        **after("sender", "day"),
        **after("sender", "hour"),
        "sender.month_fen_after": _listed(fen_before * 5 + price),
        "sender.account_days": _unless(draw.random(size) < 0.1, draw.integers(0, 3_000, size)),
        "sender.region": _unless(draw.random(size) < 0.5, np.full(size, "CN")),
        "sender.guardian_consent": truth(0.001),
        "sender.day_gifts_limit": _unless(draw.random(size) < 0.95, draw.integers(3, 20, size)),
        "sender.day_fen_limit": _unless(draw.random(size) < 0.95, np.full(size, 50_000)),
        "sender.gift_fen_limit": _unless(draw.random(size) < 0.98, np.full(size, 20_000)),
        "sender.age_years": _unless(draw.random(size) < 0.3, draw.integers(16, 80, size)),
        "recipient.age_years": _unless(draw.random(size) < 0.3, draw.integers(14, 80, size)),
        "recipient.guardian_consent": truth(0.001),
        **after("recipient", "day", times=2),
        "time.festival_window": truth(0.2),
    }


def _listed(values: npt.NDArray[np.generic]) -> Column:
    listed: Column = values.tolist()
    return listed


def _unless(unknown: npt.NDArray[np.bool_], values: npt.NDArray[np.generic]) -> Column:
    return [None if u else v for u, v in zip(unknown.tolist(), values.tolist(), strict=True)]
