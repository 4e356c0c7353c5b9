"""Versions of packs, and what the full rules ask."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "backtests",
        sa.Column("backtest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("candidate", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("replayed", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("alive_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("backtest"),
    )
    op.create_table(
        "pack_events",
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("revision"),
    )
    op.create_table(
        "pack_versions",
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("decides", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("effective_from", sa.BigInteger(), nullable=False),
        sa.Column("effective_until", sa.BigInteger(), nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("checks", sa.Text(), nullable=False),
        sa.Column("backtest", sa.Text(), nullable=True),
        sa.Column("approver", sa.Text(), nullable=True),
        sa.Column("approver_name", sa.Text(), nullable=True),
        sa.Column("enforced_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("pack", "version"),
    )
    with op.batch_alter_table("gifts", schema=None) as batch_op:
        batch_op.create_index(
            "gifts_decision",
            ["decision_id"],
            unique=False,
            sqlite_where=sa.text("decision_id IS NOT NULL"),
            postgresql_where=sa.text("decision_id IS NOT NULL"),
        )
        batch_op.create_index("gifts_sender", ["sender", "occurred_at"], unique=False)

    with op.batch_alter_table("items", schema=None) as batch_op:
        batch_op.add_column(sa.Column("odds_disclosed", sa.Boolean(), nullable=True))

    with op.batch_alter_table("people", schema=None) as batch_op:
        batch_op.add_column(sa.Column("gift_fen_limit", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("region", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("gift_limit_at", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("region_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("people", schema=None) as batch_op:
        batch_op.drop_column("region_at")
        batch_op.drop_column("gift_limit_at")
        batch_op.drop_column("region")
        batch_op.drop_column("gift_fen_limit")

    with op.batch_alter_table("items", schema=None) as batch_op:
        batch_op.drop_column("odds_disclosed")

    with op.batch_alter_table("gifts", schema=None) as batch_op:
        batch_op.drop_index("gifts_sender")
        batch_op.drop_index(
            "gifts_decision",
            sqlite_where=sa.text("decision_id IS NOT NULL"),
            postgresql_where=sa.text("decision_id IS NOT NULL"),
        )

    op.drop_table("pack_versions")
    op.drop_table("pack_events")
    op.drop_table("backtests")
