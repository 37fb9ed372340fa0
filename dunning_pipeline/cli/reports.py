"""`dunning report`: ageing as of a date, what dunning recovered, how messages were delivered."""

from typing import Annotated

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

app = typer.Typer(no_args_is_help=True, help="Reports: ageing, recovery, delivery.")

BucketsOption = Annotated[str, typer.Option("--buckets", help="Upper bounds in days, such as 15,30,60.")]


@app.command("ageing")
def report_ageing(
    date: DateOption = None,
    buckets: BucketsOption = "15,30,60",
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Open principal by age as of a date: one row per currency and bucket; not yet due has no days."""
    from dunning_pipeline.reports.ageing import ageing, parse_buckets

    ws = open_workspace(workspace)
    show(ageing(ws, as_of=parse_date(date, ws), buckets=parse_buckets(buckets)), form, empty="Nothing is owed.")


@app.command("recovery")
def report_recovery(workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """What each level of each process brought in, from the last build."""
    _published("recovery", workspace, form)


@app.command("delivery")
def report_delivery(workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """What became of the messages of each month, by channel and template, from the last build."""
    _published("deliverability", workspace, form)


def _published(name: str, workspace: str | None, form: Format) -> None:
    from dunning_pipeline.sql_models.reading import read_model

    rows = read_model(open_workspace(workspace), f"reports.{name}").rows()
    show(rows, form, empty="Nothing was sent yet.")
