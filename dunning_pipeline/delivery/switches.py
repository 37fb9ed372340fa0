"""The stop button, paused campaigns and open circuits: rows that every worker looks at before each message."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from dunning_pipeline.ledger import audit
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


def switched_on(connection: Connection) -> dict[str, str | None]:
    """Every switch that is set, with its reason."""
    return {row.name: row.reason for row in connection.execute(select(switches.c.name, switches.c.reason))}
