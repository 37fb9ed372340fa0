"""Campaigns: what each did and does next, run now, plan, move, cancel, pause."""

from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.campaigns import steering
from dunning_pipeline.campaigns.declaration import find_campaign, usable_campaigns
from dunning_pipeline.campaigns.effect import report_of
from dunning_pipeline.campaigns.running import is_paused, run_campaign
from dunning_pipeline.console import jobs
from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.jobs import Job
from dunning_pipeline.console.scope import needs_all_accounts
from dunning_pipeline.console.typed import typed_instant
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.settings.clock import business_now


@allowed("viewer")
def list_campaigns(desk: Desk) -> Response:
    campaigns, mistakes = usable_campaigns(desk.workspace)
    rows = steering.list_campaigns(desk.workspace, campaigns.values(), now=desk.now)
    return desk.page("campaigns.html", rows=rows, mistakes=mistakes)


@allowed("viewer")
def show_campaign(desk: Desk) -> Response:
    name = desk.request.path_params["name"]
    campaign = find_campaign(desk.workspace, name)
    with reading(desk.engine) as connection:
        paused = is_paused(connection, name)
    return desk.page(
        "campaign.html",
        campaign=campaign,
        is_paused=paused,
        schedule=steering.schedule_text(campaign),
        upcoming=steering.next_instants(desk.workspace, campaign, now=desk.now, count=5),
        report=report_of(desk.workspace, name),
    )


@allowed("approver")
def steer(desk: Desk) -> Response:
    needs_all_accounts(desk)
    name, action = desk.request.path_params["name"], desk.typed("action")
    find_campaign(desk.workspace, name)
    if action == "pause":
        steering.pause(desk.workspace, name, now=desk.now, actor=desk.user.login, reason=desk.typed("reason") or None)
    elif action == "resume":
        steering.resume(desk.workspace, name, now=desk.now, actor=desk.user.login)
    elif action == "plan":
        steering.plan_occurrence(
            desk.workspace, name, at=typed_instant(desk, "at"), now=desk.now, actor=desk.user.login
        )
    elif action in ("move", "cancel"):
        return _reschedule(desk, name, action)
    elif action == "run":
        job_id = jobs.enqueue(
            desk.engine, action="run_campaign", arguments={"campaign": name}, total=1, actor=desk.user.login
        )
        return desk.go(f"/jobs/{job_id}")
    else:
        raise InvalidInput(f"there is no action {action!r}")
    return desk.go(f"/campaigns/{name}", desk.wording.text("Done."))


@jobs.action("run_campaign")
def run_now(job: Job) -> str:
    job.progress(0, 1)
    report = run_campaign(job.workspace, job.arguments["campaign"], now=business_now(), actor=job.actor)
    job.progress(1, 1)
    counts = ", ".join(f"{count} {name}" for name, count in report.counts.items())
    return f"{report.status}: audience {report.audience}, held out {report.held_out}; {counts}"


def _reschedule(desk: Desk, name: str, action: str) -> Response:
    """Move or cancel one planned occurrence, from the calendar's form; back to its month."""
    ws, at = desk.workspace, typed_instant(desk, "occurrence")
    if action == "move":
        to = typed_instant(desk, "to")
        steering.move_occurrence(ws, name, at=at, to=to, now=desk.now, actor=desk.user.login)
        return desk.go(f"/calendar?day={to.date().isoformat()}", desk.wording.text("Moved."))
    steering.cancel_occurrence(ws, name, at=at, now=desk.now, actor=desk.user.login)
    return desk.go(f"/calendar?day={at.date().isoformat()}", desk.wording.text("Cancelled."))


routes = [
    Route("/campaigns", list_campaigns),
    Route("/campaigns/{name}", show_campaign, methods=["GET"]),
    Route("/campaigns/{name}", steer, methods=["POST"]),
]
