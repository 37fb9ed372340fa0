"""What the next days would bring: who would get which level, when and for how much; nothing is written."""

from typing import Any, Literal

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.pages.accounts import account_row
from dunning_pipeline.console.scope import needs_all_accounts
from dunning_pipeline.dunning.processes import load_processes
from dunning_pipeline.dunning.scope import Scope
from dunning_pipeline.dunning.simulate import Played, simulate
from dunning_pipeline.errors import NotThere

SHOWN = 500
MOST_DAYS = 60  # every day is a whole decision; `dunning process simulate` plays longer
DAYS = 7


@allowed("viewer")
def show(desk: Desk) -> Response:
    """Nothing is played before somebody asks for it: many days over many accounts take a while."""
    processes = load_processes(desk.workspace)
    process, asked = desk.asked("process"), desk.asked("account")
    if process and process not in processes:
        raise NotThere("there is no such process", value=process, remedy="see the list of processes")
    account = account_row(desk, asked) if asked else None
    if account is None:
        needs_all_accounts(desk)
    days = max(1, desk.whole(desk.asked("days"), most=MOST_DAYS) or DAYS)
    pays: Literal["nobody", "observed"] = "observed" if desk.asked("pays") == "observed" else "nobody"
    played: list[Played] | None = None
    if desk.asked("days"):
        scope = Scope(process=process or None, account=account["account_key"] if account else None)
        played = simulate(desk.workspace, start=desk.today, days=days, scope=scope, pays=pays)
    return desk.page(
        "simulate.html",
        account=account,
        process=process,
        processes=sorted(processes),
        days=days,
        pays=pays,
        played=played[:SHOWN] if played else played,
        count=len(played or ()),
        sums=_sums(played or []),
    )


def _sums(played: list[Played]) -> dict[tuple[str, int, str], dict[str, Any]]:
    """Statements and amounts by process, level and currency."""
    sums: dict[tuple[str, int, str], dict[str, Any]] = {}
    for one in played:
        row = sums.setdefault((one.process, one.level, one.currency), {"statements": 0, "minor": 0})
        row["statements"] += 1
        row["minor"] += one.please_pay_minor
    return dict(sorted(sums.items()))


@allowed("viewer")
def of_process(desk: Desk) -> Response:
    from urllib.parse import quote

    return RedirectResponse(f"/simulate?process={quote(desk.request.path_params['name'])}", status_code=303)


routes = [Route("/simulate", show), Route("/processes/{name}/simulate", of_process)]
