"""The first page: what the last run proposed, held and failed, and what needs a person now."""

from datetime import timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk, allowed, as_rows
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import findings, runs, sends, statements, stream_loads

UNSENT_HOURS = 24


@allowed("viewer")
def today(desk: Desk) -> Response:
    with reading(desk.engine) as connection:
        last_run = connection.execute(select(runs).order_by(runs.c.started_at.desc()).limit(1)).mappings().first()
        drafts = connection.execute(
            select(
                func.count().label("all"),
                func.count(statements.c.hold_reason).label("held"),
            ).where(statements.c.status == "draft")
        ).one()
        by_status: dict[str, int] = dict(
            connection.execute(select(sends.c.status, func.count()).group_by(sends.c.status)).tuples().all()
        )
        waiting = connection.execute(
            select(func.count())
            .select_from(sends)
            .where(
                or_(
                    sends.c.status == "queued",
                    and_(sends.c.status == "held", sends.c.reason.is_not(None)),
                ),
                sends.c.due_at < desk.now - timedelta(hours=UNSENT_HOURS),
            )
        ).scalar_one()
        work = as_rows(
            connection.execute(
                select(findings).where(findings.c.status == "open").order_by(findings.c.raised_at.desc()).limit(15)
            )
        )
        open_findings = connection.execute(
            select(func.count()).select_from(findings).where(findings.c.status == "open")
        ).scalar_one()
        loaded = connection.execute(
            select(func.max(stream_loads.c.loaded_at)).where(stream_loads.c.object.ilike("payment%"))
        ).scalar_one_or_none()
    return desk.page(
        "today.html",
        last_run=last_run,
        drafts=drafts,
        by_status=by_status,
        waiting=waiting,
        work=work,
        open_findings=open_findings,
        payments_loaded_at=loaded,
        is_stale=_is_stale(desk, loaded),
    )


def _is_stale(desk: Desk, loaded: Any) -> bool:
    limit = timedelta(hours=desk.workspace.company.payment_data_max_age_hours)
    return loaded is not None and desk.now - loaded > limit


routes = [Route("/", today)]
