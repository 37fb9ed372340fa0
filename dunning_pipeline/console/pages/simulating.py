"""What the next days would bring: who would get which level, when and for how much; nothing is written.

Every day is a whole decision, so it is played in the background, can be stopped, and is kept for its person.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal
from urllib.parse import quote

import orjson
from sqlalchemy import select
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
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import jobs as work

SHOWN = 500
MOST_DAYS = 60  # every day is a whole decision; `dunning process simulate` plays longer
DAYS = 7
LOOKED_THROUGH = 50  # newest simulations of a person
Pays = Literal["nobody", "observed"]


@allowed("viewer")
def show(desk: Desk) -> Response:
    """The form, and what the asked job has played or, without one, what this person had played last for the same."""
    process = _process(desk, desk.asked("process"))
    if desk.asked("job"):
        job: Mapping[str, Any] | None = own_job(desk, desk.asked("job"))
        if job is None or job["action"] != "simulate":
            raise NotThere("this is no simulation", remedy="look at the list of long actions")
        account = _account(desk, job["arguments"].get("account") or "")
    else:
        account = _account(desk, desk.asked("account"))
        job = _last(desk, account["account_key"] if account else None, process)
    given = job["arguments"] if job else {}
    return desk.page(
        "simulate.html",
        account=account,
        process=given.get("process") or process,
        processes=sorted(load_processes(desk.workspace)),
        days=given.get("days", DAYS),
        pays=given.get("pays", "nobody"),
        job=job,
        given=given,
        outcome=orjson.loads(job["result"]) if job and job["result"] else None,
        poll=job and f"/simulate?job={job['job_id']}",
        has_file=False,
    )


@allowed("viewer")
def begin(desk: Desk) -> Response:
    """Play one account or all of them in the background."""
    account, days = _account(desk, desk.typed("account")), _days(desk.typed("days"))
    arguments = {
        "start": desk.today.isoformat(),
        "days": days,
        "pays": _pays(desk.typed("pays")),
        "process": _process(desk, desk.typed("process")),
        "account": account and account["account_key"],
    }
    job_id = jobs.enqueue(desk.engine, action="simulate", arguments=arguments, total=days, actor=desk.user.login)
    return desk.go(f"/simulate?job={job_id}")


def _account(desk: Desk, key: str) -> dict[str, Any] | None:
    """The account that is played, None for all; 403 or 404 for a user who may not see it or them."""
    if key:
        return account_row(desk, key)
    needs_all_accounts(desk)
    return None


def _last(desk: Desk, account: str | None, process: str | None) -> Mapping[str, Any] | None:
    """This person's newest simulation of the account (key; None for all), of one process where it is named."""
    j = work.c
    query = select(j.job_id, j.arguments).where(j.action == "simulate", j.created_by == desk.user.login)
    with reading(desk.engine) as connection:
        newest = connection.execute(query.order_by(j.created_at.desc()).limit(LOOKED_THROUGH)).all()
    for job_id, given in newest:
        if given.get("account") == account and process in (None, given["process"]):
            return own_job(desk, job_id)
    return None


@jobs.action("simulate", only_looks=True)
def play(job: Job) -> str:
    given: dict[str, Any] = dict(job.arguments)
    job.progress(0, given["days"])
    played = simulate(
        job.workspace,
        start=date.fromisoformat(given["start"]),
        days=given["days"],
        scope=Scope(process=given["process"], account=given.get("account")),
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
