"""The life of gifts and their money."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("gift", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("position"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index("outbox_gift", ["gift", "number"], unique=True)

    op.create_table(
        "postings",
        sa.Column("gift", sa.Text(), nullable=False),
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("reverses", sa.Integer(), nullable=True),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("gift", "entry", "line"),
    )
    op.create_table(
        "reviews",
        sa.Column("gift", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("decision_id", sa.Text(), nullable=True),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("reviewer_name", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("gift"),
    )
    op.create_table(
        "vouchers",
        sa.Column("gift", sa.Text(), nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("redeemed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("gift"),
        sa.UniqueConstraint("code_hash"),
    )
    op.create_table(
        "webhooks",
        sa.Column("webhook", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("leased_until", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("webhook"),
    )
    with op.batch_alter_table("gifts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("payment_ref", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("terms", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("sender_day", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("recipient_day", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("due_at", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("events", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("address", sa.Text(), nullable=True))
        batch_op.create_index(
            "gifts_due",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("due_at IS NOT NULL"),
            postgresql_where=sa.text("due_at IS NOT NULL"),
        )
        batch_op.create_index(
            "gifts_held",
            ["occurred_at", "gift"],
            unique=False,
            sqlite_where=sa.text("state = 'held'"),
            postgresql_where=sa.text("state = 'held'"),
        )
        batch_op.create_index(
            "gifts_payment",
            ["payment_ref"],
            unique=True,
            sqlite_where=sa.text("payment_ref IS NOT NULL"),
            postgresql_where=sa.text("payment_ref IS NOT NULL"),
        )

    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.create_index("idempotency_recorded", ["recorded_at"], unique=False)

    with op.batch_alter_table("items", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ip_owner", sa.Text(), nullable=True))
        batch_op.add_column(
            sa.Column("stock_taken", sa.BigInteger(), server_default="0", nullable=False)
        )

    # Gifts of before have neither payment nor counted days: they become history, outside the
    # proofs, and what they counted is forgotten with them.
    op.execute("UPDATE gifts SET origin = 'imported' WHERE origin = 'live'")
    op.execute("DELETE FROM counters")


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("items", schema=None) as batch_op:
        batch_op.drop_column("stock_taken")
        batch_op.drop_column("ip_owner")

    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.drop_index("idempotency_recorded")

    with op.batch_alter_table("gifts", schema=None) as batch_op:
        batch_op.drop_index(
            "gifts_payment",
            sqlite_where=sa.text("payment_ref IS NOT NULL"),
            postgresql_where=sa.text("payment_ref IS NOT NULL"),
        )
        batch_op.drop_index(
            "gifts_held",
            sqlite_where=sa.text("state = 'held'"),
            postgresql_where=sa.text("state = 'held'"),
        )
        batch_op.drop_index(
            "gifts_due",
            sqlite_where=sa.text("due_at IS NOT NULL"),
            postgresql_where=sa.text("due_at IS NOT NULL"),
        )
        batch_op.drop_column("address")
        batch_op.drop_column("events")
        batch_op.drop_column("due_at")
        batch_op.drop_column("recipient_day")
        batch_op.drop_column("sender_day")
        batch_op.drop_column("terms")
        batch_op.drop_column("payment_ref")

    op.drop_table("webhooks")
    op.drop_table("vouchers")
    op.drop_table("reviews")
    op.drop_table("postings")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index("outbox_gift")

    op.drop_table("outbox")
