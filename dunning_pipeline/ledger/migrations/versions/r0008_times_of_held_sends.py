"""When a send was held, cancelled or superseded: its history has a line for what never left."""

import sqlalchemy as sa
from alembic import op

from dunning_pipeline.ledger.types import Instant

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Sends of before have no such time; nobody noted it."""
    op.add_column("sends", sa.Column("held_back_at", Instant(), nullable=True))
