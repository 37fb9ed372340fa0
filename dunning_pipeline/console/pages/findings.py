"""The work list: every finding that needs a person, and the click that says it is done."""

from sqlalchemy import func, select
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.listing import listed
from dunning_pipeline.console.scope import findings_within_scope
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import findings


@allowed("viewer")
def list_findings(desk: Desk) -> Response:
    status = desk.asked("status", "open")
    if status not in ("open", "done"):
        status = "open"
    query = select(findings).where(findings.c.status == status)
    if desk.asked("kind"):
        query = query.where(findings.c.kind == desk.asked("kind"))
    sorts = {"raised_at": findings.c.raised_at, "kind": findings.c.kind, "severity": findings.c.severity}
    with reading(desk.engine) as connection:
        query = findings_within_scope(desk, connection, query)
        counted = select(findings.c.kind, func.count()).where(findings.c.status == status)
        listing = listed(desk, connection, query, sorts=sorts, default_sort="-raised_at", tie=findings.c.finding_id)
        kinds = connection.execute(
            findings_within_scope(desk, connection, counted).group_by(findings.c.kind).order_by(findings.c.kind)
        ).all()
    return desk.page("findings.html", listing=listing, kinds=kinds, status=status)


@allowed("collector")
def finish(desk: Desk) -> Response:
    ticked = [str(value) for value in desk.form.getlist("finding_id")]
    if not ticked:
        raise InvalidInput("nothing is selected", remedy="tick findings first")
    done = 0
    with desk.engine.begin() as connection:
        mine = select(findings.c.finding_id).where(findings.c.finding_id.in_(ticked))
        chosen = connection.scalars(findings_within_scope(desk, connection, mine)).all()
        for finding_id in chosen:
            changed = connection.execute(
                findings.update()
                .where(findings.c.finding_id == finding_id, findings.c.status == "open")
                .values(status="done", done_at=desk.now, done_by=desk.user.login)
            ).rowcount
            done += changed
            if changed:
                audit.record(
                    connection,
                    actor=desk.user.login,
                    action="finish_finding",
                    object_kind="finding",
                    object_id=finding_id,
                    reason=desk.typed("reason") or None,
                    at=desk.now,
                )
    return desk.go("/findings", desk.wording.text("{n} findings marked as done.", n=done))


routes = [Route("/findings", list_findings), Route("/findings/done", finish, methods=["POST"])]
