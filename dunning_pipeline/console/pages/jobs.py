"""Long actions: where each one stands, and the button that stops it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from dunning_pipeline.console import jobs as work
from dunning_pipeline.console.desk import Desk, allowed, as_rows
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import jobs


@allowed("viewer")
def list_jobs(desk: Desk) -> Response:
    shown = [column for column in jobs.c if column.name not in ("arguments", "result")]
    query = select(*shown).order_by(jobs.c.created_at.desc()).limit(100)
    if not desk.user.may("admin"):
        query = query.where(jobs.c.created_by == desk.user.login)
    with reading(desk.engine) as connection:
        rows = as_rows(connection.execute(query))
    return desk.page("jobs.html", rows=rows)


@allowed("viewer")
def show_job(desk: Desk) -> Response:
    row = own_job(desk, desk.request.path_params["job_id"])
    has_file = row["status"] == "done" and work.download_of(desk.workspace, row["job_id"]).is_file()
    return desk.page("job.html", job=row, has_file=has_file, poll=f"/jobs/{row['job_id']}")


@allowed("viewer")
def download(desk: Desk) -> Response:
    row = own_job(desk, desk.request.path_params["job_id"])
    file = work.download_of(desk.workspace, row["job_id"])
    if not file.is_file():
        raise HTTPException(404, "there is no such file")
    return FileResponse(file, media_type="application/zip", filename=f"statements-{desk.today}.zip")


def own_job(desk: Desk, job_id: str) -> Mapping[str, Any]:
    """A job; 404 for a job of somebody else, but for admins."""
    query = select(jobs).where(jobs.c.job_id == job_id)
    with reading(desk.engine) as connection:
        row = connection.execute(query).mappings().first()
    if row is None or (row["created_by"] != desk.user.login and not desk.user.may("admin")):
        raise HTTPException(404, "there is no such action")
    return dict(row)


@allowed("viewer")
def cancel_job(desk: Desk) -> Response:
    job_id = own_job(desk, desk.request.path_params["job_id"])["job_id"]
    stopped = work.cancel(desk.engine, job_id, actor=desk.user.login)
    return desk.go(f"/jobs/{job_id}", desk.wording.text("Stopping." if stopped else "It had ended already."))


routes = [
    Route("/jobs", list_jobs),
    Route("/jobs/{job_id}", show_job),
    Route("/jobs/{job_id}/result", download),
    Route("/jobs/{job_id}/cancel", cancel_job, methods=["POST"]),
]
