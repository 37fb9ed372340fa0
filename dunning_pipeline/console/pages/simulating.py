"""What the next days would bring: who would get which level, when and for how much; nothing is written.

One account is played at once; all accounts are played in the background, day by day, and can be stopped.
"""

from datetime import date
from typing import Any, Literal
from urllib.parse import quote

import orjson
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dunning_pipeline.console import jobs
from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.jobs import Job
from dunning_pipeline.console.pages.accounts import account_row
from dunning_pipeline.console.pages.jobs import own_job
from dunning_pipeline.console.scope import needs_all_accounts
from dunning_pipeline.dunning.processes import load_processes
from dunning_pipeline.dunning.scope import Scope
from dunning_pipeline.dunning.simulate import Played, simulate
from dunning_pipeline.errors import NotThere

SHOWN = 500
MOST_DAYS = 60  # every day is a whole decision; `dunning process simulate` plays longer
DAYS = 7
Pays = Literal["nobody", "observed"]


@allowed("viewer")
def show(desk: Desk) -> Response:
    """The form; with an account and days what is played for it, with a job what the job has played."""
    account = account_row(desk, desk.asked("account")) if desk.asked("account") else None
    if account is None:
        needs_all_accounts(desk)
    days, pays, process = _days(desk.asked("days")), _pays(desk.asked("pays")), _process(desk, desk.asked("process"))
    outcome: dict[str, Any] | None = None
    if account is not None and desk.asked("days"):
        scope = Scope(process=process, account=account["account_key"])
        outcome = _outcome(simulate(desk.workspace, start=desk.today, days=days, scope=scope, pays=pays))
    elif desk.asked("job"):
        job = own_job(desk, desk.asked("job"))
        if job["action"] != "simulate" or job["result"] is None:
            raise NotThere("this simulation has no result yet", remedy="look at the list of long actions")
        outcome = orjson.loads(job["result"])
        days, pays, process = (job["arguments"][name] for name in ("days", "pays", "process"))
    return desk.page(
        "simulate.html",
        account=account,
        process=process,
        processes=sorted(load_processes(desk.workspace)),
        days=days,
        pays=pays,
        outcome=outcome,
    )


@allowed("viewer")
def begin(desk: Desk) -> Response:
    """Play all accounts in the background."""
    needs_all_accounts(desk)
    days = _days(desk.typed("days"))
    arguments = {
        "start": desk.today.isoformat(),
        "days": days,
        "pays": _pays(desk.typed("pays")),
        "process": _process(desk, desk.typed("process")),
    }
    job_id = jobs.enqueue(desk.engine, action="simulate", arguments=arguments, total=days, actor=desk.user.login)
    return desk.go(f"/jobs/{job_id}")


@jobs.action("simulate")
def play(job: Job) -> str:
    given: dict[str, Any] = dict(job.arguments)
    job.progress(0, given["days"])
    played = simulate(
        job.workspace,
        start=date.fromisoformat(given["start"]),
        days=given["days"],
        scope=Scope(process=given["process"]),
        pays=given["pays"],
        progress=job.told,
    )
    job.keep(orjson.dumps(_outcome(played)))
    return f"{len(played)} statements would be sent"


def _outcome(played: list[Played]) -> dict[str, Any]:
    """What the page shows: all in sums by process, level and currency, and the first statements one by one."""
    sums: dict[tuple[str, int, str], dict[str, Any]] = {}
    for one in played:
        names = {"process": one.process, "level": one.level, "currency": one.currency}
        row = sums.setdefault((one.process, one.level, one.currency), {**names, "statements": 0, "minor": 0})
        row["statements"] += 1
        row["minor"] += one.please_pay_minor
    rows = [{**one.as_json(), "please_pay_minor": one.please_pay_minor} for one in played[:SHOWN]]
    return {"count": len(played), "sums": [sums[key] for key in sorted(sums)], "played": rows}


def _days(text: str) -> int:
    return min(int(text), MOST_DAYS) if text.isdecimal() and len(text) < 5 and int(text) else DAYS


def _pays(text: str) -> Pays:
    return "observed" if text == "observed" else "nobody"


def _process(desk: Desk, name: str) -> str | None:
    if name and name not in load_processes(desk.workspace):
        raise NotThere("there is no such process", value=name, remedy="choose one of the list")
    return name or None


@allowed("viewer")
def of_process(desk: Desk) -> Response:
    return RedirectResponse(f"/simulate?process={quote(desk.request.path_params['name'])}", status_code=303)


routes = [
    Route("/simulate", show, methods=["GET"]),
    Route("/simulate", begin, methods=["POST"]),
    Route("/processes/{name}/simulate", of_process),
]
