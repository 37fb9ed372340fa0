"""Ledgers as earlier releases left them, on both databases."""

from alembic import command as alembic
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url

from dunning_pipeline.ledger.engine import sqlite_file
from dunning_pipeline.ledger.migrating import alembic_config
from dunning_pipeline.settings.workspace import Workspace


def driver_url(ws: Workspace) -> URL:
    return make_url(ws.ledger_url).set(drivername="sqlite" if sqlite_file(ws.ledger_url) else "postgresql+psycopg")


def at_revision(ws: Workspace, revision: str) -> None:
    """Make the ledger of a release that knew this revision; there must be none yet."""
    file = sqlite_file(ws.ledger_url)
    if file is not None:
        file.parent.mkdir(parents=True)
    engine = create_engine(driver_url(ws))
    with engine.begin() as connection:
        alembic.upgrade(alembic_config(connection), revision)
    engine.dispose()
