"""`dunning daily`: the day's path on the command line, with a progress line and a short table of what happened."""

from typing import TYPE_CHECKING, Any

import typer

from dunning_pipeline.cli.output import (
    DateOption,
    Format,
    FormatOption,
    WorkspaceOption,
    open_workspace,
    parse_date,
    print_json,
    show,
)

if TYPE_CHECKING:
    from dunning_pipeline.daily import DailyReport


def daily(workspace: WorkspaceOption = None, date: DateOption = None, form: FormatOption = Format.table) -> None:
    """Ingest, build, decide, close what is automatic, queue. `dunning send` then delivers what is due.

    Exit code 1 when a step could not run at all; rows, statements and processes that failed are in the output.
    """
    from dunning_pipeline import daily as path
    from dunning_pipeline.cli.models import progress_line
    from dunning_pipeline.settings.clock import business_now

    ws = open_workspace(workspace)
    with progress_line(form) as say:
        report = path.daily(ws, date=parse_date(date, ws), now=business_now(), actor="daily", progress=say)
    if form is Format.json:
        print_json(as_json(report))
    else:
        show([{"step": step, "result": result} for step, result in summary(report)], form)
        for problem in report.problems:
            typer.echo(f"! {problem}", err=True)
    if not report.is_complete:
        raise typer.Exit(1)


def summary(report: "DailyReport") -> list[tuple[str, str]]:
    """Step → what it did, in words."""
    read = sum(load.rows_read for load in report.loads)
    rejected = sum(load.rows_rejected for load in report.loads)
    lines = [("read", f"{read:,} rows of {len(report.loads)} objects, {rejected:,} rejected")]
    if report.build is not None:
        built = sum(1 for model in report.build.models if model.status == "built")
        lines.append(("built", f"{built} models" + (", nothing published" if report.build.withheld else "")))
    proposed = sum(counts_of(run).get("proposed", 0) for run in report.runs)
    lines += [("proposed", f"{proposed:,} statements in {len(report.runs)} run{'s' * (len(report.runs) != 1)}")]
    if left_out := report.left_out():
        lines.append(("not dunned", "items: " + ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())))
    lines += [("closed", f"{len(report.closed):,} statements"), ("queued", f"{len(report.queued):,} messages")]
    lines += [("waiting", f"{count} drafts for campaign {name}") for name, count in report.claimed.items()]
    kept = proposed - len(report.closed) - sum(report.claimed.values())
    lines += [("for a person", f"{kept:,} drafts: dunning statement list --status draft")] if kept > 0 else []
    lines += [("campaign", f"{one.campaign} {one.occurrence}: {one.status}") for one in report.campaigns]
    return lines


def counts_of(run: Any) -> dict[str, Any]:
    return getattr(run, "counts", None) or {}


def as_json(report: "DailyReport") -> dict[str, Any]:
    return {
        "date": report.date,
        "complete": report.is_complete,
        "ingest": [
            {
                "source": load.source,
                "object": load.object,
                "rows_read": load.rows_read,
                "rows_loaded": load.rows_loaded,
                "rows_rejected": load.rows_rejected,
                "rows_closed": load.rows_closed,
            }
            for load in report.loads
        ],
        "build": {
            "models": len(report.build.models) if report.build else 0,
            "failed": report.build.failed if report.build else [],
            "withheld": report.build.withheld if report.build else None,
        },
        "runs": [{"run_id": run.run_id, "counts": counts_of(run)} for run in report.runs],
        "left_out": report.left_out(),
        "closed": len(report.closed),
        "queued": len(report.queued),
        "claimed": report.claimed,
        "campaigns": [vars(one) for one in report.campaigns],
        "problems": report.problems,
    }
