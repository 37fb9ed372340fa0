"""The first page: what the last run proposed, held and failed, and what needs a person now."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, case, func, or_, select
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk, allowed, as_rows
from dunning_pipeline.console.pages.statements import forgotten
from dunning_pipeline.console.remembered import remembered
from dunning_pipeline.console.scope import findings_within_scope, sends_within_scope, within_scope
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import findings, runs, sends, statements, stream_loads

UNSENT_HOURS = 24
SENT_DAYS = 7
MOST_COUNTED = 1_000
WORST_FIRST = case({"error": 0, "warning": 1}, value=findings.c.severity, else_=2)


@allowed("viewer")
def today(desk: Desk) -> Response:
    with reading(desk.engine) as connection:
        last_run = connection.execute(select(runs).order_by(runs.c.started_at.desc()).limit(1)).mappings().first()
        held = func.count(statements.c.hold_reason).label("held")
        counted: Any = select(func.count().label("all"), held).where(statements.c.status == "draft")
        drafts = connection.execute(within_scope(desk, counted, statements.c.account_key)).one()
        by_status = _send_counts(desk, connection)
        open_ones = findings_within_scope(desk, connection, select(findings).where(findings.c.status == "open"))
        work = as_rows(connection.execute(open_ones.order_by(WORST_FIRST, findings.c.raised_at.desc()).limit(15)))
        open_findings = connection.execute(select(func.count()).select_from(open_ones.subquery())).scalar_one()
        loaded = connection.execute(
            select(func.max(stream_loads.c.loaded_at)).where(stream_loads.c.object.ilike("payment%"))
        ).scalar_one_or_none()
    key = ("forgotten", desk.workspace.ledger_url, desk.user.row_scope)
    return desk.page(
        "today.html",
        never_queued=remembered(key, lambda: _never_queued(desk), seconds=300),
        most_counted=MOST_COUNTED,
        last_run=last_run,
        drafts=drafts,
        by_status=by_status,
        work=work,
        open_findings=open_findings,
        payments_loaded_at=loaded,
        is_stale=_is_stale(desk, loaded),
    )


def _send_counts(desk: Desk, connection: Connection) -> dict[str, int]:
    """Counts of sends: what waits or failed in all, what left in the last days (an index answers each)."""
    s = sends.c
    waiting = ("queued", "held", "failed", "unknown")
    by_status = sends_within_scope(desk, select(s.status, func.count()).where(s.status.in_(waiting)))
    counts = dict.fromkeys(waiting, 0) | dict(connection.execute(by_status.group_by(s.status)).tuples().all())
    count = sends_within_scope(desk, select(func.count()).select_from(sends))
    late = count.where(s.status.in_(("queued", "held")), s.due_at < desk.now - timedelta(hours=UNSENT_HOURS))
    late = late.where(or_(s.status == "queued", s.reason.is_not(None)))
    sent = count.where(s.status == "sent", s.due_at >= desk.now - timedelta(days=SENT_DAYS))
    return counts | {name: connection.scalar(query) or 0 for name, query in (("sent", sent), ("late", late))}


def _never_queued(desk: Desk) -> int:
    """Closed statements that nobody queued, up to MOST_COUNTED."""
    query = within_scope(desk, select(statements.c.statement_id).where(forgotten(desk)), statements.c.account_key)
    with reading(desk.engine) as connection:
        count: int = connection.scalar(select(func.count()).select_from(query.limit(MOST_COUNTED).subquery())) or 0
    return count


def _is_stale(desk: Desk, loaded: Any) -> bool:
    limit = timedelta(hours=desk.workspace.company.payment_data_max_age_hours)
    return loaded is not None and desk.now - loaded > limit


routes = [Route("/", today)]
