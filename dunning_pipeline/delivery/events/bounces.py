"""What follows when a message did not arrive: the level does not count, and another way to the debtor is looked for."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from dunning_pipeline.delivery.events.vocabulary import ARRIVED, RANKS, UNDELIVERED
from dunning_pipeline.delivery.permission.consent import consents_of
from dunning_pipeline.delivery.permission.contact_points import normal
from dunning_pipeline.delivery.permission.suppressions import PERSONAL, suppressed
from dunning_pipeline.delivery.queue import RENDERED, queue_statement
from dunning_pipeline.delivery.working.fallback import ACTOR, elsewhere
from dunning_pipeline.errors import DunningError, InvalidInput
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.ledger.schema import provider_events, sends, statements
from dunning_pipeline.settings.workspace import Workspace

_ENDS = ("conflict", "opted_out")


def after_bounces(connection: Connection, ws: Workspace, keys: Sequence[str], *, now: datetime) -> None:
    """Follow each undelivered send up, once: where every To recipient is lost, the next recipient, a letter, or a
    finding. A copy that bounced changes nothing but its suppression."""
    for key in keys:
        found = connection.execute(select(sends).where(sends.c.send_key == key)).mappings().one_or_none()
        if found is None:
            continue
        row = dict(found)
        states = _states(connection, row)
        if any(state not in UNDELIVERED for state in states.values()):
            arrived = max(states.values(), key=lambda state: RANKS.get(state, 0) if state not in UNDELIVERED else 0)
            connection.execute(update(sends).where(sends.c.send_key == key).values(delivery=arrived or None))
            continue
        _follow_up(connection, ws, row, now)


def _states(connection: Connection, row: Mapping[str, Any]) -> dict[str, str]:
    """To address → the highest state told of it; empty text where nothing was."""
    channel = row["channel"]
    states = {_point(address, channel): "" for address in row["recipients"].get("to") or ()}
    told = connection.execute(
        select(provider_events.c.address, provider_events.c.event).where(provider_events.c.send_key == row["send_key"])
    )
    for address, event in told:
        point = _point(address, channel) if address else next(iter(states), "")
        if point in states and RANKS.get(event, 0) > RANKS.get(states[point], 0):
            states[point] = event
    return states


def _point(address: str, channel: str) -> str:
    try:
        return normal(address, channel)
    except InvalidInput:
        return address.strip().lower()


def _follow_up(connection: Connection, ws: Workspace, row: Mapping[str, Any], now: datetime) -> None:
    if row["statement_id"] is None or row["kind"] == "draft":
        raise_finding(
            connection,
            kind="bounced",
            object_kind="send",
            object_id=row["send_key"],
            severity="warning",
            message=f"the message to {', '.join(row['recipients'].get('to') or ())} did not arrive",
            at=now,
        )
        return
    status = connection.scalar(select(statements.c.status).where(statements.c.statement_id == row["statement_id"]))
    if status != "closed":
        return  # voided or replaced since: nobody has to learn of it any more, and its levels were taken back
    others = connection.execute(
        select(sends.c.delivery, sends.c.status).where(
            sends.c.statement_id == row["statement_id"],
            sends.c.send_key != row["send_key"],
            sends.c.status == "sent",
            sends.c.channel.in_(RENDERED),
            sends.c.kind != "draft",
        )
    ).all()
    if not any(other.delivery in (None, *ARRIVED, "processed", "deferred") for other in others):
        from dunning_pipeline.statements.levels import record_revoked

        record_revoked(connection, statement_id=row["statement_id"], now=now)
    # as the models do: a dead address is passed over, a personal no switches the channel off
    way = elsewhere if _said_no(connection, row) else another_way
    way(connection, ws, row, now=now, why=f"{row['channel']} {row['delivery'] or 'bounced'}")


def _said_no(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Whether the message was not delivered because its reader does not want any (a drop after an unsubscribe)."""
    channel, points = row["channel"], list(_states(connection, row))
    said = consents_of(connection, points, channel=channel)
    return "opt_out" in (said.get((point, "dunning")) for point in points) or not PERSONAL.isdisjoint(
        suppressed(connection, points, channel=channel).values()
    )


def another_way(
    connection: Connection,
    ws: Workspace,
    row: Mapping[str, Any],
    *,
    now: datetime,
    why: str,
    due_at: datetime | None = None,
) -> None:
    """Queue what a statement's message cannot bring for the next recipient (due at the send hour unless `due_at` says
    otherwise), else as a letter, else raise a finding."""
    if _next_recipient(connection, ws, row, now, due_at) is None:
        elsewhere(connection, ws, row, now=now, why=why)


def _next_recipient(
    connection: Connection, ws: Workspace, row: Mapping[str, Any], now: datetime, due_at: datetime | None
) -> str | None:
    """The next candidate whom the recipients' trace names and nobody wrote to yet; the key of the new send."""
    statement = connection.execute(
        select(statements).where(statements.c.statement_id == row["statement_id"])
    ).mappings().one()  # fmt: skip
    if row["channel"] != "email" or statement["status"] != "closed":
        return None
    tried: set[str] = set()
    for recipients in connection.scalars(
        select(sends.c.recipients).where(sends.c.statement_id == row["statement_id"], sends.c.channel == "email")
    ):
        tried.update(_point(address, "email") for address in recipients.get("to") or ())
    candidates = [point for point in _candidates(dict(statement)) if point not in tried]
    barred = suppressed(connection, candidates, channel="email")
    for point in candidates:
        if point in barred:
            continue
        try:
            keys = queue_statement(
                connection,
                ws,
                statement=dict(statement),
                now=now,
                due_at=due_at,
                actor=ACTOR,
                kind=row["kind"],
                channels=["email"],
                overrides={**(row["overrides"] or {}), "to": [point]},
            )
        except DunningError:
            continue
        if keys:
            return keys[0]
    return None


def _candidates(statement: Mapping[str, Any]) -> list[str]:
    """Addresses of the people who come next, as the statement's trace of its recipients tells (in their order).

    A personal no and a conflict end the search here as they do in the models (dunning.recipient_choices).
    """
    trace = (statement["recipients"] or {}).get("trace") or {}
    choices = trace.get("choices", []) if isinstance(trace, Mapping) else trace
    found: list[str] = []
    for choice in choices if isinstance(choices, list) else []:
        if not isinstance(choice, Mapping) or choice.get("purpose") != "email":
            continue
        if choice.get("outcome") in _ENDS:
            break
        if choice.get("outcome") != "chosen" or not choice.get("address"):
            continue
        try:
            point = normal(str(choice["address"]), "email")
        except InvalidInput:
            continue
        if point not in found:
            found.append(point)
    return found
