"""Where the ledger was when messages left: a copy finds that it is one before it says everything again."""

import sqlalchemy as sa
from alembic import op

from dunning_pipeline.ledger.types import Instant, Json

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """A ledger of before has no home yet: the first sending makes it at home where it is."""
    op.create_table(
        "homes",
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("identity", Json(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_homes")),
    )
