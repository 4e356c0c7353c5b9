"""A rules folder with caps that a few gifts reach, each of which can be reached alone."""

from __future__ import annotations

import shutil
from pathlib import Path

_SHIPPED = Path(__file__).parents[2] / "rules"

SENDER_GIFTS, PAIR_GIFTS, RECIPIENT_GIFTS = 12, 4, 20
"""What the rules below let a sender, a pair and a recipient have in a day."""
SENDER_FEN, PAIR_FEN, RECIPIENT_FEN = 30_000, 10_000, 60_000
HELD_FROM_FEN = 100_000
HOUR_GIFTS, HOUR_KIND = 5, "flower"
"""What a sender may send in an hour where the last one is of this kind."""
MONTH_FEN, MONTH_KIND = 15_000, "ring"
"""What a sender may spend in a month where the last gift is of this kind."""

_CAPS = (
    ("sender.day_gifts_after", SENDER_GIFTS, "DAILY_CAP_REACHED"),
    ("pair.day_gifts_after", PAIR_GIFTS, "DAILY_CAP_REACHED"),
    ("recipient.day_gifts_after", RECIPIENT_GIFTS, "RECIPIENT_LIMIT_REACHED"),
    ("sender.day_fen_after", SENDER_FEN, "AMOUNT_CAP_REACHED"),
    ("pair.day_fen_after", PAIR_FEN, "AMOUNT_CAP_REACHED"),
    ("recipient.day_fen_after", RECIPIENT_FEN, "RECIPIENT_LIMIT_REACHED"),
)
_CITE = "    cite: {source: ours, verified: false}\n"


def write_rules(folder: Path) -> Path:
    """Write the folder and return it: the shipped settlement, reasons and offers, our own caps."""
    folder.mkdir(parents=True)
    for name in ("reasons.yaml", "gift_settle.yaml", "offer_show.yaml"):
        shutil.copy(_SHIPPED / name, folder)
    (folder / "gift_send.yaml").write_text(
        "pack: gift_send\ndecides: gift_send\nversion: 1\nowner: tests\njurisdiction: CN\n"
        "effective: {from: 2026-01-01T00:00:00+08:00}\nrules:\n"
        + "".join(_cap(*cap) for cap in _CAPS)
        + _more("sender.hour_gifts_after", HOUR_GIFTS, HOUR_KIND, "DAILY_CAP_REACHED")
        + _more("sender.month_fen_after", MONTH_FEN, MONTH_KIND, "AMOUNT_CAP_REACHED")
        + _rule("in_stock", "!gift.in_stock", "deny", "ITEM_UNAVAILABLE", "gift.in_stock", "false")
        + _rule(
            "dear",
            f"gift.price_fen >= {HELD_FROM_FEN}",
            "review",
            "HELD_FOR_REVIEW",
            "gift.price_fen",
            str(HELD_FROM_FEN),
        ),
        encoding="utf-8",
    )
    return folder


def _cap(fact: str, most: int, reason: str) -> str:
    # Only dear gifts are held: what is above every cap of money would be denied first.
    name = fact.replace(".", "_")
    when = f"{fact} > {most} && gift.price_fen < {HELD_FROM_FEN}"
    if fact.endswith("gifts_after"):
        when = f"{fact} > {most}"
        return _rule(name, when, "deny", reason, fact, str(most + 1))
    example = f"{most + 1}, gift.price_fen: 900"
    return _rule(name, f"'{when}'", "deny", reason, fact, example)


def _more(fact: str, most: int, kind: str, reason: str) -> str:
    """Return a cap that is below those of a day, so it holds for things of one kind alone."""
    when = f"{fact} > {most} && gift.kind == {kind!r}"
    example = f"{most + 1}, gift.kind: {kind}"
    return _rule(fact.replace(".", "_"), f'"{when}"', "deny", reason, fact, example)


def _rule(name: str, when: str, then: str, reason: str, fact: str, example: str) -> str:
    quoted = f"'{when}'" if when.startswith("!") else when
    return (
        f"  - id: {name}\n    description: A rule of the tests.\n    when: {quoted}\n"
        f"    then: {then}\n    reason: {reason}\n{_CITE}"
        f"    examples: [{{facts: {{{fact}: {example}}}, fires: true}}]\n"
    )
