"""Writes down that a message leaves and what became of it: guarded transitions, one attempt row per outcome."""

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, literal, or_, select, update

from dunning_pipeline.delivery.payments import payment_declined, payment_taken
from dunning_pipeline.delivery.permission.suppressions import suppress
from dunning_pipeline.delivery.providers.protocol import Answer
from dunning_pipeline.delivery.switches import switched_on
from dunning_pipeline.ledger.bulk import chunks, lock_rows, write_stored
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.ledger.schema import sends, statements
from dunning_pipeline.ledger.types import Instant, instant_text
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.levels import REMINDS, record_reached, without_reminder

MAX_ATTEMPTS = 12
FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 900.0

_FREE = {"phase": None, "claimed_by": None, "claimed_at": None}
_mine = and_(
    sends.c.send_key == bindparam("k"),
    # late evidence: a claim that was taken back as unknown is settled by the answer that arrives after all
    or_(and_(sends.c.status == "in_flight", sends.c.claimed_by == bindparam("w")), sends.c.status == "unknown"),
)


# One statement for many messages: SQLAlchemy's way to the same rows costs more than the rows, and on SQLite each step
# of a statement lets all other threads run first. The last guard stands in the statement itself. Rows are to be found
# by their key: `coalesce` keeps the planner from looking at all that have the status.
_LEAVE = """
update sends set phase = 'leaving', attempts = attempts + 1, provider = told.value ->> 'provider'
from {told}
where sends.send_key = told.value ->> 'key' and sends.claimed_by = told.value ->> 'worker'
    and coalesce(sends.status, '') = 'in_flight'
    and not exists (select 1 from switches where name = 'stop')
    and not exists (select 1 from switches where name = 'campaign:' || sends.campaign)
    and (sends.statement_id is null or sends.kind = 'draft' or exists (
        select 1 from statements where statements.statement_id = sends.statement_id and statements.status = 'closed'))
"""
_SENT = """
update sends set status = 'sent', provider_message_id = told.value ->> 'message_id', sent_at = told.value ->> 'at',
    reason = null, phase = null, claimed_by = null, claimed_at = null
from {told}
where sends.send_key = told.value ->> 'key'
    and (coalesce(sends.status, '') = 'in_flight' and sends.claimed_by = told.value ->> 'worker'
        or coalesce(sends.status, '') = 'unknown')
"""
_ATTEMPT = """
insert into send_attempts
    (attempt_id, send_key, attempt, outcome, provider, provider_status, answer, rendered_sha256, at, by)
select told.value ->> 'attempt_id', told.value ->> 'send_key', cast(told.value ->> 'attempt' as integer),
    told.value ->> 'outcome', told.value ->> 'provider', told.value ->> 'provider_status', told.value ->> 'answer',
    told.value ->> 'rendered_sha256', told.value ->> 'at', told.value ->> 'by'
from {told}
"""
_LOADS = "select count(*) from stream_loads"


def number_of_loads(connection: Connection) -> int:
    """How many loads the ledger knows: another number than before means that something was read since."""
    driver = connection.connection.driver_connection  # asked before each departure
    assert driver is not None
    return int(driver.execute(_LOADS).fetchone()[0])


Leaving = tuple[Sequence[Mapping[str, Any]], str, int]  # claimed rows, provider, number of loads they were judged on


def leave_together(connection: Connection, asked: Sequence[Leaving]) -> list[set[str]]:
    """Write down that claimed sends leave now; for each asker the keys that may. One statement, and one sync, for all.

    Guarded in the same statement: still claimed by the same worker, no stop button, campaign not paused, statement
    still closed. Nothing passes where another number of loads than the asker's is known: what was just read has to be
    judged first. What does not pass keeps its claim.
    """
    ids = {row["statement_id"] for rows, _, _ in asked for row in rows if row["statement_id"]}
    lock_rows(connection, statements, key="statement_id", values=ids)  # who voids one now comes before us, or after
    known = number_of_loads(connection)
    told = [
        {"key": row["send_key"], "worker": row["claimed_by"], "provider": provider}
        for rows, provider, loads in asked
        if loads == known
        for row in rows
    ]
    left = {one["key"]: one["worker"] for one in told}
    if write_stored(connection, _LEAVE, told) < len(told):  # which ones were guarded from leaving?
        found: dict[str, str] = {}
        for some in chunks(left):
            leaving = select(sends.c.send_key, sends.c.claimed_by).where(sends.c.phase == "leaving")
            found |= dict(connection.execute(leaving.where(sends.c.send_key.in_(some))).tuples().all())
        left = {key: worker for key, worker in left.items() if found.get(key) == worker}
    return [{row["send_key"] for row in rows if row["send_key"] in left} for rows, _, _ in asked]


