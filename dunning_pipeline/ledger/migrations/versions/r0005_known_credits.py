"""What credits an account had when its statement was decided: a statement waits for no credit that came since."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Statements of before know none: they are not compared."""
    op.add_column("statements", sa.Column("open_credits_minor", sa.BigInteger(), nullable=True))
