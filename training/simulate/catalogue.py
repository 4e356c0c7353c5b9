"""The town's catalogue: items with prices, tiers, sale windows, and their hidden appeal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from engine.domain.gifts import Mechanics, Relation, Scene, Tier
from engine.domain.occasions import OCCASIONS, festivals
from training.simulate.assumptions import TasteAssumptions
from training.simulate.chance import Bools, Floats, Ints, stream
from training.simulate.lifestyles import CATEGORIES, leanings
from training.simulate.people import Population
from training.simulate.products import BRANDS, EDITIONS, FORBIDDEN, PRODUCTS, Product
from training.simulate.timeline import DAY, NEVER, Span, day_number

_FRIENDS = (Relation.FRIEND,)
_FRIENDS_AND_FIRMS = (Relation.FRIEND, Relation.COMPANY)
_ALWAYS = (0, NEVER)
_CREATORS_MOST = 20


@dataclass(frozen=True, slots=True)
class Goods:
    """One catalogue entry as it is written; prices in fen, times in seconds."""

    item: str
    name: str
    price_fen: int
    tier: Tier
    category: str
    kind: str
    mechanics: Mechanics = Mechanics.DIRECT
    relations: tuple[Relation, ...] = _FRIENDS
    scenes: tuple[Scene, ...] = (Scene.CHAT,)
    brand: int = -1
    """Index into `BRANDS`."""
    creator: int = -1
    """Index of the person whose own gift this is."""
    units: int | None = None
    """How many there ever are; None without limit."""
    sale: tuple[int, int] = _ALWAYS
    occasions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All items in columns, in the order of `goods`."""

    goods: tuple[Goods, ...]
    price_fen: Ints
    category: Ints
    brand: Ints
    creator: Ints
    units: Ints
    """`NEVER` where unlimited."""
    sale_from: Ints
    sale_until: Ints
    giftable: Bools
    """Lawful between friends in a chat: nothing about it is drawn at random."""
    appeal: Floats
    """Hidden log-weight by lifestyle (lifestyles × items)."""
    popularity: Floats
    """Hidden log-weight for everybody."""
    fits: Floats
    """1 where an item is made for the occasion (occasions × items)."""

    def __len__(self) -> int:
        return len(self.goods)

    @property
    def redeemable(self) -> Bools:
        """Which items are vouchers or cakes, redeemed in a shop."""
        return np.array([entry.kind in ("voucher", "cake") for entry in self.goods])

    def of_creator(self, creator: Ints, second: Bools) -> Ints:
        """Return each creator's first item, or the second where asked."""
        own = np.flatnonzero(self.creator >= 0)
        order = own[np.argsort(self.creator[own], kind="stable")]
        return order[np.searchsorted(self.creator[order], creator) + second]

    def on_sale(self, item: Ints, at: Ints) -> Bools:
        """Tell which items are on sale at the given times."""
        return (at >= self.sale_from[item]) & (at < self.sale_until[item])


def _season(span: Span, occasions: tuple[str, ...]) -> tuple[int, int]:
    """Return when a seasonal item is sold: from a month before its next festival to two days after.

    Festivals within two months of each other (New Year's Day and Spring Festival) are one season.
    """
    year = span.first_day.year
    known = [o.on for y in (year, year + 1) for o in festivals(y) if o.name in occasions]
    coming = sorted(on for on in known if on >= span.first_day)
    season = [on for on in coming if on - coming[0] <= timedelta(days=60)]
    return _midnight(coming[0] - timedelta(days=30)), _midnight(season[-1] + timedelta(days=3))


def _midnight(day: date) -> int:
    return Span(day, 1).begins


def _price(rng: np.random.Generator, product: Product, second: bool) -> int:
    """Return a price in fen within the product's range; a category's second brand is dearer."""
    low, high = product.yuan_from, product.yuan_to
    place = 0.5 * rng.random() + 0.5 * second
    yuan = round(low + place * (high - low))
    return int(100 * yuan if rng.random() < 0.5 or yuan <= low else 100 * yuan - 10)


