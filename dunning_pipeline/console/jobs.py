"""Long actions of the console: queued in the ledger, run beside the pages, cancelled by a click.

What changes something is run one after the other; what only looks has a line of its own and waits for none of it.

A job survives the server: what a dead server had claimed is queued again at the next start, and every action is safe to
repeat (each statement is closed, sent or deleted once, whatever the number of tries).
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine, select

from dunning_pipeline.console.access import instant_of_access
from dunning_pipeline.errors import DunningError
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.processes import is_dead, process_mark
from dunning_pipeline.ledger.schema import jobs
from dunning_pipeline.settings.clock import business_now
from dunning_pipeline.settings.workspace import Workspace

log = logging.getLogger(__name__)
IDLE_SECONDS = 1.0
STOP_SECONDS = 5.0


class Cancelled(Exception):
    """Raised inside an action by `Job.progress` once somebody cancelled it; what was done stays done."""


@dataclass
class Job:
    job_id: str
    workspace: Workspace
    engine: Engine
    arguments: Mapping[str, Any]
    actor: str

    def progress(self, done: int, total: int) -> None:
        """Record how far it is. Raises Cancelled once the job was cancelled."""
        with self.engine.begin() as connection:
            status = connection.execute(select(jobs.c.status).where(jobs.c.job_id == self.job_id)).scalar_one()
            if status == "cancelled":
                raise Cancelled("stopped by a person")
            connection.execute(jobs.update().where(jobs.c.job_id == self.job_id).values(progress=done, total=total))

    def told(self, _what: str, done: int, total: int) -> None:
        """`progress` as the operations call it; what is not counted yet leaves the last numbers."""
        if total:
            self.progress(done, total)

    def keep(self, result: bytes) -> None:
        """Keep what the job found, for its page."""
        with self.engine.begin() as connection:
            connection.execute(jobs.update().where(jobs.c.job_id == self.job_id).values(result=result))


Action = Callable[[Job], str]  # returns what to tell the person
ACTIONS: dict[str, Action] = {}
LOOKS: set[str] = set()


def action(name: str, *, only_looks: bool = False) -> Callable[[Action], Action]:
    """Register a function as the action that jobs of this name run."""

    def register(function: Action) -> Action:
        ACTIONS[name] = function
        if only_looks:
            LOOKS.add(name)
        return function

    return register


def enqueue(engine: Engine, *, action: str, arguments: Mapping[str, Any], total: int, actor: str) -> str:
    job_id = uuid4().hex
    with engine.begin() as connection:
        connection.execute(
            jobs.insert().values(
                job_id=job_id,
                action=action,
                arguments=dict(arguments),
                status="queued",
                progress=0,
                total=total,
                created_by=actor,
                created_at=instant_of_access(),
            )
        )
        audit.record(
            connection,
            actor=actor,
            action=f"job.{action}",
            object_kind="job",
            object_id=job_id,
            after=_told(arguments),
            at=business_now(),
        )
    return job_id


def _told(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments for the audit: how many ids instead of each, as every one has its own entry once it is done."""
    return {name: len(value) if name == "ids" else value for name, value in arguments.items()}


def cancel(engine: Engine, job_id: str, *, actor: str) -> bool:
    """Whether the job was still waiting or running; it stops at its next step."""
    with engine.begin() as connection:
        stopped = connection.execute(
            jobs.update()
            .where(jobs.c.job_id == job_id, jobs.c.status.in_(("queued", "running")))
            .values(status="cancelled", finished_at=instant_of_access())
        ).rowcount
        if stopped:
            audit.record(
                connection, actor=actor, action="job.cancel", object_kind="job", object_id=job_id, at=business_now()
            )
        return bool(stopped)


def download_of(workspace: Workspace, job_id: str) -> Path:
    """Where the file lies that a job made for its person."""
    return workspace.state / "downloads" / f"{job_id}.zip"


class Worker(threading.Thread):
    """Takes queued jobs one after the other, oldest first: those that only look, or all others."""

    def __init__(self, workspace: Workspace, engine: Engine, *, looks: bool) -> None:
        super().__init__(name="console-looks" if looks else "console-jobs", daemon=True)
        self.workspace, self.engine, self.looks = workspace, engine, looks
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            if not run_next(self.workspace, self.engine, looks=self.looks):
                self.stopping.wait(IDLE_SECONDS)

    def stop(self) -> None:
        """Take no more; the step at hand may end within some seconds, else the job is taken up at the next start."""
        self.stopping.set()
        self.join(timeout=STOP_SECONDS)


def take_back(engine: Engine) -> int:
    """Queue again what servers that are gone had claimed."""
    with engine.begin() as connection:
        running = connection.execute(select(jobs.c.job_id, jobs.c.claimed_by).where(jobs.c.status == "running")).all()
        gone = [job_id for job_id, holder in running if holder is None or is_dead(holder)]
        for job_id in gone:
            connection.execute(jobs.update().where(jobs.c.job_id == job_id).values(status="queued", claimed_by=None))
    return len(gone)


def run_next(workspace: Workspace, engine: Engine, *, looks: bool = False) -> bool:
    """Run the oldest queued job of one line; False where there is none."""
    line = jobs.c.action.in_(LOOKS) if looks else jobs.c.action.not_in(LOOKS)
    with reading(engine) as connection:
        waiting = connection.execute(
            select(jobs.c.job_id).where(jobs.c.status == "queued", line).order_by(jobs.c.created_at).limit(1)
        ).first()
    if waiting is None:
        return False
    with engine.begin() as connection:
        claimed = connection.execute(
            jobs.update()
            .where(jobs.c.job_id == waiting[0], jobs.c.status == "queued")
            .values(status="running", claimed_by=process_mark())
        ).rowcount
        row = connection.execute(select(jobs).where(jobs.c.job_id == waiting[0])).mappings().one()
    if claimed:
        _run(Job(row["job_id"], workspace, engine, row["arguments"], row["created_by"]), row["action"])
    return True


def _run(job: Job, name: str) -> None:
    try:
        status, message = "done", ACTIONS[name](job)
    except Cancelled:
        status, message = "cancelled", "stopped; what was done until then stays done"
    except DunningError as error:
        status, message = "failed", str(error)
    except Exception as error:
        log.exception("job %s (%s) failed", job.job_id, name)
        status, message = "failed", f"{type(error).__name__}: {error}"
    with job.engine.begin() as connection:
        connection.execute(
            jobs.update()
            .where(jobs.c.job_id == job.job_id, jobs.c.status.in_(("running", "cancelled")))
            .values(status=status, message=message, finished_at=instant_of_access())
        )
