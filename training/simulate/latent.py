"""The town's latent truth: what produced the log and nothing in the log says."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from training.simulate.assumptions import Assumptions
from training.simulate.campaigns import ResponseTruth
from training.simulate.catalogue import Catalogue
from training.simulate.chance import Floats, Ints
from training.simulate.circles import Circle
from training.simulate.closeness import Ties
from training.simulate.lifestyles import LIFESTYLES
from training.simulate.people import Population
from training.simulate.products import BRANDS
from training.simulate.records import item_ids, person
from training.simulate.timeline import Span
from training.simulate.writing import (
    Column,
    counted,
    labels,
    numbered,
    real,
    texts,
    whole,
    write_csv,
)


def write_people(folder: Path, people: Population, loyal_to: Ints) -> None:
    """Write people.csv (true birth dates and traits) and taste.csv (share of each lifestyle)."""
    size = len(people)
    born = np.datetime_as_string(people.born.astype("datetime64[D]"))
    columns: dict[str, Column] = {
        "person": counted("p", size, 6),
        "birth_date": texts([str(day) for day in born]),
        "household": whole(people.household),
        "sociability": real(people.sociability),
        "generosity": real(people.generosity),
        "spending": real(people.spending),
        "deals": real(people.deals),
        "averse": whole(people.averse.astype(np.int64)),
        "loyal_to": labels(loyal_to, [brand.brand for brand in BRANDS]),
    }
    write_csv(folder / "people.csv", columns, size)
    tastes = {name: real(people.taste[:, k]) for k, name in enumerate(LIFESTYLES)}
    write_csv(folder / "taste.csv", {"person": counted("p", size, 6), **tastes}, size)


def write_closeness(
    folder: Path, ties: Ties, messages_per_day: Floats, gifts_per_day: Floats
) -> None:
    """Write closeness.csv: each pair's closeness at both ends and what it lets expect a day."""
    columns = {
        "a": person(ties.a),
        "b": person(ties.b),
        "circle": labels(ties.circle, [circle.name.lower() for circle in Circle]),
        "closeness_start": real(ties.closeness_start),
        "closeness_end": real(ties.closeness_end),
        "messages_per_day": real(messages_per_day),
        "gifts_per_day": real(gifts_per_day),
    }
    write_csv(folder / "closeness.csv", columns, len(ties))


def write_items(folder: Path, catalogue: Catalogue) -> None:
    """Write items.csv: log-weight of each item for everybody and by lifestyle."""
    columns = {
        "item": texts(item_ids(catalogue)),
        "popularity": real(catalogue.popularity),
        **{name: real(catalogue.appeal[k]) for k, name in enumerate(LIFESTYLES)},
    }
    write_csv(folder / "items.csv", columns, len(catalogue))


def write_responses(folder: Path, truth: ResponseTruth) -> None:
    """Write response.csv: the chance to redeem, shown and held out, of everyone in an audience."""
    columns = {
        "person": person(truth.person),
        "offer": numbered("o", truth.offer + 1, 4),
        "p_if_shown": real(truth.if_shown),
        "p_if_held_out": real(truth.if_held_out),
    }
    write_csv(folder / "response.csv", columns, len(truth.person))


def write_assumptions(folder: Path, people: int, span: Span, seed: int, given: Assumptions) -> None:
    """Write assumptions.json: the arguments of the town and every number behind it."""
    told = {
        "people": people,
        "days": span.days,
        "seed": seed,
        "start": span.first_day.isoformat(),
        "assumptions": asdict(given),
    }
    text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
    (folder / "assumptions.json").write_text(text, encoding="utf-8")
