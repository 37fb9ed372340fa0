"""Long actions: where each one stands, and the button that stops it."""

from sqlalchemy import select
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console import jobs as work
from dunning_pipeline.console.desk import Desk, allowed, as_rows
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import jobs


@allowed("viewer")
def list_jobs(desk: Desk) -> Response:
    query = select(jobs).order_by(jobs.c.created_at.desc()).limit(100)
    if not desk.user.may("admin"):
        query = query.where(jobs.c.created_by == desk.user.login)
    with reading(desk.engine) as connection:
        rows = as_rows(connection.execute(query))
    return desk.page("jobs.html", rows=rows)


@allowed("viewer")
def show_job(desk: Desk) -> Response:
    with reading(desk.engine) as connection:
        row = (
            connection.execute(select(jobs).where(jobs.c.job_id == desk.request.path_params["job_id"]))
            .mappings()
            .first()
        )
    if row is None or (row["created_by"] != desk.user.login and not desk.user.may("admin")):
        raise HTTPException(404, "there is no such action")
    return desk.page("job.html", job=row, is_partial="hx-request" in desk.request.headers)


@allowed("collector")
def cancel_job(desk: Desk) -> Response:
    job_id = desk.request.path_params["job_id"]
    with reading(desk.engine) as connection:
        owner = connection.execute(select(jobs.c.created_by).where(jobs.c.job_id == job_id)).scalar_one_or_none()
    if owner is None or (owner != desk.user.login and not desk.user.may("admin")):
        raise HTTPException(404, "there is no such action")
    stopped = work.cancel(desk.engine, job_id)
    return desk.go(f"/jobs/{job_id}", desk.wording.text("Stopping." if stopped else "It had ended already."))


routes = [
    Route("/jobs", list_jobs),
    Route("/jobs/{job_id}", show_job),
    Route("/jobs/{job_id}/cancel", cancel_job, methods=["POST"]),
]
