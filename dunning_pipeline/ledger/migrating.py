"""Brings a ledger to the newest schema before anybody uses it; two processes that open it first do not collide."""

from sqlalchemy import Connection, Engine, inspect, text

from dunning_pipeline.ledger.guards import guard_statements
from dunning_pipeline.ledger.schema import metadata

_LOCK = 7_203_140  # any constant: the advisory lock of ledger migrations on PostgreSQL


def migrate(engine: Engine) -> None:
    """Create the tables and guards where they are missing."""
    if inspect(engine).has_table("audit"):
        return
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if not inspect(connection).has_table("audit"):
            _create(connection)


def _create(connection: Connection) -> None:
    metadata.create_all(connection)
    for statement in guard_statements(connection.dialect.name):
        connection.exec_driver_sql(statement)
