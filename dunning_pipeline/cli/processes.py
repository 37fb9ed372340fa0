"""`dunning process`: what is declared, whether it is right, what it would do, and what it would have done."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from dunning_pipeline.cli.output import (
    DateOption,
    Format,
    FormatOption,
    WorkspaceOption,
    open_workspace,
    parse_date,
    show,
)

app = typer.Typer(no_args_is_help=True, help="Dunning processes: list, check, simulate, back-test.")


@app.command("list")
def list_processes(workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """Every process with its levels and its version."""
    from dunning_pipeline.dunning.processes import load_processes

    ws = open_workspace(workspace)
    rows = [
        {
            "process": name,
            "unit": declared.process.unit,
            "grouping": declared.process.grouping,
            "escalation": declared.process.escalation,
            "levels": len(declared.process.levels),
            "days": ", ".join(_when(level) for level in declared.process.levels),
            "is_default": ws.company.default_process == name,
            "version": declared.process_hash[:12],
            "file": str(declared.file.relative_to(ws.root)),
        }
        for name, declared in load_processes(ws).items()
    ]
    show(rows, form, title="Dunning processes", empty="No process is declared: add one to policies/processes/.")


@app.command()
def check(workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """Every mistake of every process file with file, line and column; exit 1 where something is wrong."""
    from dunning_pipeline.dunning.process_checks import check_processes, currencies_without_rate

    ws = open_workspace(workspace)
    mistakes = check_processes(ws, currencies=currencies_without_rate(ws))
    if form is Format.table:
        for mistake in mistakes:
            typer.echo(f"{mistake.severity}: {mistake.error}", err=mistake.severity == "error")
        if not mistakes:
            typer.echo("All processes are right.")
    else:
        show([mistake.as_json() for mistake in mistakes], form)
    if any(mistake.severity == "error" for mistake in mistakes):
        raise typer.Exit(1)


@app.command()
def simulate(
    workspace: WorkspaceOption = None,
    day: DateOption = None,
    days: Annotated[int, typer.Option("--days", min=1, help="How many days to play.")] = 30,
    process: Annotated[str | None, typer.Option("--process", help="Only this process.")] = None,
    account: Annotated[str | None, typer.Option("--account", help="Only this account.")] = None,
    pays: Annotated[str, typer.Option("--pay", help="nobody, or observed: as late as each is used to.")] = "nobody",
    form: FormatOption = Format.table,
) -> None:
    """Who would get what over the next days; nothing is written."""
    from dunning_pipeline.dunning.scope import Scope
    from dunning_pipeline.dunning.simulate import simulate as play

    if pays not in ("nobody", "observed"):
        raise typer.BadParameter("say nobody or observed", param_hint="--pay")
    ws = open_workspace(workspace)
    start = parse_date(day, ws)
    scope = Scope(process=process, account=account)
    played = play(ws, start=start, days=days, scope=scope, pays="observed" if pays == "observed" else "nobody")
    rows = [one.as_json() for one in played]
    empty = "Nothing would be sent in these days."
    columns = ("date", "account_name", "process", "level", "channels", "currency", "please_pay", "items")
    show(rows, form, columns=columns, title=f"{len(rows)} statements over {days} days", empty=empty)


@app.command()
def backtest(
    file: Annotated[Path, typer.Argument(help="The changed process file.")],
    start: Annotated[str, typer.Option("--from", help="First date, YYYY-MM-DD.")],
    end: Annotated[str, typer.Option("--to", help="Last date, YYYY-MM-DD.")],
    every: Annotated[int, typer.Option("--every", min=1, help="A run every so many days.")] = 1,
    everything: Annotated[bool, typer.Option("--all", help="Also accounts that are treated alike.")] = False,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """How a changed process would have treated the history, beside the one that is declared now."""
    from dunning_pipeline.dunning.simulate import backtest as play

    ws = open_workspace(workspace)
    rows = play(ws, file, start=_date(start, "--from"), end=_date(end, "--to"), every=every)
    shown: list[dict[str, Any]] = [row for row in rows if everything or row["differs"]]
    empty = "The changed process would have sent the same."
    differing = sum(row["differs"] for row in rows)
    show(shown, form, title=f"{differing} of {len(rows)} accounts differ", empty=empty)


def _when(level: Any) -> str:
    anchor = "" if level.when.after == "due_date" else f" after {level.when.after.replace('_', ' ')}"
    return f"{level.when.days:+d}{anchor}"


def _date(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date; write YYYY-MM-DD", param_hint=option) from None
