"""The tables. Ids are the callers' own texts, times whole microseconds (UTC), money whole fen.

`occurred_at` is when a thing happened, `recorded_at` when we learned of it: a training row sees
only what was recorded before its time.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
    text,
)

metadata = MetaData()

people = Table(
    "people",
    metadata,
    Column("person", Text, primary_key=True),
    Column("birth_date", Text),  # ISO date; null when unknown
    Column("zone", Text),  # tz name; null means the default zone
    Column("zone_from", BigInteger),  # until then `zone_before` holds; null: `zone` holds
    Column("zone_before", Text),
    Column("joined_at", BigInteger),
    Column("day_gifts_limit", BigInteger),  # the person's own limits; null when unset
    Column("day_fen_limit", BigInteger),
    Column("gift_fen_limit", BigInteger),
    Column("region", Text),  # whose law on minors applies; null when unknown
    Column("birth_at", BigInteger),  # when what live events told of each last happened
    Column("zone_at", BigInteger),
    Column("limits_at", BigInteger),
    Column("gift_limit_at", BigInteger),
    Column("region_at", BigInteger),
    Column("recorded_at", BigInteger, nullable=False),
)

consents = Table(
    "consents",
    metadata,
    Column("person", Text, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("since", BigInteger, primary_key=True),
    Column("until", BigInteger),
    Column("granted", Boolean, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

friendships = Table(
    "friendships",
    metadata,
    Column("person", Text, primary_key=True),
    Column("friend", Text, primary_key=True),
    Column("since", BigInteger, primary_key=True),
    Column("until", BigInteger),
    Column("recorded_at", BigInteger, nullable=False),
)

blocks = Table(
    "blocks",
    metadata,
    Column("person", Text, primary_key=True),
    Column("blocked", Text, primary_key=True),
    Column("since", BigInteger, primary_key=True),
    Column("until", BigInteger),
    Column("recorded_at", BigInteger, nullable=False),
)

items = Table(
    "items",
    metadata,
    Column("item", Text, primary_key=True),  # the sku
    Column("name", Text, nullable=False),
    Column("price_fen", BigInteger, nullable=False),
    Column("tier", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("mechanics", Text, nullable=False),
    Column("relations", Text, nullable=False),  # comma-separated
    Column("scenes", Text, nullable=False),  # comma-separated
    Column("brand", Text),
    Column("creator", Text),
    Column("stock", BigInteger),  # null means unlimited
    Column("sale_from", BigInteger),
    Column("sale_until", BigInteger),
    Column("odds_disclosed", Boolean),  # of a blind box; null means no
    Column("ip_owner", Text),  # of a co-branded edition
    # units that our gifts hold; `stock` is what is left beside them
    Column("stock_taken", BigInteger, nullable=False, server_default="0"),
    Column("recorded_at", BigInteger, nullable=False),
)

gifts = Table(
    "gifts",
    metadata,
    Column("gift", Text, primary_key=True),
    Column("sender", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("price_fen", BigInteger, nullable=False),
    Column("relation", Text, nullable=False),
    Column("scene", Text, nullable=False),
    Column("occasion", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),  # while held: when it was asked for
    Column("outcome_at", BigInteger),  # when it left `sent`
    Column("decision_id", Text),
    Column("payment_ref", Text),  # the caller's authorisation
    Column("terms", Text),  # JSON of engine.domain.money.Terms
    Column("sender_day", Integer),  # the local days whose counters it counts in
    Column("recipient_day", Integer),
    Column("due_at", BigInteger),  # when something happens to it by itself
    Column("events", Integer, nullable=False, server_default="0"),  # told of in the outbox
    Column("address", Text),  # where the recipient wants it
    Column("took_piece", Boolean, nullable=False, server_default=false()),  # of limited stock
    Column("recorded_at", BigInteger, nullable=False),
    Index(
        "gifts_payment",
        "payment_ref",
        unique=True,
        sqlite_where=text("payment_ref IS NOT NULL"),
        postgresql_where=text("payment_ref IS NOT NULL"),
    ),
    Index(
        "gifts_due",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index(
        "gifts_held",
        "occurred_at",
        "gift",
        sqlite_where=text("state = 'held'"),
        postgresql_where=text("state = 'held'"),
    ),
    Index("gifts_pair", "sender", "recipient", "occurred_at"),
    Index("gifts_sender", "sender", "occurred_at"),
    Index("gifts_recipient", "recipient", "occurred_at"),
    Index("gifts_occurred", "occurred_at"),
    Index(
        "gifts_decision",
        "decision_id",
        sqlite_where=text("decision_id IS NOT NULL"),
        postgresql_where=text("decision_id IS NOT NULL"),
    ),
)

reviews = Table(
    "reviews",
    metadata,
    Column("gift", Text, primary_key=True),
    Column("outcome", Text, nullable=False),  # sent or cancelled
    Column("decision_id", Text),  # of the second look before it was sent
    Column("reviewer", Text, nullable=False),  # a key's id
    Column("reviewer_name", Text, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
)

vouchers = Table(
    "vouchers",
    metadata,
    Column("gift", Text, primary_key=True),
    Column("code_hash", Text, nullable=False, unique=True),  # the code itself is kept nowhere
    Column("issued_at", BigInteger, nullable=False),
    Column("redeemed_at", BigInteger),
)

postings = Table(
    "postings",
    metadata,
    Column("gift", Text, primary_key=True),
    Column("entry", Integer, primary_key=True),  # 1, 2, 3… within the gift; each sums to zero
    Column("line", Integer, primary_key=True),
    Column("kind", Text, nullable=False),  # engine.domain.money.EntryKind
    Column("account", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("fen", BigInteger, nullable=False),
    Column("reverses", Integer),  # the entry of the same gift that this one undoes
    Column("occurred_at", BigInteger, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    # In the order of insertion, which on PostgreSQL is not the order of commits.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    # The place in the feed, given after the commit; SQLite, where both orders are one, reads seq.
    Column("position", BigInteger, unique=True),
    Column("gift", Text, nullable=False),
    Column("number", Integer, nullable=False),  # 1, 2, 3… within the gift
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON of engine.domain.gift_events.GiftEvent
    Column("recorded_at", BigInteger, nullable=False),
    Index("outbox_gift", "gift", "number", unique=True),
    sqlite_autoincrement=True,  # a pruned number is never given again
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("webhook", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),  # signs every delivery, so it is kept as it is
    Column("kinds", Text, nullable=False),  # comma-separated; empty for all
    Column("position", BigInteger, nullable=False),  # delivered up to here
    Column("attempts", Integer, nullable=False),  # failed deliveries of the next event
    Column("next_at", BigInteger, nullable=False),  # not before
    Column("leased_until", BigInteger, nullable=False),  # by the worker that delivers now
    Column("failing_since", BigInteger),
    Column("fault", Text),  # of the last attempt
    Column("created_at", BigInteger, nullable=False),
)

interactions = Table(
    "interactions",
    metadata,
    Column("event", Text, primary_key=True),
    Column("sender", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("weight", Float, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Index("interactions_pair", "sender", "recipient"),
)

item_events = Table(
    "item_events",
    metadata,
    Column("event", Text, primary_key=True),
    Column("person", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("kind", Text, nullable=False),  # bought, liked, wished
    Column("weight", Float, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Index("item_events_person", "person", "occurred_at"),
    Index("item_events_occurred", "occurred_at"),
)

offers = Table(
    "offers",
    metadata,
    Column("offer", Text, primary_key=True),
    Column("brand", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("item", Text),
    Column("value_fen", BigInteger, nullable=False),  # what the brand pays per redemption
    Column("price_fen", BigInteger, nullable=False),  # what the person pays
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

offer_events = Table(
    "offer_events",
    metadata,
    Column("event", Text, primary_key=True),
    Column("offer", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("kind", Text, nullable=False),  # shown, clicked, redeemed, held_out
    Column("occurred_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Index("offer_events_person", "person", "occurred_at"),
)

counters = Table(
    "counters",
    metadata,
    Column("scope", Text, primary_key=True),  # sender, pair or recipient
    Column("subject", Text, primary_key=True),
    # local day of the scope's person; 0, which counts nothing, for the lock on a sender
    Column("day", Integer, primary_key=True),
    Column("gifts", BigInteger, nullable=False),
    Column("fen", BigInteger, nullable=False),
)

ties = Table(
    "ties",
    metadata,
    Column("sender", Text, primary_key=True),
    Column("recipient", Text, primary_key=True),
    Column("state", LargeBinary, nullable=False),  # engine.domain.pair_state, default layout
    Column("newest_at", BigInteger, nullable=False),
    Index("ties_recipient", "recipient", "sender"),
)

tie_structure = Table(
    "tie_structure",
    metadata,
    # An unordered pair, the lesser id first (engine.domain.structure.ordered).
    Column("first", Text, primary_key=True),
    Column("second", Text, primary_key=True),
    Column("structure", LargeBinary, nullable=False),  # engine.domain.structure
    Column("as_of", BigInteger, nullable=False),
    sqlite_with_rowid=False,  # a check finds it in one descent instead of two
)

decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", Text, primary_key=True),
    Column("decision", Text, nullable=False),
    Column("purpose", Text, nullable=False),  # check, send, recommend, offer, evaluate
    Column("occurred_at", BigInteger, nullable=False),
    Column("effect", Text, nullable=False),
    Column("fired", Text, nullable=False),  # JSON
    Column("facts", Text, nullable=False),  # JSON
    Column("pack", Text, nullable=False),
    Column("pack_version", Integer, nullable=False),
    Column("pack_hash", Text, nullable=False),
    Column("latency_us", BigInteger, nullable=False),
    Index("decisions_occurred", "decision", "occurred_at"),
)

pack_versions = Table(
    "pack_versions",
    metadata,
    Column("pack", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("decides", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("body", Text, nullable=False),  # YAML as it was published
    Column("state", Text, nullable=False),  # draft, shadow, enforced, retired
    Column("effective_from", BigInteger, nullable=False),
    Column("effective_until", BigInteger),
    Column("author", Text, nullable=False),  # a key's id, or the folder it was seeded from
    Column("author_name", Text, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    Column("checks", Text, nullable=False),  # JSON: what lint and tests found
    Column("backtest", Text),  # JSON: the latest report
    Column("approver", Text),
    Column("approver_name", Text),
    Column("enforced_at", BigInteger),  # when it was last put in service; newest wins
)

pack_events = Table(
    "pack_events",
    metadata,
    Column("revision", BigInteger, primary_key=True),  # 1, 2, 3…: without gaps
    Column("pack", Text, nullable=False),
    Column("version", Integer, nullable=False),
    # engine.domain.pack_life.Action
    Column("action", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
)

backtests = Table(
    "backtests",
    metadata,
    Column("backtest", Text, primary_key=True),
    Column("state", Text, nullable=False),  # waiting, running, done, failed
    Column("decision", Text, nullable=False),
    Column("candidate", Text, nullable=False),  # YAML
    Column("since", BigInteger),
    Column("until", BigInteger),
    Column("replayed", BigInteger, nullable=False),  # decisions so far
    Column("total", BigInteger),
    Column("report", Text),  # JSON when done
    Column("fault", Text),  # why it failed
    Column("key_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("alive_at", BigInteger, nullable=False),  # the worker's last sign
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("body_hash", Text, nullable=False),
    Column("answer", Text, nullable=False),  # JSON
    Column("recorded_at", BigInteger, nullable=False),
    Index("idempotency_recorded", "recorded_at"),
)

received_events = Table(
    "received_events",
    metadata,
    Column("event", Text, primary_key=True),
    Column("body_hash", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", Text, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),  # comma-separated
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
)
