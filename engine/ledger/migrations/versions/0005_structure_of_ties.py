"""The structure around pairs, and tie states in their new layout."""

import sqlalchemy as sa
from alembic import op

from engine.ledger.ties import rebuild_ties

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "tie_structure",
        sa.Column("first", sa.Text(), nullable=False),
        sa.Column("second", sa.Text(), nullable=False),
        sa.Column("structure", sa.LargeBinary(), nullable=False),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("first", "second"),
        sqlite_with_rowid=False,
    )

    # Whoever asks for the ties that lead to somebody is answered from the index alone.
    with op.batch_alter_table("ties", schema=None) as batch_op:
        batch_op.drop_index("ties_recipient")
        batch_op.create_index("ties_recipient", ["recipient", "sender"], unique=False)

    # States follow from the log and are only ever of the layout that the running code reads. So
    # they are made by that code, not by a copy of it as it is today: should the layout change
    # again, this step makes states of that layout at once, and the step of that change once more.
    rebuild_ties(op.get_bind())


def downgrade() -> None:
    """Undo."""
    # The code of before reads no state of this layout; `lishang rebuild ties` makes its own.
    op.execute("DELETE FROM ties")
    with op.batch_alter_table("ties", schema=None) as batch_op:
        batch_op.drop_index("ties_recipient")
        batch_op.create_index("ties_recipient", ["recipient"], unique=False)

    op.drop_table("tie_structure")
