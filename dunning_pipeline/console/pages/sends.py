"""Sends: what waits, left, failed or is unknown, and why."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk, allowed, as_rows
from dunning_pipeline.console.listing import listed
from dunning_pipeline.console.scope import sends_within_scope, within_scope
from dunning_pipeline.delivery.holds import explained
from dunning_pipeline.delivery.judging.digests import told_accounts
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import provider_events, send_accounts, send_attempts, sends, statements

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
        number = connection.scalar(select(statements.c.number).where(statements.c.statement_id == row["statement_id"]))
        attempts = as_rows(
            connection.execute(
                select(send_attempts).where(send_attempts.c.send_key == key).order_by(send_attempts.c.at)
            )
        )
        events = as_rows(
            connection.execute(
                select(provider_events).where(provider_events.c.send_key == key).order_by(provider_events.c.occurred_at)
            )
        )
        a = send_accounts.c
        seen = set(
            connection.scalars(within_scope(desk, select(a.account_key).where(a.send_key == key), a.account_key))
        )
    accounts = [one for one in told_accounts(row) if one["key"] in seen]
    others = len(told_accounts(row)) - len(accounts)
    return desk.page(
        "send.html", send=row, number_of=number, attempts=attempts, events=events, accounts=accounts, others=others,
        why="\n  → ".join(part for part in explained(row) or () if part),
    )  # fmt: skip


def one_send(desk: Desk) -> Mapping[str, Any]:
    """The send of the address; 404 where it is not there or out of the user's scope."""
    wanted = select(sends).where(sends.c.send_key == desk.request.path_params["key"])
    with reading(desk.engine) as connection:
        row = connection.execute(sends_within_scope(desk, wanted)).mappings().first()
    if row is None:
        raise HTTPException(404, "there is no such send")
    return dict(row)


routes = [Route("/sends", list_sends), Route("/sends/{key}", show_send)]
