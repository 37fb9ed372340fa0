"""Leases: one dunning run, one recovery at a time; a dead holder's lease is taken over, a living one's never."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import Connection, Engine, delete, select, update
from sqlalchemy.exc import DBAPIError

from dunning_pipeline.errors import Busy
from dunning_pipeline.ledger.bulk import insert_unless_there
from dunning_pipeline.ledger.processes import is_dead, process_mark
from dunning_pipeline.ledger.schema import leases

TTL_SECONDS = 60.0


@contextmanager
def hold(engine: Engine, name: str, *, ttl_seconds: float = TTL_SECONDS) -> Iterator[str]:
    """Hold the lease `name` while the block runs, renewed in the background; yields the holder's text.

    Raises Busy ("already running") while a living process holds it. Uses the real clock, never the business clock.
    """
    holder = f"{process_mark()}:{uuid4().hex[:8]}"
    with engine.begin() as connection:
        _take(connection, name, holder, ttl_seconds)
    done = threading.Event()
    keeper = threading.Thread(target=_renew, args=(engine, name, holder, ttl_seconds, done), daemon=True)
    keeper.start()
    try:
        yield holder
    finally:
        done.set()
        keeper.join(timeout=5)
        with engine.begin() as connection:
            connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))


def _take(connection: Connection, name: str, holder: str, ttl_seconds: float) -> None:
    now = datetime.now(UTC)
    until = now + timedelta(seconds=ttl_seconds)
    current = connection.execute(select(leases).where(leases.c.name == name).with_for_update()).one_or_none()
    values = {"holder": holder, "acquired_at": now, "expires_at": until}
    if current is None:
        if not insert_unless_there(connection, leases, [{"name": name, **values}]):
            # PostgreSQL: another process was first between our look and our insert
            raise _already_running(name, "another process")
    elif current.expires_at < now or is_dead(current.holder):
        connection.execute(update(leases).where(leases.c.name == name).values(**values))
    else:
        raise _already_running(name, current.holder)


def _already_running(name: str, holder: str) -> Busy:
    return Busy(f"already running: {name} (held by {holder})", remedy="wait until it is done; nothing was changed")


def _renew(engine: Engine, name: str, holder: str, ttl_seconds: float, done: threading.Event) -> None:
    while not done.wait(ttl_seconds / 3):
        # a server that is away for a moment must not cost the lease: the next turn comes before it ends
        with suppress(DBAPIError), engine.begin() as connection:
            until = datetime.now(UTC) + timedelta(seconds=ttl_seconds)
            connection.execute(
                update(leases).where(leases.c.name == name, leases.c.holder == holder).values(expires_at=until)
            )
