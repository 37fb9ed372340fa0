"""The guard of statement details looks once per statement on PostgreSQL; guards are renewed with every upgrade."""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Nothing to do here: `migrating` takes the guards off before an upgrade and puts the newest back after it."""
