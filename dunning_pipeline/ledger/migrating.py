"""Brings a ledger to the newest schema before anybody uses it; two processes that open it first do not collide."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text

from dunning_pipeline.errors import Refused
from dunning_pipeline.ledger.guards import drop_statements, guard_statements
from dunning_pipeline.ledger.schema import metadata

HEAD = "0008"  # the newest revision in migrations/versions; a test holds it to the files
LOCK_WAIT_MS = 30_000  # as long as a writer waits on SQLite
_LOCK = 7_203_140  # any constant: the advisory lock of ledger migrations on PostgreSQL


def migrate(engine: Engine) -> None:
    """Upgrade the ledger to HEAD and renew its guards; a no-op, without loading Alembic, where it is there already.

    Raises Refused for a ledger that a newer release made.
    """
    if current_revision(engine) == HEAD:
        return
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            # who still works by the former release: without an end the change would wait, and everybody behind it
            connection.execute(text("select set_config('lock_timeout', :ms, true)"), {"ms": str(LOCK_WAIT_MS)})
        if _revision(connection) != HEAD:  # nobody was faster
            _upgrade(connection)


def current_revision(engine: Engine) -> str | None:
    """The revision that the ledger is at; None for an empty database."""
    with engine.connect().execution_options(ledger_reads=True) as connection:
        return _revision(connection)


def head_revision() -> str:
    """The newest revision that this release knows."""
    return HEAD


def alembic_config(connection: Connection | None = None) -> Any:
    """Alembic's configuration, made here: there is no alembic.ini."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(text("select version_num from alembic_version"))


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = _revision(connection)
    if current is not None and current not in known:
        raise Refused(
            f"this ledger was made by a newer release (revision {current})",
            remedy="install that release; the way back is a backup of before the upgrade",
        )
    tables = set(inspect(connection).get_table_names())
    if current is None and (others := sorted(tables & metadata.tables.keys())):
        raise Refused(
            f"this database has tables of somebody else that are called as the ledger's: {', '.join(others[:5])}",
            remedy="make a database for the ledger alone, with `createdb`, and name it in DUNNING_LEDGER_URL",
        )
    # guards are derived from the schema, so they go before it changes and come back after
    for statement in drop_statements(connection.dialect.name, tables):
        connection.exec_driver_sql(statement)
    command.upgrade(config, "head")
    for statement in guard_statements(connection.dialect.name):
        connection.exec_driver_sql(statement)
