"""Whether a gift took a piece of limited stock."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("gifts", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("took_piece", sa.Boolean(), server_default=sa.false(), nullable=False)
        )

    # What had no limit when it was sent and has one now cannot be told from the rest: each gift of
    # a limited item is taken to hold a piece, as it was until now.
    op.execute(
        "UPDATE gifts SET took_piece = TRUE WHERE origin = 'live'"
        " AND item IN (SELECT item FROM items WHERE stock IS NOT NULL)"
    )


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("gifts", schema=None) as batch_op:
        batch_op.drop_column("took_piece")