def _everyday(rng: np.random.Generator, span: Span) -> list[Goods]:
    goods: list[Goods] = []
    for index, brand in enumerate(BRANDS):
        second = brand.category == BRANDS[index - 1].category
        for product in PRODUCTS:
            if product.category != brand.category:
                continue
            bulk = product.tier in (Tier.CUSTOM, Tier.GOODS) and not product.seasonal
            # Broadcast gifts belong to festivals: only the digital cards made for one are sent so.
            festive = product.category == "cards" and product.tier is Tier.BASIC
            goods.append(
                Goods(
                    item=f"{brand.category}-{len(goods) + 1:03d}",
                    name=f"{brand.zh} {product.zh} · {brand.en} {product.en}",
                    price_fen=_price(rng, product, second),
                    tier=product.tier,
                    category=product.category,
                    kind=product.kind,
                    relations=_FRIENDS_AND_FIRMS if bulk else _FRIENDS,
                    scenes=(Scene.CHAT,)
                    + ((Scene.BULK_ORDER,) if bulk else ())
                    + ((Scene.BROADCAST,) if festive else ()),
                    brand=index,
                    sale=_season(span, product.occasions) if product.seasonal else _ALWAYS,
                    occasions=product.occasions,
                )
            )
    return goods


def _tier_of(fen: int) -> Tier:
    return Tier.SCENE if fen <= 3_000 else Tier.CUSTOM if 5_000 <= fen <= 20_000 else Tier.GOODS


def _special(rng: np.random.Generator, span: Span, people: Population) -> list[Goods]:
    goods = [
        Goods(
            item=f"draw-{number:03d}",
            name=f"{zh} · {en}",
            price_fen=round(yuan * 100),
            tier=_tier_of(round(yuan * 100)),
            category="games",
            kind=kind,
            mechanics=mechanics,
        )
        for number, (zh, en, kind, mechanics, yuan) in enumerate(FORBIDDEN, 1)
    ]
    for number, (slug, zh, en, yuan) in enumerate(EDITIONS, 1):
        opens = span.begins + int(rng.integers(0, max(1, span.days - 21))) * DAY
        owner = next(index for index, brand in enumerate(BRANDS) if brand.brand == slug)
        goods.append(
            Goods(
                item=f"edition-{number:03d}",
                name=f"{zh} · {en}",
                price_fen=round(yuan * 100),
                tier=_tier_of(round(yuan * 100)),
                category=BRANDS[owner].category,
                kind="edition",
                brand=owner,
                units=max(4, len(people) // 150),
                sale=(opens, opens + 21 * DAY),
                occasions=("birthday",),
            )
        )
    for number, creator in enumerate(_creators(rng, span, people), 1):
        for suffix, zh, en, fen in (
            ("a", "应援灯牌", "Light board", 600),
            ("b", "专属徽章", "Badge", 2_800),
        ):
            goods.append(
                Goods(
                    item=f"creator-{number:03d}{suffix}",
                    name=f"主播{number:02d} {zh} · Creator {number:02d} {en}",
                    price_fen=fen,
                    tier=Tier.BASIC if fen <= 1_000 else Tier.SCENE,
                    category="cards",
                    kind="card",
                    relations=(Relation.CREATOR,),
                    scenes=(Scene.LIVE_ROOM,),
                    creator=int(creator),
                )
            )
    return goods


def _creators(rng: np.random.Generator, span: Span, people: Population) -> Ints:
    """Return people known to be of age who live-stream, at most one in 200."""
    of_age = np.flatnonzero(
        people.known_to_be(18, day_number(span.first_day)) & (people.joined < span.begins)
    )
    wanted = min(max(1, len(people) // 200), _CREATORS_MOST, len(of_age))
    return np.sort(rng.choice(of_age, wanted, replace=False))


def stock(people: Population, span: Span, seed: int, given: TasteAssumptions) -> Catalogue:
    """Draw the catalogue of a town."""
    rng = stream(seed, "catalogue")
    goods = tuple(_everyday(rng, span) + _special(rng, span, people))
    m = len(goods)
    category = np.array([CATEGORIES.index(entry.category) for entry in goods])
    brand = np.array([entry.brand for entry in goods])
    renown = np.r_[rng.normal(0.0, given.brand_sd, len(BRANDS)), 0.0]
    lean = leanings()
    fits = np.array([[name in entry.occasions for entry in goods] for name in OCCASIONS])
    return Catalogue(
        goods=goods,
        price_fen=np.array([entry.price_fen for entry in goods]),
        category=category,
        brand=brand,
        creator=np.array([entry.creator for entry in goods]),
        units=np.array([NEVER if entry.units is None else entry.units for entry in goods]),
        sale_from=np.array([entry.sale[0] for entry in goods]),
        sale_until=np.array([entry.sale[1] for entry in goods]),
        giftable=np.array(
            [
                entry.mechanics is Mechanics.DIRECT and Relation.FRIEND in entry.relations
                for entry in goods
            ]
        ),
        appeal=lean[:, category] + rng.normal(0.0, given.style_sd, (len(lean), m)),
        popularity=rng.normal(0.0, given.popularity_sd, m) + renown[brand],
        fits=fits.astype(np.float64),
    )
