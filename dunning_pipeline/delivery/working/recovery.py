"""Around every `send`: takes back the claims of dead workers, queues again what was held by time; at its end, closes
the findings whose cause is gone."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, and_, exists, or_, select, text, update

from dunning_pipeline.delivery.working.fallback import ACTOR, UNREACHABLE
from dunning_pipeline.delivery.working.outcomes import after_sent, find_unsent
from dunning_pipeline.ledger.processes import is_dead, process_mark
from dunning_pipeline.ledger.schema import findings, leases, provider_events, send_attempts, sends
from dunning_pipeline.settings.workspace import Workspace

_DIED = "the process that sent it died"

# Holds that end without anybody touching the send; the gate judges them anew.
ENDS_BY_ITSELF = ("weekend", "holiday", "quiet_hours", "payment_data_old", "facts_unpublished", "campaign_paused")
# Holds whose cause a person may have removed since: judged anew once a run.
MAY_HAVE_ENDED = ("block", "dispute", *UNREACHABLE, "not_configured", "sandbox")

# A finding of delivery is over once nothing of this is so any more.
_CAUSES = {
    "send_unknown": "select 1 from sends where send_key = findings.object_id and status = 'unknown'",
    # a failed message of a statement that was replaced or voided is nobody's task any more
    "send_failed": """
        select 1 from sends left join statements on statements.statement_id = sends.statement_id
        where send_key = findings.object_id and sends.status = 'failed'
            and coalesce(statements.status, 'closed') in ('draft', 'closed')
    """,
    "charge_not_booked": """
        select 1 from blocks where target_key = findings.object_id and created_by = 'delivery' and ended_at is null
    """,
    "circuit_open": "select 1 from switches where name = 'circuit:' || findings.object_id",
    "channel_not_configured": """
        select 1 from sends where status = 'held' and reason = 'not_configured' and channel = findings.object_id
    """,
}

_other = sends.alias()
_REPLACED = exists().where(
    _other.c.statement_id == sends.c.statement_id,
    _other.c.send_key != sends.c.send_key,
    _other.c.created_by == ACTOR,
    _other.c.status.in_(("queued", "in_flight", "sent", "unknown")),
)


def recover(
    connection: Connection, ws: Workspace, *, now: datetime, was_written: Callable[[str, str], bool | None]
) -> dict[str, int]:
    """Take back the claims of dead workers; counts per outcome (queued, sent, unknown).

    A send that had not begun to leave is queued again. One that had is `sent` where the provider's event with our
    key is here already, or where `was_written(provider, key)` knows (True sent, False never written: queued again,
    None cannot tell); otherwise it may have left and becomes `unknown`.
    """
    counts = {"queued": 0, "sent": 0, "unknown": 0}
    real = datetime.now(UTC)
    live = {
        name.removeprefix("worker:")
        for name in connection.scalars(
            select(leases.c.name).where(leases.c.name.like("worker:%"), leases.c.expires_at > real)
        )
    }
    dead: dict[str, bool] = {}
    flying = select(sends).where(sends.c.status == "in_flight").with_for_update(skip_locked=True)
    for row in connection.execute(flying).mappings().all():
        holder = row["claimed_by"] or ""
        if holder not in dead:
            dead[holder] = is_dead(holder, live_leases=live)
        if dead[holder]:
            counts[_take_over(connection, ws, row, now, was_written)] += 1
    return counts


def _take_over(
    connection: Connection, ws: Workspace, row: Any, now: datetime, was_written: Callable[..., bool | None]
) -> str:
    key = row["send_key"]
    status = "queued" if row["phase"] != "leaving" else _what_is_known(connection, row, was_written)
    values: dict[str, Any] = {"status": status, "phase": None, "claimed_by": None, "claimed_at": None}
    if status == "sent":
        values["sent_at"] = now
    elif status == "unknown":
        values["reason"] = _DIED
    connection.execute(update(sends).where(sends.c.send_key == key, sends.c.status == "in_flight").values(**values))
    if status == "queued":
        return status
    connection.execute(
        send_attempts.insert().values(
            attempt_id=f"{key}:{row['attempts']}:recovered",
            send_key=key,
            attempt=row["attempts"],
            outcome=status,
            provider=row["provider"],
            answer="taken back from a worker that died",
            at=now,
            by=process_mark(),
        )
    )
    if status == "sent":
        after_sent(connection, ws, [row], now=now)
    else:
        find_unsent(connection, row, status=status, reason=_DIED, now=now)
    return status


def _what_is_known(connection: Connection, row: Any, was_written: Callable[..., bool | None]) -> str:
    written = was_written(row["provider"] or "", row["send_key"])
    if written is not None:
        return "sent" if written else "queued"
    event = select(provider_events.c.event_id).where(provider_events.c.send_key == row["send_key"]).limit(1)
    return "sent" if connection.scalar(event) else "unknown"


def queue_held_again(connection: Connection, *, now: datetime, send_now: bool) -> int:
    """Queue again what was held by time and is due, and what may have been released since; how many.

    The gate holds them again where the reason stands.
    """
    due = or_(sends.c.due_at <= now, sends.c.send_now) if not send_now else sends.c.status == "held"
    return connection.execute(
        update(sends)
        .where(
            sends.c.status == "held",
            or_(sends.c.reason.in_(ENDS_BY_ITSELF), sends.c.reason.in_(MAY_HAVE_ENDED)),
            # who got a letter instead, say, does not get the mail as well once he may be written to again
            ~and_(sends.c.reason.in_(UNREACHABLE), _REPLACED),
            due,
        )
        .values(status="queued", next_attempt_at=None)
    ).rowcount


def close_settled_findings(connection: Connection, *, now: datetime) -> None:
    """Mark as done what an event, a person, a second try or a newer statement has settled since it was found."""
    for kind, cause in _CAUSES.items():
        connection.execute(
            update(findings)
            .where(findings.c.kind == kind, findings.c.status == "open", text(f"not exists ({cause})"))
            .values(status="done", done_at=now, done_by=ACTOR)
        )
