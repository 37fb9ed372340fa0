"""What every command shares: the workspace option, the output format, tables, JSON and CSV on stdout."""

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Any

import typer

from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.spreadsheets import safe_rows


class Format(StrEnum):
    table = "table"
    json = "json"
    csv = "csv"


WorkspaceOption = Annotated[str | None, typer.Option("--workspace", help="Folder of the workspace.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print lists.")]
DateOption = Annotated[str | None, typer.Option("--date", help="Business date, YYYY-MM-DD; default: today.")]


def open_workspace(workspace: str | None) -> Workspace:
    """The workspace named on this command, before it (`dunning --workspace D …`), by DUNNING_WORKSPACE, or here."""
    return Workspace(workspace)


def parse_date(text: str | None, workspace: Workspace, *, option: str = "--date") -> date:
    """`--date` as a date, else the business date in the company's time zone; a usage error (exit 2) otherwise."""
    from dunning_pipeline.settings.clock import business_date

    if text is None:
        return business_date(workspace.company.time_zone)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date; write YYYY-MM-DD", param_hint=option) from None


def show(
    rows: Sequence[Mapping[str, Any]],
    form: Format,
    *,
    columns: Sequence[str] | None = None,
    title: str | None = None,
    empty: str = "Nothing to show.",
) -> None:
    """Print rows as an aligned table, as one JSON array (never paged), or as CSV with a header.

    `columns` chooses what the table shows; JSON and CSV always carry everything; text of a source that
    a spreadsheet would run as a formula has an apostrophe in front in CSV, JSON says it as it is.
    """
    if form is Format.json:
        print_json(list(rows))
    elif form is Format.csv:
        names = list(rows[0]) if rows else list(columns or [])
        writer = csv.DictWriter(sys.stdout, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(safe_rows(rows))
    elif not rows:
        typer.echo(empty)
    else:
        _print_table(rows, columns or list(rows[0]), title)


def print_json(value: Any) -> None:
    """Stable JSON on stdout: decimals as strings, dates ISO, keys in the order given, UTF-8."""
    import orjson

    sys.stdout.write(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())
    sys.stdout.write("\n")


def _print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], title: str | None) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, header_style="bold", box=None, pad_edge=False)
    body = [[_cell(row.get(column)) for column in columns] for row in rows]
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for cells in body:
        table.add_row(*(Text(cell) for cell in cells))
    Console(soft_wrap=False, width=None if sys.stdout.isatty() else 200).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(value)
