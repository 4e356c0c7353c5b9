"""A whole town, drawn stage by stage from one seed and written as import files beside its truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from engine.domain.errors import InvalidInput
from training.simulate import latent, records
from training.simulate.assumptions import Assumptions
from training.simulate.campaigns import advertise
from training.simulate.catalogue import stock
from training.simulate.closeness import befriend
from training.simulate.contacts import converse
from training.simulate.fans import follow
from training.simulate.giving import give
from training.simulate.people import settle
from training.simulate.products import BRANDS
from training.simulate.responses import Responder
from training.simulate.shelves import Shelves
from training.simulate.tastes import favourite_brands, fit_of_categories, shop
from training.simulate.timeline import Span

MIN_PEOPLE = 50
MAX_PEOPLE = 100_000
MIN_DAYS = 7
MAX_PERSON_DAYS = 20_000_000
"""People times days: what fits into the memory of one machine (see `docs/town.md`)."""
_YEARS = range(1950, 2098)
"""Years in which a town may begin: the lunar calendar is known from 1901 to 2099."""


@dataclass(frozen=True, slots=True)
class TownSummary:
    """How many rows each file of a town has, and where they are."""

    folder: Path
    people: int
    friendships: int
    items: int
    gifts: int
    interactions: int
    item_events: int
    offers: int
    offer_events: int


def _check(folder: Path, people: int, days: int, seed: int, start: date) -> None:
    if not MIN_PEOPLE <= people <= MAX_PEOPLE:
        raise InvalidInput(
            f"a town of {people} people", f"choose from {MIN_PEOPLE} to {MAX_PEOPLE:,} people"
        )
    if days < MIN_DAYS:
        raise InvalidInput(f"a town of {days} days", f"choose at least {MIN_DAYS} days")
    if people * days > MAX_PERSON_DAYS:
        raise InvalidInput(
            f"{people:,} people for {days:,} days do not fit into memory",
            f"choose at most {MAX_PERSON_DAYS // people:,} days for so many people",
        )
    if not 0 <= seed < 2**63:
        raise InvalidInput(f"the seed {seed}", "choose a whole number from 0 to 2^63 − 1")
    if start.year not in _YEARS or start.year + days // 365 + 1 not in _YEARS:
        raise InvalidInput(f"a town from {start}", "choose years from 1950 to 2097")
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder", "name a folder, new or to be overwritten")


def write_town(
    folder: Path,
    people: int,
    days: int,
    seed: int,
    start: date = date(2026, 1, 1),
    progress: Callable[[str], None] | None = None,
) -> TownSummary:
    """Generate a town and write its log into `folder`, its latent truth into `folder/truth`.

    The same arguments give the same bytes (under the locked versions of NumPy and PyArrow).

    Parameters
    ----------
    folder
        Made if need be; files of an earlier town are overwritten.
    people
        How many, from `MIN_PEOPLE` to `MAX_PEOPLE`.
    days
        How many, at least `MIN_DAYS`; people × days at most `MAX_PERSON_DAYS`.
    seed
        Any whole number from 0 to 2^63 − 1.
    start
        The first day, from midnight in the default zone.
    progress
        Told the name of each stage as it begins.

    Raises
    ------
    InvalidInput
        If an argument is out of range or `folder` is a file.
    """
    _check(folder, people, days, seed, start)
    tell = progress or (lambda _: None)
    given, span = Assumptions(), Span(start, days)
    tell("people")
    residents = settle(people, span, seed, given.people)
    tell("friend circles")
    ties = befriend(residents, span, seed, given.ties)
    tell("catalogue and tastes")
    catalogue = stock(residents, span, seed, given.tastes)
    shelves = Shelves.arrange(catalogue, residents, given.tastes)
    loyal_to = favourite_brands(residents, seed)
    item_events = shop(residents, ties, catalogue, shelves, loyal_to, span, seed, given)
    tell("gifts")
    fans = follow(residents, ties, catalogue, span, seed, given.giving)
    gifts, gifts_per_day = give(
        residents, ties, fans, catalogue, shelves, item_events, span, seed, given.giving
    )
    tell("campaigns")
    responder = Responder(
        residents,
        ties,
        fit_of_categories(residents),
        loyal_to,
        len(BRANDS),
        given.tastes.own_budget_yuan * 100,
        given.campaigns,
    )
    campaigning = advertise(residents, catalogue, responder, span, seed, given.campaigns)
    item_events = item_events.and_also(campaigning.purchases)
    tell("messages and calls")
    contacts, messages_per_day = converse(residents, ties, gifts, span, seed, given.contacts)
    tell("writing")
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    records.write_people(folder, residents)
    friendships = records.write_friendships(folder, ties, fans)
    records.write_items(folder, catalogue, gifts, item_events)
    records.write_gifts(folder, gifts, catalogue)
    records.write_interactions(folder, contacts)
    records.write_item_events(folder, item_events, catalogue)
    records.write_offers(folder, campaigning.offers, catalogue)
    records.write_offer_events(folder, campaigning.events)
    latent.write_people(folder / "truth", residents, loyal_to)
    latent.write_closeness(folder / "truth", ties, messages_per_day, gifts_per_day)
    latent.write_items(folder / "truth", catalogue)
    latent.write_responses(folder / "truth", campaigning.truth)
    latent.write_assumptions(folder / "truth", people, span, seed, given)
    return TownSummary(
        folder=folder,
        people=people,
        friendships=friendships,
        items=len(catalogue),
        gifts=len(gifts),
        interactions=len(contacts),
        item_events=len(item_events),
        offers=len(campaigning.offers),
        offer_events=len(campaigning.events),
    )