def record(
    connection: Connection,
    ws: Workspace,
    done: Iterable[tuple[Mapping[str, Any], Answer, str | None]],
    *,
    now: datetime,
) -> None:
    """Write down what became of sends: (row as claimed, answer, SHA-256 of what was rendered) each."""
    done = list(done)
    sent = [(row, answer, digest) for row, answer, digest in done if answer.kind == "sent"]
    if sent:
        _record_sent(connection, ws, sent, now)
    for row, answer, digest in done:
        if answer.suppress and answer.address:
            origin = f"provider answer to {row['send_key']}"
            suppress(connection, answer.address, channel=row["channel"], reason=answer.suppress, origin=origin, at=now)
        if answer.kind != "sent":
            _record_other(connection, ws, row, answer, digest, now)
    unknown = [row for row, answer, _ in done if answer.kind == "unknown"]
    if unknown:
        from dunning_pipeline.delivery.working.resolving import settle_told

        settle_told(connection, ws, unknown, now=now)


Recording = tuple[Workspace, Sequence[tuple[Mapping[str, Any], Answer, str | None]], datetime]


def record_together(connection: Connection, asked: Sequence[Recording]) -> list[None]:
    """`record` for many workers at once."""
    ws, now = asked[0][0], max(at for _, _, at in asked)
    record(connection, ws, [one for _, done, _ in asked for one in done], now=now)
    return [None] * len(asked)


def _record_sent(connection: Connection, ws: Workspace, sent: Sequence[tuple[Any, Answer, Any]], now: datetime) -> None:
    at = instant_text(now)
    told = [
        {"key": row["send_key"], "worker": row["claimed_by"], "message_id": answer.message_id, "at": at}
        for row, answer, _ in sent
    ]
    write_stored(connection, _SENT, told)
    _write_attempts(connection, sent, now)
    after_sent(connection, ws, [row for row, _, _ in sent], now=now)
    for row, answer, _ in sent:
        if row["channel"] == "payment_retry":
            taken = {**row, "provider_message_id": answer.message_id}
            payment_taken(connection, ws, taken, state=answer.status or "succeeded", now=now)


def _record_other(
    connection: Connection, ws: Workspace, row: Mapping[str, Any], answer: Answer, digest: str | None, now: datetime
) -> None:
    attempt = row["attempts"] + 1
    reason = answer.detail or answer.status or answer.kind
    values: dict[str, Any] = {"reason": reason, **_FREE}
    if answer.kind == "refused" and _may_be_tried_again(connection, row, answer):
        pause = backoff_seconds(attempt, retry_after_seconds=answer.retry_after_seconds)
        values |= {"status": "queued", "next_attempt_at": datetime.now(UTC) + timedelta(seconds=pause)}
    elif answer.kind == "locked_out":
        values |= {"status": "queued", "attempts": row["attempts"]}
    elif answer.kind == "unknown":
        values["status"] = "unknown"
    elif answer.kind == "validated":
        values |= {"status": "held", "reason": "sandbox", "held_back_at": now}
    else:
        values["status"] = "failed"
    changed = connection.execute(
        update(sends).where(_mine).values(**values), {"k": row["send_key"], "w": row["claimed_by"]}
    ).rowcount
    _write_attempts(connection, [(row, answer, digest)], now)
    if answer.declined:
        payment_declined(connection, ws, row, reason=answer.detail, now=now)
    elif (
        changed and values["status"] == "failed" and answer.suppress and row["statement_id"] and row["kind"] != "draft"
    ):
        from dunning_pipeline.delivery.events.bounces import another_way

        another_way(connection, ws, row, now=now, why=reason)  # as where an event tells it later
    elif changed and values["status"] in ("failed", "unknown"):
        find_unsent(connection, row, status=values["status"], reason=reason, now=now)


