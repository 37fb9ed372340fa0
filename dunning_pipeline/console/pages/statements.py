"""Statements: the list with its filters, and one statement with everything about it."""

from typing import Any

from sqlalchemy import Select, select
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk, allowed, as_rows
from dunning_pipeline.console.listing import listed
from dunning_pipeline.console.scope import within_scope
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import audit, decisions, postings, sends, statement_details, statements

STATUSES = ("draft", "closed", "voided", "superseded")
_LISTED = (
    "statement_id",
    "number",
    "kind",
    "status",
    "dunning_date",
    "account_key",
    "account_id",
    "account_name",
    "process",
    "level",
    "level_name",
    "currency",
    "please_pay_minor",
    "due_date",
    "language",
    "channels",
    "hold_reason",
    "approval",
    "row_version",
)
SORTS = {
    "dunning_date": statements.c.dunning_date,
    "account": statements.c.account_name,
    "level": statements.c.level,
    "amount": statements.c.please_pay_minor,
    "number": statements.c.number,
}


def filtered(desk: Desk) -> Select[Any]:
    """The statements that the filter of the address (or of a form with the same fields) names."""
    s = statements.c
    query = within_scope(desk, select(*(s[name] for name in _LISTED)), s.account_key)
    status = desk.asked("status")
    query = query.where(s.status == status if status else s.status != "deleted")
    for name, column in (("run", s.run_id), ("currency", s.currency), ("process", s.process), ("kind", s.kind)):
        if desk.asked(name):
            query = query.where(column == desk.asked(name))
    if desk.asked("level").isdigit():
        query = query.where(s.level == int(desk.asked("level")))
    if desk.asked("account"):
        query = query.where(s.account_key == desk.asked("account"))
    if desk.asked("held"):
        query = query.where(s.hold_reason.is_not(None))
    if desk.asked("q"):
        wanted = desk.asked("q")
        pattern = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        query = query.where(s.account_name.like(pattern, escape="\\") | (s.number == wanted) | (s.account_id == wanted))
    return query


@allowed("viewer")
def list_statements(desk: Desk) -> Response:
    with reading(desk.engine) as connection:
        listing = listed(
            desk, connection, filtered(desk), sorts=SORTS, default_sort="-dunning_date", tie=statements.c.statement_id
        )
    return desk.page("statements.html", listing=listing, statuses=STATUSES)


@allowed("viewer")
def show_statement(desk: Desk) -> Response:
    statement_id = desk.request.path_params["statement_id"]
    s = statements.c
    with reading(desk.engine) as connection:
        row = (
            connection.execute(
                within_scope(desk, select(statements).where(s.statement_id == statement_id), s.account_key)
            )
            .mappings()
            .first()
        )
        if row is None:
            raise HTTPException(404, "there is no such statement")
        found: dict[str, Any] = {
            "details": select(statement_details)
            .where(statement_details.c.statement_id == statement_id)
            .order_by(statement_details.c.position),
            "sends": select(sends).where(sends.c.statement_id == statement_id).order_by(sends.c.queued_at),
            "postings": select(postings).where(postings.c.statement_id == statement_id).order_by(postings.c.created_at),
            "history": select(audit).where(audit.c.object_id == statement_id).order_by(audit.c.at),
            "decisions": select(decisions).where(decisions.c.statement_id == statement_id),
        }
        rows: dict[str, Any] = {name: as_rows(connection.execute(query)) for name, query in found.items()}
    return desk.page("statement.html", statement=row, **rows)


routes = [
    Route("/statements", list_statements),
    Route("/statements/{statement_id}", show_statement),
]
