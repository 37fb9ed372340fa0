"""Statements: the list with its filters, and one statement with everything about it."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console import previews
from dunning_pipeline.console.desk import Desk, allowed, as_rows
from dunning_pipeline.console.listing import listed
from dunning_pipeline.console.pages.searching import found_accounts, named
from dunning_pipeline.console.pages.segments import members_of, segment_names
from dunning_pipeline.console.scope import one_of, within_scope
from dunning_pipeline.dunning.reasons import in_words
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import audit, decisions, postings, sends, statement_details, statements
from dunning_pipeline.statements.drafting.approving import limit_above, who_asked
from dunning_pipeline.statements.drafting.editing import draft_document

FORGOTTEN_AFTER = timedelta(days=14)  # older ones were meant so
LAST_LETTER = "\U0010ffff"
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
SORTS: dict[str, ColumnElement[Any] | tuple[ColumnElement[Any], ...]] = {
    "dunning_date": statements.c.dunning_date,
    "account": statements.c.account_name,
    "level": (statements.c.level, statements.c.dunning_date),
    "amount": statements.c.please_pay_minor,
    "number": statements.c.number,
}


def filtered(desk: Desk) -> Select[Any]:
    """The statements that the filter of the address (or of a form with the same fields) names."""
    s = statements.c
    query = within_scope(desk, select(*(s[name] for name in _LISTED)), s.account_key)
    status = "draft" if desk.asked("held") else desk.asked("status")
    query = query.where(s.status == status if status else s.status != "deleted")
    for name, column in (("run", s.run_id), ("currency", s.currency), ("process", s.process), ("kind", s.kind)):
        if desk.asked(name):
            query = query.where(column == desk.asked(name))
    if (level := desk.whole(desk.asked("level"))) is not None:
        query = query.where(s.level == level)
    if desk.asked("account"):
        query = query.where(s.account_key == desk.asked("account"))
    if desk.asked("held"):
        query = query.where(s.hold_reason.is_not(None))
    if desk.asked("unsent"):
        query = query.where(forgotten(desk))
    if desk.asked("q"):
        query = query.where(_named(desk, desk.asked("q")))
    if desk.asked("segment"):
        keys = members_of(desk, desk.asked("segment"))
        query = query.where(one_of(desk, s.account_key, keys))
    return query


def forgotten(desk: Desk) -> ColumnElement[bool]:
    """Closed for more than a day and never queued: nobody pressed send."""
    s = statements.c
    day_ago = desk.now - timedelta(hours=24)
    never = ~select(sends.c.send_key).where(sends.c.statement_id == s.statement_id).exists()
    fresh = s.dunning_date >= (desk.now - FORGOTTEN_AFTER).date()
    return and_(
        s.status == "closed", fresh, s.closed_at < day_ago, s.kind == "dunning", s.do_not_send.is_(False), never
    )


def _named(desk: Desk, wanted: str) -> ColumnElement[bool]:
    """Statements by number, by how the account's name begins, or of accounts whose name holds it; an index each."""
    s = statements.c
    keys = named(desk, wanted)[:500]
    begins = and_(s.account_name >= wanted, s.account_name < wanted + LAST_LETTER)
    return or_(s.number == wanted, begins, s.account_key.in_(keys)) if keys else or_(s.number == wanted, begins)


@allowed("viewer")
def list_statements(desk: Desk) -> Response:
    with reading(desk.engine) as connection:
        listing = listed(
            desk, connection, filtered(desk), sorts=SORTS, default_sort="-dunning_date", tie=statements.c.statement_id
        )
    return desk.page("statements.html", listing=listing, statuses=STATUSES, segments=segment_names(desk))


@allowed("viewer")
def show_statement(desk: Desk) -> Response:
    row, details = one_statement(desk)
    statement_id = row["statement_id"]
    with reading(desk.engine) as connection:
        found: dict[str, Any] = {
            "sends": select(sends).where(sends.c.statement_id == statement_id).order_by(sends.c.queued_at),
            "postings": select(postings).where(postings.c.statement_id == statement_id).order_by(postings.c.created_at),
            "history": select(audit).where(audit.c.object_id == statement_id).order_by(audit.c.at),
            "decisions": select(decisions).where(decisions.c.statement_id == statement_id),
        }
        rows: dict[str, Any] = {name: as_rows(connection.execute(query)) for name, query in found.items()}
        for decision in rows["decisions"]:
            decision["text"] = in_words(decision)
        is_draft = row["status"] == "draft"
        limit = limit_above(row, desk.workspace.company) if is_draft else None
        asked = sorted(who_asked(connection, row)) if limit else []
    story = _story(desk, row, rows)
    accounts = found_accounts(desk, "account_key = :key", {"key": row["account_key"]})
    return desk.page(
        "statement.html",
        statement=row,
        details=details,
        numbers={line["invoice_key"]: line["invoice_number"] for line in details if line["invoice_number"]},
        events=story,
        unified_id=accounts[0]["unified_account_id"] if accounts else row["unified_account_id"],
        limit=limit,
        asked=asked,
        **rows,
    )


def _story(desk: Desk, row: Mapping[str, Any], rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What happened to a statement, oldest first: acts, postings, sends."""
    zone = desk.workspace.company.zone
    found = [{"at": row["created_at"], "kind": "proposed", "row": row}]
    found += [{"at": a["business_at"], "kind": "act", "row": a} for a in rows["history"]]
    found += [
        {"at": datetime.combine(p["posted_on"], time(), tzinfo=zone), "kind": "posting", "row": p}
        for p in rows["postings"]
    ]
    found += [{"at": s["sent_at"] or s["queued_at"], "kind": "send", "row": s} for s in rows["sends"]]
    order = {"proposed": 0, "act": 1, "posting": 2, "send": 3}
    return sorted(found, key=lambda one: (one["at"].astimezone(zone).date(), order[one["kind"]], one["at"]))


@allowed("viewer")
def preview_statement(desk: Desk) -> Response:
    kind = desk.request.path_params["kind"]
    if kind not in previews.KINDS:
        raise HTTPException(404, "there is no such preview")
    row, _ = one_statement(desk)
    with reading(desk.engine) as connection:
        document = draft_document(connection, desk.workspace, row)
    return previews.preview(
        desk.workspace, kind, row["template"], row["language"], document, draft=row["status"] == "draft"
    )


def one_statement(desk: Desk) -> tuple[dict[str, Any], list[Mapping[str, Any]]]:
    """The statement of the address with its details; 404 where it is not there or out of the user's scope."""
    statement_id = desk.request.path_params["statement_id"]
    query = within_scope(
        desk, select(statements).where(statements.c.statement_id == statement_id), statements.c.account_key
    )
    lines = select(statement_details).where(statement_details.c.statement_id == statement_id)
    with reading(desk.engine) as connection:
        row = connection.execute(query).mappings().first()
        if row is None:
            raise HTTPException(404, "there is no such statement")
        return dict(row), as_rows(connection.execute(lines.order_by(statement_details.c.position)))


routes = [
    Route("/statements", list_statements),
    Route("/statements/{statement_id}", show_statement),
    Route("/statements/{statement_id}/preview/{kind}", preview_statement),
]
