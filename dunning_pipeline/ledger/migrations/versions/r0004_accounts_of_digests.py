"""The accounts of a digest: one message to a contact point over several accounts is found from each of them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "send_accounts",
        sa.Column("send_key", sa.String(), nullable=False),
        sa.Column("account_key", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("send_key", "account_key", name=op.f("pk_send_accounts")),
    )
    op.create_index("ix_send_accounts_account_key", "send_accounts", ["account_key"], unique=False)
