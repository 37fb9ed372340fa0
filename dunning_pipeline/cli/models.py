"""`dunning build`: builds the models of a workspace with a progress line, and lists what became of each."""

from typing import TYPE_CHECKING, Annotated, Any

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
    from dunning_pipeline.sql_models.building import BuildReport

SelectOption = Annotated[
    str | None, typer.Option("--select", help="Models or folders; name+ with what depends on it, +name with its needs.")
]


def build(
    workspace: WorkspaceOption = None,
    date: DateOption = None,
    select: SelectOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Build the SQL models and profiles, check them, publish the snapshot. Exit code 1 when a model failed."""
    from dunning_pipeline.settings.clock import business_now
    from dunning_pipeline.sql_models.building import build as build_models

    ws = open_workspace(workspace)
    with progress_line(form) as say:
        report = build_models(ws, run_date=parse_date(date, ws), now=business_now(), select=select, progress=say)
    if form is Format.json:
        print_json(_as_json(report))
    else:
        show([_row(model) for model in report.models], form)
    if form is Format.table:
        _tell(report)
    if report.failed:
        raise typer.Exit(1)


class progress_line:
    """One line on stderr that says what is being done; silent where nobody looks."""

    def __init__(self, form: Format) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._status = self._console.status("starting") if form is Format.table and self._console.is_terminal else None

    def __enter__(self) -> Any:
        if self._status is None:
            return None
        self._status.start()
        return self._say

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def _say(self, what: str, done: int, total: int) -> None:
        if self._status is not None:
            self._status.update(f"{done + 1} of {total}  {what}" if total else what)


def _row(model: Any) -> dict[str, Any]:
    return {
        "model": model.key,
        "status": model.status,
        "rows": model.rows,
        "seconds": f"{model.seconds:.2f}",
        "error": model.error,
    }


def _as_json(report: "BuildReport") -> dict[str, Any]:
    return {
        "run_id": report.run_id,
        "run_date": report.run_date,
        "snapshot": report.snapshot.name if report.snapshot else None,
        "withheld": report.withheld,
        "failed": report.failed,
        "models": [_row(model) for model in report.models],
        "checks": [check.__dict__ for check in report.checks],
        "steps": [{"step": step, "seconds": f"{seconds:.2f}"} for step, seconds in report.steps],
    }


def _tell(report: "BuildReport") -> None:
    for check in report.checks:
        if check.status != "passed":
            where = f", kept in {check.kept_in}" if check.kept_in else ""
            typer.echo(f"{check.severity}: {check.name}: {check.error or f'{check.failures} rows{where}'}", err=True)
    seconds = ", ".join(f"{step} {took:.1f} s" for step, took in report.steps)
    typer.echo(f"\n{seconds}")
    typer.echo(f"Published {report.snapshot.name}" if report.snapshot else f"Nothing published: {report.withheld}")
