"""${message}."""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
from dunning_pipeline.ledger.types import Instant, Json

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
