"""What sources call something else now: the keys by which the ledger knows it stay."""

import sqlalchemy as sa
from alembic import op

from dunning_pipeline.ledger.types import Instant

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "renamed_keys",
        sa.Column("renamed_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("new_key", sa.String(), nullable=False),
        sa.Column("old_key", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("noticed_at", Instant(), nullable=False),
        sa.Column("noticed_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("renamed_id", name=op.f("pk_renamed_keys")),
    )
