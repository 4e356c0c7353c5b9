"""The SQL of the circumstances of asked-for gifts: one text for one gift, one for any number."""

from __future__ import annotations

import re

from engine.ledger.recent_gifts import RECENT_COLUMNS
from engine.ledger.statements import Statement

ITEM_COLUMNS = (
    "item, name, price_fen, tier, category, kind, mechanics, relations, scenes, brand, creator, "
    "stock, sale_from, sale_until, odds_disclosed, ip_owner"
)


def zone_at(people: str) -> str:
    """Return the SQL of the zone that holds at `:at_now` for the row `people`."""
    return (
        f"CASE WHEN {people}.zone_from > :at_now THEN {people}.zone_before ELSE {people}.zone END"
    )


_IN_FORCE = "since <= :at_now AND (until IS NULL OR until > :at_now)"

_ZONES = {"sender_zone": zone_at("s"), "recipient_zone": zone_at("r")}

_OBJECTION = f"""EXISTS (SELECT 1 FROM consents
    WHERE person IN ({{asked}}.sender, {{asked}}.recipient) AND purpose = 'tie_scoring'
    AND granted = FALSE AND {_IN_FORCE})"""

_TIES = """
LEFT JOIN ties there ON there.sender = {asked}.sender AND there.recipient = {asked}.recipient
LEFT JOIN ties back ON back.sender = {asked}.recipient AND back.recipient = {asked}.sender
LEFT JOIN tie_structure around
  ON around.first = {asked}.first AND around.second = {asked}.second
"""

_CONTEXT = f"""
WITH a(n, sender, recipient, first, second) AS {{materialized}} ({{asked}})
SELECT a.n, {_ZONES["sender_zone"]}, {_ZONES["recipient_zone"]}, there.state, back.state,
  around.structure, {_OBJECTION.format(asked="a")}, s.birth_date, r.birth_date
FROM a
LEFT JOIN people s ON s.person = a.sender
LEFT JOIN people r ON r.person = a.recipient
{_TIES.format(asked="a")}"""
# One pair is given as it is: taking a list apart costs as much as reading.
CONTEXT_OF_ONE = Statement(
    _CONTEXT.format(
        materialized="",
        asked="VALUES (0, CAST(:sender AS TEXT), CAST(:recipient AS TEXT),"
        " CAST(:first AS TEXT), CAST(:second AS TEXT))",
    )
)
CONTEXT_OF_MANY = Statement(
    _CONTEXT.format(
        materialized="MATERIALIZED",
        asked="SELECT CAST(value ->> 0 AS INTEGER), value ->> 1, value ->> 2, value ->> 3,"
        " value ->> 4 FROM {each:pairs}",
    )
)


def _person_columns(people: str, zone: str) -> str:
    """Return the SQL of what `_person` reads of the row `people`."""
    return f"""{people}.birth_date, {zone}, {people}.day_gifts_limit, {people}.day_fen_limit,
  {people}.gift_fen_limit, {people}.region, {people}.joined_at,
  EXISTS (SELECT 1 FROM consents WHERE person = {people}.person AND purpose = 'guardian'
    AND granted = TRUE AND {_IN_FORCE})"""


# Of the asked-for pair `p`; with its tie where that is asked for.
_KNOWN = f"""{_person_columns("s", _ZONES["sender_zone"])},
  {_person_columns("r", _ZONES["recipient_zone"])},
  EXISTS (SELECT 1 FROM blocks WHERE person = p.sender AND blocked = p.recipient AND {_IN_FORCE})
  OR EXISTS (SELECT 1 FROM blocks WHERE person = p.recipient AND blocked = p.sender
    AND {_IN_FORCE}),
  cs.gifts, cs.fen, cp.gifts, cp.fen, cr.gifts, cr.fen, {RECENT_COLUMNS}"""
_JOINED = """
  LEFT JOIN people s ON s.person = p.sender
  LEFT JOIN people r ON r.person = p.recipient
  LEFT JOIN counters cs
    ON cs.scope = 'sender' AND cs.subject = p.sender AND cs.day = p.sender_day
  LEFT JOIN counters cp ON cp.scope = 'pair' AND cp.subject = p.pair AND cp.day = p.sender_day
  LEFT JOIN counters cr
    ON cr.scope = 'recipient' AND cr.subject = p.recipient AND cr.day = p.recipient_day"""
_TIE = f"there.state, back.state, around.structure, {_OBJECTION.format(asked='p')}"
_NO_TIE = "0, 0, 0, 0"
_ITEM = ", ".join(f"i.{column}" for column in ITEM_COLUMNS.split(", "))


def _of_one(ties: str, joined: str) -> Statement:
    """Return the statement of one gift: its parameters stand where `p` is spoken of."""
    known = f"SELECT 0, 0, {_KNOWN}, {ties}, {_ITEM} FROM (SELECT 1) AS asked {_JOINED} {joined}"
    sql = f"{known} LEFT JOIN items i ON i.item = :item"
    return Statement(re.sub(r"\bp\.(\w+)", r":\1", sql))


def _of_many(ties: str, joined: str) -> Statement:
    """Return the statement of any number; a pair is found once and then given to its items."""
    return Statement(f"""
WITH p(k, sender, recipient, first, second, pair,
  sender_day, sender_month, recipient_day, next_month)
AS MATERIALIZED (
  SELECT CAST(value ->> 0 AS INTEGER), value ->> 1, value ->> 2, value ->> 3,
    value ->> 4, value ->> 5, CAST(value ->> 6 AS INTEGER), CAST(value ->> 7 AS INTEGER),
    CAST(value ->> 8 AS INTEGER), CAST(value ->> 9 AS INTEGER)
  FROM {{each:pairs}}),
a(n, k, item) AS MATERIALIZED (
  SELECT CAST(value ->> 0 AS INTEGER), CAST(value ->> 1 AS INTEGER), value ->> 2
  FROM {{each:items}}),
known AS MATERIALIZED (SELECT p.k, {_KNOWN}, {ties} FROM p {_JOINED} {joined})
SELECT a.n, known.*, {_ITEM}
FROM a JOIN known ON known.k = a.k LEFT JOIN items i ON i.item = a.item
""")


SITUATION_OF_ONE = _of_one(_NO_TIE, "")
SITUATION_OF_MANY = _of_many(_NO_TIE, "")
WHOLE_OF_ONE = _of_one(_TIE, _TIES.format(asked="p"))
"""A situation with its pair's context, read together."""
WHOLE_OF_MANY = _of_many(_TIE, _TIES.format(asked="p"))
