"""Who is working on which send: claiming under a guard, saying that the worker lives, and giving back."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Exists, and_, delete, exists, or_, select, update

from dunning_pipeline.delivery.queue import RENDERED
from dunning_pipeline.ledger.bulk import read_many, write_stored
from dunning_pipeline.ledger.processes import process_mark
from dunning_pipeline.ledger.schema import leases, sends
from dunning_pipeline.ledger.types import instant_text

LEASE = timedelta(minutes=2)  # renewed every 20 s; counts only for workers of other machines

_CLAIM = """
update sends set status = 'in_flight', phase = 'claimed', claimed_by = told.value ->> 'worker',
    claimed_at = told.value ->> 'at'
from {told} where sends.send_key = told.value ->> 'key'
"""
# all that a worker asks of a send; not what was or becomes of it
_AFTERWARDS = (
    "delivery", "delivery_at", "next_attempt_at", "claimed_at", "queued_at", "sent_at", "held_back_at", "created_by"
)  # fmt: skip
_READ = tuple(name for name in sends.columns.keys() if name not in _AFTERWARDS)  # noqa: SIM118 — not a dict


def renew_lease(connection: Connection, *, at: datetime | None = None) -> None:
    """Say that this process is alive; at least every LEASE, on the real clock."""
    real = at or datetime.now(UTC)
    name = f"worker:{process_mark()}"
    values = {"holder": process_mark(), "expires_at": real + LEASE}
    if not connection.execute(update(leases).where(leases.c.name == name).values(**values)).rowcount:
        connection.execute(leases.insert().values(name=name, acquired_at=real, **values))


def end_lease(connection: Connection) -> None:
    connection.execute(delete(leases).where(leases.c.name == f"worker:{process_mark()}"))


def claim(
    connection: Connection,
    *,
    worker: str,
    now: datetime,
    limit: int,
    send_now: bool = False,
    channels: Collection[str] | None = None,
    avoid: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Take up to `limit` due sends for `worker` (process identity/number); the rows, oldest first.

    `send_now` takes those too whose hour has not come. On SQLite the caller's transaction holds the write lock, on
    PostgreSQL rows claimed by others are skipped: nobody claims a row twice. `avoid` are channels whose way out is
    closed at the moment.
    """
    real = datetime.now(UTC)
    due = [sends.c.status == "queued", or_(sends.c.next_attempt_at.is_(None), sends.c.next_attempt_at <= real)]
    if not send_now:
        due.append(or_(sends.c.due_at <= now, sends.c.send_now))
    if channels is not None:
        due.append(sends.c.channel.in_(list(channels)))
    if avoid:
        due.append(sends.c.channel.not_in(list(avoid)))
    due.append(~charge_comes_first(avoid))
    picked = (
        select(sends.c.send_key)
        .where(and_(*due))
        .order_by(sends.c.due_at, sends.c.send_key)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    keys = list(connection.scalars(picked))
    if not keys:
        return []
    values = {"worker": worker, "at": instant_text(real)}
    write_stored(connection, _CLAIM, [{"key": key, **values} for key in keys])
    rows = read_many(connection, sends, _READ, key="send_key", values=keys)
    place = {key: number for number, key in enumerate(keys)}
    return sorted(rows, key=lambda row: place[row["send_key"]])


def charge_comes_first(avoid: Collection[str]) -> Exists:
    """A statement's payment retry is tried, and its outcome known, before its messages ask for the same money."""
    charge = sends.alias()
    waits = and_(charge.c.status == "queued", charge.c.due_at <= sends.c.due_at)
    under_way = charge.c.status.in_(("in_flight", "unknown"))
    return exists().where(
        sends.c.channel.in_(RENDERED),
        charge.c.statement_id == sends.c.statement_id,
        charge.c.channel == "payment_retry",
        under_way if "payment_retry" in avoid else or_(waits, under_way),
    )


def give_back(connection: Connection, *, worker: str) -> int:
    """Queue again what `worker` claimed and has not begun to send; how many."""
    return connection.execute(
        update(sends)
        .where(sends.c.claimed_by == worker, sends.c.status == "in_flight", sends.c.phase != "leaving")
        .values(status="queued", phase=None, claimed_by=None, claimed_at=None)
    ).rowcount
