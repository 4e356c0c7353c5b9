"""The town's import files: which column holds what."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.domain.gifts import Relation, Scene
from engine.domain.occasions import OCCASIONS
from engine.domain.people import Purpose
from training.simulate.campaigns import OfferEvents, Offers, Step
from training.simulate.catalogue import Catalogue
from training.simulate.closeness import Ties
from training.simulate.contacts import Contacts, Means
from training.simulate.fans import Fans
from training.simulate.gifts import Gifts, Outcome
from training.simulate.lifestyles import CATEGORIES
from training.simulate.people import ZONES, Population
from training.simulate.products import BRANDS
from training.simulate.tastes import Deed, ItemEvents
from training.simulate.timeline import NEVER
from training.simulate.writing import (
    Column,
    counted,
    labels,
    numbered,
    texts,
    times,
    whole,
    write_csv,
)

_BRAND_NAMES = tuple(brand.brand for brand in BRANDS)


def person(indices: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Column:
    """Return the column of people's ids; −1 is an empty cell."""
    return numbered("p", np.where(indices < 0, -1, indices + 1), 6)


def item_ids(catalogue: Catalogue) -> tuple[str, ...]:
    """Return the items' ids, by index."""
    return tuple(entry.item for entry in catalogue.goods)


def write_people(folder: Path, people: Population) -> None:
    """Write people.csv."""
    born = np.datetime_as_string(people.born.astype("datetime64[D]"))
    offers, suggestions = people.consents_offers, people.consents_suggestions
    said = ("", Purpose.OFFERS, Purpose.GIFT_SUGGESTIONS)
    consents = (*said, f"{Purpose.OFFERS};{Purpose.GIFT_SUGGESTIONS}")
    columns = {
        "person": counted("p", len(people), 6),
        "birth_date": texts(
            [str(d) if known else None for d, known in zip(born, people.born_known, strict=True)]
        ),
        "zone": labels(people.zone, ZONES),
        "joined_at": times(people.joined),
        "consents": labels(offers + 2 * suggestions, consents),
    }
    write_csv(folder / "people.csv", columns, len(people))


def write_friendships(folder: Path, ties: Ties, fans: Fans) -> int:
    """Write friendships.csv, by time; return its rows."""
    one = np.r_[ties.a, ties.b, fans.fan]
    other = np.r_[ties.b, ties.a, fans.creator]
    since = np.r_[ties.since_ab, ties.since_ba, fans.since]
    until = np.r_[ties.until_ab, ties.until_ba, np.full(len(fans), NEVER)]
    order = np.lexsort((other, one, since))
    order = order[since[order] < NEVER]
    columns = {
        "person": person(one[order]),
        "friend": person(other[order]),
        "since": times(since[order]),
        "until": times(until[order]),
    }
    write_csv(folder / "friendships.csv", columns, len(order))
    return len(order)


def write_items(folder: Path, catalogue: Catalogue, gifts: Gifts, bought: ItemEvents) -> None:
    """Write items.csv; `stock` is what the log leaves of a limited edition."""
    goods, size = catalogue.goods, len(catalogue)
    sold = np.bincount(gifts.item, minlength=size)
    sold += np.bincount(bought.item[bought.kind == Deed.BOUGHT], minlength=size)
    limited = catalogue.units < NEVER
    columns = {
        "item": texts(item_ids(catalogue)),
        "name": texts([entry.name for entry in goods]),
        "price_fen": whole(catalogue.price_fen),
        "tier": texts([entry.tier.value for entry in goods]),
        "category": labels(catalogue.category, CATEGORIES),
        "kind": texts([entry.kind for entry in goods]),
        "mechanics": texts([entry.mechanics.value for entry in goods]),
        "relations": texts([";".join(entry.relations) for entry in goods]),
        "scenes": texts([";".join(entry.scenes) for entry in goods]),
        "brand": labels(catalogue.brand, _BRAND_NAMES),
        "creator": person(catalogue.creator),
        "stock": whole(np.where(limited, catalogue.units - sold, NEVER)),
        "sale_from": times(np.where(catalogue.sale_from > 0, catalogue.sale_from, NEVER)),
        "sale_until": times(catalogue.sale_until),
    }
    write_csv(folder / "items.csv", columns, size)


def write_gifts(folder: Path, gifts: Gifts, catalogue: Catalogue) -> None:
    """Write gifts.csv, by time."""
    from_fan = (gifts.tie < 0).astype(np.int64)
    columns = {
        "gift": counted("g", len(gifts), 8),
        "sender": person(gifts.sender),
        "recipient": person(gifts.recipient),
        "item": labels(gifts.item, item_ids(catalogue)),
        "price_fen": whole(gifts.price_fen),
        "relation": labels(from_fan, (Relation.FRIEND, Relation.CREATOR)),
        "scene": labels(from_fan, (Scene.CHAT, Scene.LIVE_ROOM)),
        "occasion": labels(gifts.occasion, OCCASIONS),
        "occurred_at": times(gifts.at),
        "outcome": labels(gifts.outcome, [outcome.name.lower() for outcome in Outcome]),
        "outcome_at": times(gifts.outcome_at),
    }
    write_csv(folder / "gifts.csv", columns, len(gifts))


def write_interactions(folder: Path, contacts: Contacts) -> None:
    """Write interactions.csv, by time; a call weighs the minutes it began."""
    columns = {
        "event": counted("c", len(contacts), 8),
        "sender": person(contacts.sender),
        "recipient": person(contacts.recipient),
        "kind": labels(contacts.means, [means.name.lower() for means in Means]),
        "weight": whole(contacts.weight),
        "occurred_at": times(contacts.at),
    }
    write_csv(folder / "interactions.csv", columns, len(contacts))


def write_item_events(folder: Path, events: ItemEvents, catalogue: Catalogue) -> None:
    """Write item_events.csv, by time."""
    columns = {
        "event": counted("i", len(events), 8),
        "person": person(events.person),
        "item": labels(events.item, item_ids(catalogue)),
        "kind": labels(events.kind, [deed.name.lower() for deed in Deed]),
        "occurred_at": times(events.at),
    }
    write_csv(folder / "item_events.csv", columns, len(events))


def write_offers(folder: Path, offers: Offers, catalogue: Catalogue) -> None:
    """Write offers.csv, by beginning."""
    columns = {
        "offer": counted("o", len(offers), 4),
        "brand": labels(offers.brand, _BRAND_NAMES),
        "category": labels(offers.category, CATEGORIES),
        "item": labels(offers.item, item_ids(catalogue)),
        "value_fen": whole(offers.value_fen),
        "price_fen": whole(offers.price_fen),
        "starts_at": times(offers.starts),
        "ends_at": times(offers.ends),
    }
    write_csv(folder / "offers.csv", columns, len(offers))


def write_offer_events(folder: Path, events: OfferEvents) -> None:
    """Write offer_events.csv, by time."""
    columns = {
        "event": counted("x", len(events), 8),
        "offer": numbered("o", events.offer + 1, 4),
        "person": person(events.person),
        "kind": labels(events.kind, [step.name.lower() for step in Step]),
        "occurred_at": times(events.at),
    }
    write_csv(folder / "offer_events.csv", columns, len(events))
