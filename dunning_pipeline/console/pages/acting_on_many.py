"""What a person does to the selected statements or to all of a filter: asked back first, done in the background."""

from collections.abc import Iterator, Mapping

from sqlalchemy import func, select
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console import jobs
from dunning_pipeline.console.desk import Desk, allowed, as_rows
from dunning_pipeline.console.jobs import Job
from dunning_pipeline.console.pages.statements import filtered
from dunning_pipeline.console.scope import within_scope
from dunning_pipeline.errors import InvalidInput, Refused
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import statements
from dunning_pipeline.settings.clock import business_now
from dunning_pipeline.statements.closing import close
from dunning_pipeline.statements.distributing import distribute, write_zip
from dunning_pipeline.statements.drafting import editing
from dunning_pipeline.statements.sending import send_statements

CHUNK = 200
# what each action on many needs
ON_MANY = {"close": "approver", "send": "collector", "delete": "collector", "zip": "viewer", "distribute": "collector"}
QUESTIONS = {
    "close": "Close these statements? Numbers and fees are posted; this cannot be undone, only voided.",
    "send": "Queue these statements for sending?",
    "delete": "Delete these drafts?",
    "distribute": "Distribute these PDFs to the target?",
}


@allowed("collector")
def act_on_many(desk: Desk) -> Response:
    """One action on the selected statements or on all that the list's filter names, in the background."""
    name = desk.typed("action")
    if name not in ON_MANY:
        raise InvalidInput(f"there is no action {name!r}")
    if not desk.user.may(ON_MANY[name]):
        raise Refused(f"this needs the role {ON_MANY[name]}; you are {desk.user.role}")
    ids = _chosen(desk)
    if not ids:
        raise InvalidInput("nothing is selected", remedy="tick statements, or choose “all of the filter”")
    if name in QUESTIONS and desk.typed("confirm") != str(len(ids)):
        return _asked_back(desk, name, ids)
    job_id = jobs.enqueue(
        desk.engine, action=f"{name}_statements", arguments={"ids": ids}, total=len(ids), actor=desk.user.login
    )
    return desk.go(f"/jobs/{job_id}")


def _chosen(desk: Desk) -> list[str]:
    s = statements.c
    with reading(desk.engine) as connection:
        if desk.typed("which") == "filter":
            query = filtered(desk).with_only_columns(s.statement_id).order_by(s.statement_id)
            return list(connection.scalars(query))
        ticked = [str(value) for value in desk.form.getlist("statement_id")]
        query = within_scope(desk, select(s.statement_id).where(s.statement_id.in_(ticked)), s.account_key)
        return list(connection.scalars(query))


def _asked_back(desk: Desk, name: str, ids: list[str]) -> Response:
    """How many statements, of which status and worth, before anything is done to them."""
    s, is_filter = statements.c, desk.typed("which") == "filter"
    summed = (s.status, s.currency, func.count().label("count"), func.sum(s.please_pay_minor).label("minor"))
    query = filtered(desk) if is_filter else select(s.statement_id).where(s.statement_id.in_(ids))
    with reading(desk.engine) as connection:
        groups = as_rows(
            connection.execute(query.with_only_columns(*summed).group_by(*summed[:2]).order_by(*summed[:2]))
        )
    return desk.page(
        "confirm.html",
        question=QUESTIONS[name],
        action=name,
        is_filter=is_filter,
        is_changed=bool(desk.typed("confirm")),
        count=len(ids),
        groups=groups,
        ticked=[] if is_filter else ids,
    )


def _parts(job: Job) -> Iterator[list[str]]:
    """The job's statements in parts; what was done so far is told before each, and at the end."""
    ids = list(job.arguments["ids"])
    for at in range(0, len(ids), CHUNK):
        job.progress(at, len(ids))
        yield ids[at : at + CHUNK]
    job.progress(len(ids), len(ids))


def _of_status(job: Job, ids: list[str], status: str) -> list[str]:
    s = statements.c
    with reading(job.engine) as connection:
        return list(connection.scalars(select(s.statement_id).where(s.statement_id.in_(ids), s.status == status)))


def _told(done: str, refused: Mapping[str, str]) -> str:
    reasons = " · ".join(sorted(set(refused.values()))[:5])
    return f"{done}, {len(refused)} refused" + (f": {reasons}" if reasons else "")


@jobs.action("close_statements")
def close_many(job: Job) -> str:
    done = 0
    refused: dict[str, str] = {}
    for part in _parts(job):
        report = close(job.workspace, part, now=business_now(), actor=job.actor)
        done += len(report.closed)
        refused |= report.refused
    return _told(f"{done} closed", refused)


@jobs.action("delete_statements")
def delete_many(job: Job) -> str:
    done, skipped = 0, 0
    for part in _parts(job):
        drafts = _of_status(job, part, "draft")
        done += editing.delete_drafts(job.workspace, drafts, now=business_now(), actor=job.actor)
        skipped += len(part) - len(drafts)
    return f"{done} drafts deleted, {skipped} left alone: only drafts can be deleted"


@jobs.action("send_statements")
def send_many(job: Job) -> str:
    """Queue closed statements; drafts are left alone: closing is an act of its own."""
    queued = 0
    refused: dict[str, str] = {}
    for part in _parts(job):
        closed = _of_status(job, part, "closed")
        refused |= {one: "it is not closed" for one in part if one not in closed}
        report = send_statements(job.workspace, closed, now=business_now(), actor=job.actor)
        queued += len(report.keys)
        refused |= report.refused
    return _told(f"{queued} messages queued", refused)


@jobs.action("zip_statements")
def zip_many(job: Job) -> str:
    job.progress(0, len(job.arguments["ids"]))
    target = jobs.download_of(job.workspace, job.job_id)
    target.parent.mkdir(parents=True, exist_ok=True)
    names = write_zip(job.workspace, list(job.arguments["ids"]), target)
    job.progress(len(names), len(names))
    return f"{len(names)} PDFs"


@jobs.action("distribute_statements")
def distribute_many(job: Job) -> str:
    target = job.workspace.company.distribution_target or str(job.workspace.state / "distributed")
    told: dict[str, int] = {"written": 0, "unchanged": 0}
    for part in _parts(job):
        done = distribute(job.workspace, part, target=target, now=business_now(), actor=job.actor)
        told = {name: count + len(done[name]) for name, count in told.items()}
    return f"{told['written']} written to {target}, {told['unchanged']} lay there already"


routes = [Route("/statements/act", act_on_many, methods=["POST"])]
