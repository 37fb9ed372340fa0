"""`dunning demo`: generates a company, runs its day with a progress display, says what happened and what to look at."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date as Date
from datetime import datetime, time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dunning_pipeline.cli.output import WorkspaceOption, open_workspace

if TYPE_CHECKING:
    from rich.console import Console

    from dunning_pipeline.settings.workspace import Workspace

DEMO_DATE = "2025-11-03"


def demo(
    workspace: WorkspaceOption = None,
    date: Annotated[str, typer.Option("--date", help="The day that is played, YYYY-MM-DD.")] = DEMO_DATE,
    seed: Annotated[int, typer.Option("--seed", help="Another seed invents another company.")] = 7,
) -> None:
    """The main job on a generated company: read, unify, segment, decide, close, send into the outbox folder.

    Fills an empty inbox (or one that the demo made), never anybody's files. Everything stays in this workspace.
    """
    from rich.console import Console

    from dunning_pipeline.demo.inbox import write_inbox

    ws = open_workspace(workspace)
    try:
        day = Date.fromisoformat(date)
    except ValueError:
        raise typer.BadParameter(f"{date!r} is no date; write YYYY-MM-DD", param_hint="--date") from None
    console = Console(width=None if os.isatty(1) else 110, soft_wrap=False)
    with business_clock(ws, day):
        write_inbox(ws.inbox, today=day, seed=seed)
        complete = _play(ws, day, console)
    if not complete:
        raise typer.Exit(1)


def _play(ws: "Workspace", day: Date, console: "Console") -> bool:
    from dunning_pipeline.daily import daily
    from dunning_pipeline.delivery.working.worker import deliver
    from dunning_pipeline.demo.report import tell
    from dunning_pipeline.settings.clock import business_now

    now = business_now()
    with _steps(console) as say:
        report = daily(ws, date=day, now=now, actor="demo", progress=say)
        say("delivering into the outbox", 0, 0)
        outcomes = deliver(ws, now=now, send_now=True, progress=say) if report.is_complete else {}
    tell(ws, report, outcomes, console=console)
    return report.is_complete


@contextmanager
def business_clock(ws: "Workspace", day: Date) -> Iterator[None]:
    """Nine in the morning of `day` at the company, for this command; DUNNING_NOW wins where it is set."""
    if os.environ.get("DUNNING_NOW"):
        yield
        return
    os.environ["DUNNING_NOW"] = datetime.combine(day, time(9), tzinfo=ws.company.zone).isoformat()
    try:
        yield
    finally:
        del os.environ["DUNNING_NOW"]


@contextmanager
def _steps(console: "Console") -> Iterator[Any]:
    """One line for each stage of the day, with a bar where it can be counted and the time it took."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task("generating the company", total=None)

        def say(what: str, done: int = 0, total: int = 0) -> None:
            nonlocal task
            if total:
                bars.update(task, total=total, completed=done)
            else:
                bars.update(task, total=1, completed=1)
                bars.stop_task(task)
                task = bars.add_task(what, total=None)

        yield say
        bars.update(task, total=1, completed=1)
