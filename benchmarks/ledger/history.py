"""A year of gifts of any size, written straight into the tables of either database.

Everything is a function of the gift's number, so that one `INSERT … SELECT` makes a million rows:
people live in circles of twenty who are all friends and give to ten of the others in turn. Gifts
come in the order of time, as they did in life: what belongs to one person lies far apart on disk.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from textwrap import dedent

import numpy as np
import orjson
from sqlalchemy import Connection, text

from engine.domain.clock import DAY, HOUR
from engine.domain.gift_life import ACCEPT_WITHIN
from engine.domain.money import PayOn, Terms
from engine.domain.pair_state import DEFAULT_LAYOUT, Kind, to_bytes, update
from engine.domain.structure import WIDTH
from engine.domain.structure import to_bytes as structure_to_bytes

CIRCLE = 20
"""Who knows each other; everybody gives to half of them."""
YEAR = 365 * DAY
ITEMS = 1_000
LIMITED = 4
"""Of which so many items one is limited."""
STOCK = 1_000_000
GIFTS_A_PERSON = 100

_EPOCH_DAY = 719_163
"""The number of the day 1970-01-01, as `engine.domain.clock.local_day` counts."""
_SHANGHAI = 8 * HOUR
_TERMS = Terms(
    platform_ppm=250_000,
    creator_ppm=0,
    ip_owner_ppm=0,
    tax_ppm=0,
    pay_on=PayOn.ACCEPTANCE,
    voucher_days=0,
    is_voucher=False,
    creator=None,
    brand="brand-7",
    ip_owner=None,
    decision_id="dec_" + 30 * "0",
)


def _numbers(name: str, begin: int, end: int) -> str:
    """Return the SQL of a table `name(n)` of the whole numbers from `begin` to before `end`."""
    return (
        f"{name}(n) AS (SELECT CAST({begin} AS BIGINT)"
        f" UNION ALL SELECT n + 1 FROM {name} WHERE n + 1 < {end})"
    )


def _padded(number: str, digits: int) -> str:
    """Return the SQL, the same in both databases, of a number with leading zeros."""
    return f"substr(CAST({10**digits} + {number} AS TEXT), 2)"


def person(number: int) -> str:
    """Return the id of a person of the circles."""
    return f"p{number:08d}"


def item(number: int) -> str:
    """Return the sku of an item of the catalogue."""
    return f"item-{number:06d}"


def price_fen(number: int) -> int:
    """Return what the item with this number costs."""
    return 500 + number % 5 * 100


@dataclass(frozen=True, slots=True)
class Stream:
    """So many gifts among so many people in the year before `at` (microseconds)."""

    gifts: int
    at: int

    @property
    def people(self) -> int:
        """How many live in circles: at least two circles."""
        circles = max(self.gifts // GIFTS_A_PERSON // CIRCLE, 2)
        return circles * CIRCLE

    @property
    def step(self) -> int:
        """Microseconds from one gift to the next."""
        return YEAR // max(self.gifts, 1)

    @property
    def first_at(self) -> int:
        """When the first one was given."""
        return self.at - self.step * self.gifts

    def number_at(self, at: int) -> int:
        """Return how many were given before an instant."""
        return min(max((at - self.first_at) // self.step, 0), self.gifts)

    def _gifts_of(self, numbers: str) -> str:
        """Return the SQL of the gifts with certain `numbers` as `g(n, sender, recipient, …)`."""
        return dedent(f"""
            WITH RECURSIVE {numbers},
            c AS (SELECT n, n % {self.people} AS i, n / {self.people} AS j,
              {self.first_at} + n * {self.step} AS at FROM s),
            g AS (SELECT n, at, n % {ITEMS} AS k,
              'p' || {_padded("i", 8)} AS sender,
              'p' || {_padded(f"i / {CIRCLE} * {CIRCLE} + (i + 1 + j % 10) % {CIRCLE}", 8)}
                AS recipient,
              'gift_' || {_padded("n", 16)} || '00000000000000' AS gift,
              'dec_' || {_padded("n", 16)} || '00000000000000' AS decision_id,
              (at + {_SHANGHAI}) / {DAY} + {_EPOCH_DAY} AS day,
              500 + n % {ITEMS} % 5 * 100 AS fen,
              CASE WHEN n % 1000 = 999 THEN 'held' WHEN at > {self.at - ACCEPT_WITHIN} THEN 'sent'
                WHEN n % 20 = 0 THEN 'declined' WHEN n % 20 = 1 THEN 'expired'
                WHEN n % 50 = 2 THEN 'refunded' ELSE 'accepted' END AS state
              FROM c)""")

    def write_gifts(self, connection: Connection, begin: int, end: int) -> None:
        """Write the gifts numbered `begin` to before `end`."""
        if begin >= end:
            return
        terms = orjson.dumps(asdict(_TERMS)).decode()
        _run(
            connection,
            f"""
            INSERT INTO gifts (gift, sender, recipient, item, price_fen, relation, scene, occasion,
              state, origin, occurred_at, outcome_at, decision_id, payment_ref, terms, sender_day,
              recipient_day, due_at, events, address, recorded_at)
            {self._gifts_of(_numbers("s", begin, end))}
            SELECT gift, sender, recipient, 'item-' || {_padded("k", 6)}, fen, 'friend', 'chat',
              'none', state, 'live', at,
              CASE WHEN state IN ('accepted', 'refunded') THEN at + {HOUR}
                WHEN state IN ('declined', 'expired') THEN at + {ACCEPT_WITHIN} END,
              decision_id, 'pay_' || {_padded("n", 16)}, :terms, day, day,
              CASE WHEN state = 'sent' THEN at + {ACCEPT_WITHIN} END, 2, NULL, at
            FROM g""",
            terms=terms,
        )

    def write_counters(self, connection: Connection) -> None:
        """Write the counters that the gifts leave, each scope in the order of its key.

        Nobody gives, or is given, two gifts of the stream in one day.
        """
        rounds = -(-self.gifts // self.people)
        inner = f"x.n / {CIRCLE} * {CIRCLE} + (x.n + 2 * {CIRCLE} - 1 - y.n % 10) % {CIRCLE}"
        people, turns = _numbers("x", 0, self.people), _numbers("y", 0, rounds)
        tens = f"{_numbers('y', 0, -(-rounds // 10))}, {_numbers('m', 0, 10)}"
        for scope, subject, helpers, number, joined in (
            ("sender", "sender", turns, f"y.n * {self.people} + x.n", "x CROSS JOIN y"),
            ("recipient", "recipient", turns, f"y.n * {self.people} + {inner}", "x CROSS JOIN y"),
            (
                "pair",
                f"'{1 + 8}\\:' || sender || '>' || recipient",
                tens,
                f"(y.n * 10 + m.n) * {self.people} + x.n",
                "x CROSS JOIN m CROSS JOIN y",
            ),
        ):
            numbers = f"{people}, {helpers}, s(n) AS (SELECT {number} FROM {joined})"
            _run(
                connection,
                f"""
                INSERT INTO counters (scope, subject, day, gifts, fen)
                {self._gifts_of(numbers)}
                SELECT '{scope}', {subject}, day, 1, fen FROM g
                WHERE n < {self.gifts} AND state NOT IN ('declined', 'expired')""",
            )
        _run(
            connection,
            "INSERT INTO counters (scope, subject, day, gifts, fen)"
            " SELECT 'sender', person, 0, 0, 0 FROM people WHERE person >= 'p'",
        )

    def write_logs(self, connection: Connection) -> None:
        """Write what else each gift left: decision, event, postings, and an answer of today."""
        gifts = self._gifts_of(_numbers("s", 0, self.gifts))
        told = """'{"gift"\\:"' || gift || '","number"\\:1,"kind"\\:"gift.sent","occurred_at"\\:'
              || at || ',"sender"\\:"' || sender || '","recipient"\\:"' || recipient
              || '","item"\\:"item-000000","state"\\:"sent","payment"\\:null}'"""
        for into in (
            """
            INSERT INTO decisions (decision_id, decision, purpose, occurred_at, effect, fired,
              facts, pack, pack_version, pack_hash, latency_us)
            {gifts} SELECT decision_id, 'gift_send', 'send', at, 'allow', '[]', '{{}}', 'gift_send',
              1, 'none', 100 FROM g""",
            """
            INSERT INTO idempotency (key_id, idempotency_key, body_hash, answer, recorded_at)
            {gifts} SELECT 'k' || n % 3, gift, 'hash', '{{}}', {kept} + n * {apart} FROM g""",
            """
            INSERT INTO outbox (position, gift, number, kind, body, recorded_at)
            {gifts} SELECT n + 1, gift, 1, 'gift.sent', {told}, at FROM g""",
            """
            INSERT INTO postings (gift, entry, line, kind, account, holder, fen, occurred_at)
            {gifts} SELECT gift, 1, 1, 'escrow', 'payer', sender, -fen, at FROM g""",
            """
            INSERT INTO postings (gift, entry, line, kind, account, holder, fen, occurred_at)
            {gifts} SELECT gift, 1, 2, 'escrow', 'escrow', gift, fen, at FROM g""",
        ):
            # A number in braces is no parameter, and colons stand only in what `_run` knows.
            _run(
                connection,
                into.format(gifts=gifts, told=told, kept=self.at - DAY, apart=DAY // self.gifts),
            )


def write_people(connection: Connection, people: int, at: int, bound: int | None = None) -> None:
    """Write so many people as of `at` (microseconds), and what binds the first of them.

    Parameters
    ----------
    people
        How many: a multiple of a circle.
    bound
        How many of them have friends and ties; all if None.
    """
    numbers = f"WITH RECURSIVE {_numbers('s', 0, people)}"
    ten = _numbers("o", 0, 10)
    all_others = _numbers("o", 0, CIRCLE - 1)
    known = f"'p' || {_padded('s.n', 8)}"
    _run(
        connection,
        f"""
        INSERT INTO people (person, birth_date, zone, joined_at, recorded_at)
        {numbers} SELECT {known}, CAST(1950 + n % 55 AS TEXT) || '-03-04', 'Asia/Shanghai',
          {at - 3 * YEAR}, {at - 3 * YEAR} FROM s""",
    )
    _run(
        connection,
        f"""
        INSERT INTO consents (person, purpose, since, until, granted, recorded_at)
        {numbers} SELECT {known}, 'gift_suggestions', {at - YEAR}, NULL, TRUE, {at - YEAR}
        FROM s""",
    )
    _run(
        connection,
        f"""
        INSERT INTO blocks (person, blocked, since, until, recorded_at)
        {numbers} SELECT {known}, 'x' || {_padded("n", 8)}, {at - YEAR}, NULL, {at - YEAR}
        FROM s""",
    )
    numbers = f"WITH RECURSIVE {_numbers('s', 0, people if bound is None else bound)}"
    others = f"'p' || {_padded(f's.n / {CIRCLE} * {CIRCLE} + (s.n + 1 + o.n) % {CIRCLE}', 8)}"
    _run(
        connection,
        f"""
        INSERT INTO friendships (person, friend, since, until, recorded_at)
        {numbers}, {all_others}
        SELECT {known}, {others}, {at - YEAR}, NULL, {at - YEAR} FROM s CROSS JOIN o""",
    )
    state = DEFAULT_LAYOUT.empty()
    for days in (300, 30, 3):
        update(DEFAULT_LAYOUT, state, Kind.GIFT, 1.0, at - days * DAY)
    _run(
        connection,
        f"""
        INSERT INTO ties (sender, recipient, state, newest_at)
        {numbers}, {ten}
        SELECT {known}, {others}, :state, {at - 3 * DAY} FROM s CROSS JOIN o""",
        state=to_bytes(state),
    )
    _run(
        connection,
        f"""
        INSERT INTO tie_structure (first, second, structure, as_of)
        {numbers}, {all_others}
        SELECT {known}, {others}, :structure, {at - DAY} FROM s CROSS JOIN o
        WHERE {known} < {others}""",
        structure=structure_to_bytes(np.full(WIDTH, float(at - DAY))),
    )


def write_items(connection: Connection, items: int = ITEMS) -> None:
    """Write a catalogue: small things for friends, one in four of them limited."""
    _run(
        connection,
        f"""
        INSERT INTO items (item, name, price_fen, tier, category, kind, mechanics, relations,
          scenes, brand, stock, stock_taken, recorded_at)
        WITH RECURSIVE {_numbers("s", 0, items)}
        SELECT 'item-' || {_padded("n", 6)}, 'Cup number ' || n, 500 + n % 5 * 100, 'basic',
          'drinks', 'goods', 'direct', 'friend', 'chat', 'brand-' || n % 10,
          CASE WHEN n % {LIMITED} = 0 THEN {STOCK} END, 0, 0 FROM s""",
    )


def _run(connection: Connection, sql: str, **values: str | bytes) -> None:
    connection.execute(text(sql), values)
