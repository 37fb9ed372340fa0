"""The stop button, paused campaigns and open circuits: rows that every worker looks at before each message."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from dunning_pipeline.ledger import audit, home
from dunning_pipeline.ledger.schema import switches


def switch_on(
    connection: Connection, name: str, *, actor: str, reason: str | None, at: datetime, value: Any = True
) -> bool:
    """Set `stop`, `campaign:<name>` or `circuit:<provider>`; False where it is set already."""
    if connection.scalar(select(switches.c.name).where(switches.c.name == name)) is not None:
        return False
    connection.execute(switches.insert().values(name=name, value=value, reason=reason, set_by=actor, set_at=at))
    audit.record(
        connection, actor=actor, action="switch.on", object_kind="switch", object_id=name, reason=reason, at=at
    )
    return True


def switch_off(connection: Connection, name: str, *, actor: str, at: datetime) -> bool:
    """Clear a switch; False where it was not set."""
    cleared = bool(connection.execute(delete(switches).where(switches.c.name == name)).rowcount)
    if cleared:
        audit.record(connection, actor=actor, action="switch.off", object_kind="switch", object_id=name, at=at)
    return cleared


def stop_where_away(connection: Connection, *, actor: str, at: datetime) -> bool:
    """Press the stop button where the ledger is a copy; True where it is one, whoever has pressed it."""
    found = home.away(connection)
    if found is not None:
        switch_on(connection, "stop", actor=actor, reason=found.reason, at=at, value=found.here)
    return found is not None


def resume(connection: Connection, *, actor: str, at: datetime) -> tuple[bool, str | None]:
    """Clear the stop button, and make this place the ledger's home: whether it was pressed, and why it is still.

    It stays where nobody could know yet that the ledger is a copy: pressed for something else, or before it was copied.
    """
    found = home.away(connection)
    known = connection.scalar(select(switches.c.value).where(switches.c.name == "stop"))
    is_told = found is None or (isinstance(known, dict) and home.other_in(known, found.here) is None)
    was_stopped = switch_off(connection, "stop", actor=actor, at=at)
    if found is not None and not is_told:
        stop_where_away(connection, actor=actor, at=at)
        return was_stopped, found.reason
    if found is not None:
        home.settle(connection, actor=actor, at=at)
    return was_stopped, None


def switched_on(connection: Connection) -> dict[str, str | None]:
    """Every switch that is set, with its reason."""
    return {row.name: row.reason for row in connection.execute(select(switches.c.name, switches.c.reason))}
