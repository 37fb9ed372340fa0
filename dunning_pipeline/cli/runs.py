"""`dunning run`, `dunning runs` and `dunning explain`: decide and draft for a date, and say why or why not."""

import getpass
from typing import Annotated, Any

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

app = typer.Typer(no_args_is_help=True, help="Dunning runs: list, show, delete.")

_COLUMNS = ("run_id", "kind", "dunning_date", "status", "created", "updated", "unchanged", "removed", "held")


def run(
    date: DateOption = None,
    process: Annotated[str | None, typer.Option("--process", help="Only accounts in this process.")] = None,
    level: Annotated[list[int] | None, typer.Option("--level", help="Only this level; may be repeated.")] = None,
    account: Annotated[str | None, typer.Option("--account", help="Account id, number or key.")] = None,
    invoice: Annotated[
        str | None, typer.Option("--invoice", help="Invoice number, id or key; with --level, forces that level.")
    ] = None,
    segment: Annotated[str | None, typer.Option("--segment", help="Only members of this segment.")] = None,
    statements: Annotated[
        bool, typer.Option("--account-statements", help="Account statements (all open items, no level) instead.")
    ] = False,
    replay: Annotated[bool, typer.Option("--replay", help="Show what would be proposed; change nothing.")] = False,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Make drafts for a dunning date, for everybody or for what the options name. Again changes nothing."""
    from dunning_pipeline.cli.progress import progress_bar
    from dunning_pipeline.dunning.scope import Scope
    from dunning_pipeline.settings.clock import business_now
    from dunning_pipeline.statements import runs

    ws = open_workspace(workspace)
    scope = Scope(
        process=process,
        levels=tuple(level or ()),
        account=account,
        invoice=invoice,
        segment=segment,
        kind="account" if statements else "dunning",
    )
    with progress_bar() as progress:
        report = runs.run(
            ws,
            dunning_date=parse_date(date, ws),
            now=business_now(),
            scope=scope,
            actor=getpass.getuser(),
            replay=replay,
            progress=progress,
        )
    if replay:
        _show_replay(report.proposals, form)
    elif form is Format.json:
        about = {"run_id": report.run_id, "dunning_date": report.dunning_date, **report.counts}
        print_json({**about, "left_out": report.left_out, "statement_ids": report.statement_ids})
    elif form is Format.csv:
        show([{"run_id": report.run_id, "dunning_date": report.dunning_date, **report.counts}], form)
    else:
        said = ", ".join(f"{count} {what}" for what, count in report.counts.items())
        typer.echo(f"Run {report.run_id}: {said}.")
    if form is not Format.table:
        return
    if report.left_out:
        said = ", ".join(f"{count} {reason}" for reason, count in report.left_out.items())
        typer.echo(f"Owed and not dunned: {said}; of an account: dunning explain ACCOUNT --date {report.dunning_date}")
    if report.counts["proposed"] and not replay:
        typer.echo(f"Look at them: dunning statement list --run {report.run_id}")


def explain(
    subject: Annotated[str, typer.Argument(metavar="ACCOUNT|INVOICE", help="Id, number or key.")],
    date: DateOption = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Why an account or an invoice is dunned on a date, or is not: the first reason of each item, in plain words."""
    from dunning_pipeline.dunning.explain import explain as explain_items

    ws = open_workspace(workspace)
    rows = explain_items(ws, subject, dunning_date=parse_date(date, ws))
    columns = ("invoice_number", "instalment", "included", "reason", "level_before", "level_after", "text")
    show(rows, form, columns=columns, empty="No items of it are known on this date.")


@app.command("list")
def list_(workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """Every run, the newest first."""
    show(_rows(workspace), form, columns=_COLUMNS, empty="No run yet.")


@app.command("show")
def show_(run_id: str, workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """One run with its scope and counts."""
    from dunning_pipeline.errors import NotThere

    found = [row for row in _rows(workspace) if row["run_id"] == run_id]
    if not found:
        raise NotThere("there is no such run", value=run_id, remedy="`dunning runs list` shows them")
    if form is Format.table:
        show([{"field": name, "value": value} for name, value in found[0].items()], form)
    else:
        show(found, form)


@app.command()
def delete(
    run_id: str,
    with_drafts: Annotated[bool, typer.Option("--with-drafts", help="Delete its drafts too.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Delete a run that has no statements, or only drafts with --with-drafts."""
    from dunning_pipeline.settings.clock import business_now
    from dunning_pipeline.statements import runs

    ws = open_workspace(workspace)
    runs.delete_run(ws, run_id, now=business_now(), actor=getpass.getuser(), with_drafts=with_drafts)
    typer.echo(f"Run {run_id} is deleted.")


def _rows(workspace: str | None) -> list[dict[str, Any]]:
    from sqlalchemy import select

    from dunning_pipeline.ledger.engine import open_ledger, reading
    from dunning_pipeline.ledger.schema import runs as table

    with reading(open_ledger(open_workspace(workspace))) as connection:
        query = select(table).where(table.c.status != "deleted").order_by(table.c.started_at.desc(), table.c.run_id)
        found = [dict(row._mapping) for row in connection.execute(query)]
    return [{**{k: v for k, v in row.items() if k != "counts"}, **(row["counts"] or {})} for row in found]


def _show_replay(proposals: list[dict[str, Any]], form: Format) -> None:
    from dunning_pipeline.money import amount_text

    rows = [
        {
            "account_id": row["account_id"],
            "account_name": row["account_name"],
            "level": row["level"],
            "please_pay": amount_text(row["please_pay_minor"], row["currency"]),
            "currency": row["currency"],
            "hold_reason": row["hold_reason"],
        }
        for row in proposals
    ]
    show(rows, form, empty="Nothing would be proposed.")
