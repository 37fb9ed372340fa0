"""Starts runs, dunning for one invoice, and answers why an account was dunned or was not."""

from datetime import date
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console import jobs, published
from dunning_pipeline.console.coming import by_day
from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.jobs import Job
from dunning_pipeline.console.pages.accounts import account_row
from dunning_pipeline.console.pages.searching import found_accounts
from dunning_pipeline.console.pages.sends import one_send
from dunning_pipeline.console.scope import needs_all_accounts
from dunning_pipeline.console.typed import typed_day
from dunning_pipeline.delivery.working.resolving import resolve_by_person
from dunning_pipeline.dunning.explain import explain
from dunning_pipeline.dunning.scope import Scope
from dunning_pipeline.errors import DunningError, InvalidInput, NotThere, Refused
from dunning_pipeline.settings.clock import business_now
from dunning_pipeline.statements.runs import delete_run, run


@allowed("collector")
def start_run(desk: Desk) -> Response:
    levels = [part.strip() for part in desk.typed("levels").replace(";", ",").split(",") if part.strip()]
    if wrong := [part for part in levels if not desk.whole(part) is not None]:
        raise InvalidInput("levels are numbers", value=wrong[0], remedy="write such as 1, 2")
    if desk.user.row_scope is not None and not desk.typed("account"):
        raise Refused("your user sees only some accounts", remedy="name one of your accounts")
    account = account_row(desk, desk.typed("account"))["account_key"] if desk.typed("account") else None
    arguments = {
        "date": typed_day(desk, "date").isoformat(),
        "process": desk.typed("process") or None,
        "levels": [int(part) for part in levels],
        "account": account,
        "segment": desk.typed("segment") or None,
        "kind": "account" if desk.typed("kind") == "account" else "dunning",
    }
    return desk.go(
        f"/jobs/{jobs.enqueue(desk.engine, action='run', arguments=arguments, total=1, actor=desk.user.login)}"
    )


@jobs.action("run")
def run_now(job: Job) -> str:
    given: dict[str, Any] = dict(job.arguments)
    scope = Scope(
        process=given["process"],
        levels=tuple(given["levels"]),
        account=given["account"],
        segment=given["segment"],
        kind=given["kind"],
    )
    job.progress(0, 1)
    report = run(
        job.workspace,
        dunning_date=date.fromisoformat(given["date"]),
        now=business_now(),
        scope=scope,
        actor=job.actor,
        progress=job.told,
    )
    counts = ", ".join(f"{count} {name}" for name, count in report.counts.items() if isinstance(count, int) and count)
    return f"run {report.run_id}: {counts or 'nothing to propose'}"


@allowed("collector")
def remove_run(desk: Desk) -> Response:
    needs_all_accounts(desk)
    delete_run(desk.workspace, desk.request.path_params["run_id"], now=desk.now, actor=desk.user.login)
    return desk.go("/runs", desk.wording.text("The run is deleted."))


@allowed("collector")
def dun_one_invoice(desk: Desk) -> Response:
    """New dunning for one invoice, at the level that follows or the one that a person names."""
    given, level = desk.typed("invoice") or desk.asked("invoice"), desk.typed("level")
    found = _invoice(desk, given) if given else None
    shown: dict[str, Any] = {"invoice": given, "level": level, "account_key": found and found["account_key"]}
    if desk.request.method == "GET":
        return desk.page("new_dunning.html", error=None, **shown)
    try:
        statement_id = _dun(desk, found, level)
    except DunningError as error:
        return desk.page("new_dunning.html", http_status=422 if found else 404, error=error, **shown)
    return desk.go(f"/statements/{statement_id}", desk.wording.text("A draft is made for this invoice."))


def _invoice(desk: Desk, given: str) -> dict[str, Any] | None:
    """The invoice by number, id or key, of an account that the user may see."""
    wanted = "select invoice_key, account_key from invoices where invoice_key = :i or invoice_number = :i"
    for row in published.found(desk.workspace, f"{wanted} limit 20", {"i": given}):
        if found_accounts(desk, "account_key = :key", {"key": row["account_key"]}):
            return row
    return None


def _dun(desk: Desk, found: dict[str, Any] | None, level: str) -> str:
    if level and desk.whole(level) is None:
        raise InvalidInput("a level is a number", value=level)
    if found is None:
        raise NotThere("there is no such invoice", remedy="look it up with the search box above")
    invoice = found["invoice_key"]
    scope = Scope(invoice=invoice, levels=(int(level),) if level else ())
    report = run(desk.workspace, dunning_date=desk.today, now=desk.now, scope=scope, actor=desk.user.login)
    if not report.statement_ids:
        reasons = explain(desk.workspace, invoice, dunning_date=desk.today)
        raise Refused(
            "nothing is proposed for this invoice: " + " · ".join(sorted({row["text"] for row in reasons})),
            remedy="name a level to force it, or take away what holds it back",
        )
    return report.statement_ids[0]


@allowed("viewer")
def why(desk: Desk) -> Response:
    account = account_row(desk, desk.request.path_params["account_key"])
    asked = desk.asked("date") or desk.today.isoformat()
    try:
        day = date.fromisoformat(asked)
    except ValueError:
        raise InvalidInput("this is no date", value=asked, remedy="write YYYY-MM-DD") from None
    rows = explain(desk.workspace, account["account_key"], dunning_date=day)
    return desk.page("why.html", account=account, day_asked=day, rows=rows)


@allowed("viewer")
def next_step(desk: Desk) -> Response:
    """The steps that come next for an account, decided now: asked for by a click where the last build's are old."""
    account = account_row(desk, desk.request.path_params["account_key"])
    told = explain(desk.workspace, account["account_key"], dunning_date=desk.today)
    steps = by_day(
        (str(row["inputs"]["next_level_on"]), row["inputs"]["next_level"], row["invoice_number"] or row["invoice_id"])
        for row in told
        if row["inputs"].get("next_level_on")
    )
    return desk.page("next_step.html", account=account, coming={"day": desk.today, "steps": steps})


@allowed("collector")
def resolve_send(desk: Desk) -> Response:
    key = one_send(desk)["send_key"]
    if desk.typed("verdict") not in ("sent", "not-sent"):
        raise InvalidInput("say whether it was sent", remedy="choose one of the two buttons")
    resolve_by_person(
        desk.workspace, key, was_sent=desk.typed("verdict") == "sent", now=desk.now, actor=desk.user.login
    )
    return desk.go(f"/sends/{key}", desk.wording.text("Recorded."))


routes = [
    Route("/runs", start_run, methods=["POST"]),
    Route("/runs/{run_id}/delete", remove_run, methods=["POST"]),
    Route("/dunning/new", dun_one_invoice, methods=["GET", "POST"]),
    Route("/accounts/{account_key:path}/why", why),
    Route("/accounts/{account_key:path}/next", next_step),
    Route("/sends/{key}/resolve", resolve_send, methods=["POST"]),
]
