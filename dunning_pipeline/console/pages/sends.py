"""Sends: what waits, left, failed or is unknown, and why."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, and_, select
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk, allowed, as_rows
from dunning_pipeline.console.listing import listed
from dunning_pipeline.console.pages.searching import found_accounts
from dunning_pipeline.console.scope import sends_within_scope, within_scope
from dunning_pipeline.delivery.holds import explained
from dunning_pipeline.delivery.judging.digests import told_accounts
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import audit, provider_events, send_accounts, send_attempts, sends, statements

# of a list; a digest of hundreds of accounts is a large document
LISTED = [column for column in sends.columns if column.name != "document"]
STATUSES = ("queued", "in_flight", "sent", "held", "superseded", "cancelled", "failed", "unknown")


@allowed("viewer")
def list_sends(desk: Desk) -> Response:
    query = sends_within_scope(desk, select(*LISTED))
    if desk.asked("status"):
        query = query.where(sends.c.status == desk.asked("status"))
    if desk.asked("channel"):
        query = query.where(sends.c.channel == desk.asked("channel"))
    if desk.asked("statement"):
        query = query.where(sends.c.statement_id == desk.asked("statement"))
    if desk.asked("late"):
        query = query.where(sends.c.status.in_(("queued", "held")), sends.c.due_at < desk.now - timedelta(hours=24))
    sorts = {"due_at": sends.c.due_at, "sent_at": sends.c.sent_at}
    with reading(desk.engine) as connection:
        listing = listed(desk, connection, query, sorts=sorts, default_sort="-due_at", tie=sends.c.send_key)
    return desk.page("sends.html", listing=listing, statuses=STATUSES)


@allowed("viewer")
def show_send(desk: Desk) -> Response:
    key = desk.request.path_params["key"]
    row = one_send(desk)
    with reading(desk.engine) as connection:
        s, a = statements.c, send_accounts.c
        statement = connection.execute(
            select(s.number, s.voided_at, s.voided_by).where(s.statement_id == row["statement_id"])
        ).first()
        history = _history(connection, key)
        seen = set(
            connection.scalars(within_scope(desk, select(a.account_key).where(a.send_key == key), a.account_key))
        )
    is_cancelling_told = any(kind == "act" and one["action"] == "send.cancelled" for kind, one in history)
    accounts = [one for one in told_accounts(row) if one["key"] in seen]
    account = next(iter(found_accounts(desk, "account_key = :key", {"key": row["account_key"]})), None)
    others = len(told_accounts(row)) - len(accounts)
    return desk.page(
        "send.html", send=row, statement=statement, history=history, is_cancelling_told=is_cancelling_told,
        accounts=accounts, others=others, account=account,
        why="\n  → ".join(part for part in explained(row) or () if part),
    )  # fmt: skip


def _history(connection: Connection, key: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Attempts, what people did, and what the provider told, as they came; each with its kind."""
    parts = {
        "attempt": (send_attempts, send_attempts.c.at, send_attempts.c.send_key == key),
        "act": (audit, audit.c.business_at, and_(audit.c.object_kind == "send", audit.c.object_id == key)),
        "event": (provider_events, provider_events.c.occurred_at, provider_events.c.send_key == key),
    }
    found = [
        (row["moment"], kind, row)
        for kind, (table, moment, is_of) in parts.items()
        for row in as_rows(connection.execute(select(table, moment.label("moment")).where(is_of)))
    ]
    return [(kind, row) for _, kind, row in sorted(found, key=lambda one: one[0])]


def one_send(desk: Desk) -> Mapping[str, Any]:
    """The send of the address; 404 where it is not there or out of the user's scope."""
    wanted = select(sends).where(sends.c.send_key == desk.request.path_params["key"])
    with reading(desk.engine) as connection:
        row = connection.execute(sends_within_scope(desk, wanted)).mappings().first()
    if row is None:
        raise HTTPException(404, "there is no such send")
    return dict(row)


routes = [Route("/sends", list_sends), Route("/sends/{key}", show_send)]
