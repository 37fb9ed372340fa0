"""Dunning runs: the list, one run's results, and the form that starts one."""

from sqlalchemy import func, select
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk, allowed, as_rows
from dunning_pipeline.console.listing import listed
from dunning_pipeline.console.pages.processes import declared_processes
from dunning_pipeline.console.pages.segments import segment_names
from dunning_pipeline.console.scope import within_scope
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import runs, statements
from dunning_pipeline.statements.runs import left_out


@allowed("viewer")
def list_runs(desk: Desk) -> Response:
    sorts = {"dunning_date": runs.c.dunning_date, "started_at": runs.c.started_at}
    with reading(desk.engine) as connection:
        listing = listed(
            desk,
            connection,
            select(runs).where(runs.c.status != "deleted"),
            sorts=sorts,
            default_sort="-started_at",
            tie=runs.c.run_id,
        )
    processes, error = declared_processes(desk)
    return desk.page(
        "runs.html", listing=listing, processes=sorted(processes), error=error, segments=segment_names(desk)
    )


@allowed("viewer")
def show_run(desk: Desk) -> Response:
    run_id = desk.request.path_params["run_id"]
    with reading(desk.engine) as connection:
        row = connection.execute(select(runs).where(runs.c.run_id == run_id)).mappings().first()
        if row is None:
            raise HTTPException(404, "there is no such run")
        s = statements.c
        summed = (func.count().label("count"), func.sum(s.please_pay_minor).label("please_pay_minor"))
        by = (s.process, s.level, s.currency, s.status)
        query = select(*by, *summed).where(s.run_id == run_id, s.status != "deleted")
        groups = as_rows(connection.execute(within_scope(desk, query, s.account_key).group_by(*by).order_by(*by)))
    is_told = row["kind"] != "account" and desk.user.row_scope is None  # its decisions are about all accounts
    silent = left_out(desk.workspace, run_id) if is_told else {}
    return desk.page("run.html", run=row, groups=groups, left_out=silent)


routes = [Route("/runs", list_runs), Route("/runs/{run_id}", show_run)]