def find_unsent(connection: Connection, row: Mapping[str, Any], *, status: str, reason: str, now: datetime) -> None:
    """A person's task: a send that failed, or of which nobody knows whether it left."""
    raise_finding(
        connection,
        kind=f"send_{status}",
        object_kind="send",
        object_id=row["send_key"],
        severity="error" if status == "failed" else "warning",
        message=f"the {row['channel']} could not be sent: {reason}"
        if status == "failed"
        else f"nobody knows whether the {row['channel']} left: {reason}",
        at=now,
    )


def _may_be_tried_again(connection: Connection, row: Mapping[str, Any], answer: Answer) -> bool:
    """A few times; as often as need be where the provider names a time or takes nothing from anybody."""
    if row["attempts"] + 1 < MAX_ATTEMPTS or answer.retry_after_seconds is not None:
        return True
    return f"circuit:{row['provider']}" in switched_on(connection)


def after_sent(connection: Connection, ws: Workspace, rows: Iterable[Mapping[str, Any]], *, now: datetime) -> None:
    """What a sent message means elsewhere: its statement's items have reached their level."""
    sent_on = now.astimezone(ws.company.zone).date()
    of_statements = [row for row in rows if row["statement_id"] and row["kind"] not in ("draft", "account")]
    if not of_statements:
        return
    reminded = {row["statement_id"] for row in of_statements if row["channel"] in REMINDS}
    instead = {row["statement_id"] for row in of_statements} - reminded
    reached = reminded | without_reminder(connection, instead) if instead else reminded
    if reached:
        record_reached(connection, statement_ids=sorted(reached), sent_on=sent_on, now=now)


def hold(connection: Connection, row: Mapping[str, Any], *, reason: str, until: datetime | None, at: datetime) -> None:
    """Hold a claimed send; `until` is when time alone would release it. One that is held again is held since then."""
    still = and_(sends.c.reason == reason, sends.c.held_back_at.is_not(None))
    since = case((still, sends.c.held_back_at), else_=literal(at, Instant()))
    values: dict[str, Any] = {"status": "held", "reason": reason, "held_back_at": since, **_FREE}
    if until is not None:
        values["due_at"] = until
    connection.execute(update(sends).where(_mine).values(**values), {"k": row["send_key"], "w": row["claimed_by"]})


def cancel(connection: Connection, row: Mapping[str, Any], *, reason: str, at: datetime) -> bool:
    """Cancel a claimed send that must not leave any more; True where it was still ours."""
    return bool(
        connection.execute(
            update(sends).where(_mine).values(status="cancelled", reason=reason, held_back_at=at, **_FREE),
            {"k": row["send_key"], "w": row["claimed_by"]},
        ).rowcount
    )


def backoff_seconds(attempt: int, *, retry_after_seconds: float | None = None) -> float:
    """Pause before the next try: doubling with jitter, never shorter than what the provider asked for."""
    doubled = min(FIRST_BACKOFF_SECONDS * 2 ** min(attempt - 1, 32), LONGEST_BACKOFF_SECONDS)
    jittered = doubled * random.uniform(0.5, 1.0)  # noqa: S311
    return max(jittered, retry_after_seconds or 0.0)


def _write_attempts(
    connection: Connection, done: Iterable[tuple[Mapping[str, Any], Answer, str | None]], now: datetime
) -> None:
    # the instant is part of the id: a locked-out attempt does not count and may come again under its number
    at, real = instant_text(now), f"{datetime.now(UTC).timestamp():.6f}"
    rows = [
        {
            "attempt_id": f"{row['send_key']}:{row['attempts'] + 1}:{answer.kind}:{real}",
            "send_key": row["send_key"],
            "attempt": row["attempts"] + 1,
            "outcome": answer.kind,
            "provider": row.get("provider"),
            "provider_status": answer.status,
            "answer": answer.detail,
            "rendered_sha256": digest,
            "at": at,
            "by": row["claimed_by"],
        }
        for row, answer, digest in done
    ]
    write_stored(connection, _ATTEMPT, rows)
