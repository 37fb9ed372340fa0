"""The demo's last page: what was read, unified, proposed, sent and held and why, what to open, what to try next."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dunning_pipeline.daily import DailyReport
from dunning_pipeline.settings.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import Console

Row = tuple[str, str]
LANGUAGES = {"de": "German", "en": "English", "fr": "French", "es": "Spanish"}


def tell(ws: Workspace, report: DailyReport, outcomes: Mapping[str, Any], *, console: "Console") -> None:
    """Print the page; figures come from the report, the published snapshot and the ledger."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, title=f"{ws.company.name}, {report.date:%A %d %B %Y}")
    table.title_justify = "left"
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _rows(ws, report, outcomes):
        table.add_row(name, Text(text))
    console.print()
    console.print(table)
    for problem in [*report.problems, *outcomes.get("errors", [])]:
        console.print(Text(f"! {problem}", style="yellow"))
    if report.is_complete:
        _what_next(ws, report, console)


def _rows(ws: Workspace, report: DailyReport, outcomes: Mapping[str, Any]) -> list[Row]:
    read = sum(load.rows_read for load in report.loads)
    rejected = sum(load.rows_rejected for load in report.loads)
    rows = [
        ("read", f"{read:,} rows of {len(report.loads)} objects"),
        ("rejected", f"{rejected:,} rows, kept in {_short(ws, ws.rejects)}"),
    ]
    if report.build is None:
        return rows
    if report.build.withheld:
        return [*rows, ("published", f"nothing: {report.build.withheld}")]
    rows += [("unified", _unified(ws)), ("segmented", _segmented(ws))]
    rows += [("proposed", _proposed(ws, report)), ("closed", f"{len(report.closed):,} statements today")]
    if report.claimed:
        rows.append(("waiting", ", ".join(f"{n} drafts for campaign {name}" for name, n in report.claimed.items())))
    return [*rows, ("sent", _sent(ws, outcomes)), ("held back", _held(ws, report))]


def _unified(ws: Workspace) -> str:
    counts = _count(
        ws,
        {
            name: name
            for name in (
                "data_model.accounts",
                "unified.unified_accounts",
                "data_model.contacts",
                "unified.unified_individuals",
            )
        },
    )
    return (
        f"{counts['data_model.accounts']} accounts → {counts['unified.unified_accounts']} companies, "
        f"{counts['data_model.contacts']} contacts → {counts['unified.unified_individuals']} people"
    )


def _segmented(ws: Workspace) -> str:
    from dunning_pipeline.sql_models.reading import read_query

    names = read_query(ws, "select table_name from duckdb_tables() where schema_name = 'segments' order by 1").rows()
    if not names:
        return "no segments"
    counts = _count(ws, {row["table_name"]: f"segments.{row['table_name']}" for row in names})
    largest = sorted(counts.items(), key=lambda pair: -pair[1])[:4]
    return f"{len(counts)} segments: " + ", ".join(f"{name} {n}" for name, n in largest) + " …"


def _proposed(ws: Workspace, report: DailyReport) -> str:
    from sqlalchemy import func, select

    from dunning_pipeline.ledger.schema import statements

    s = statements.c
    query = select(s.level, func.count()).where(
        s.dunning_date == report.date, s.kind == "dunning", s.status != "deleted"
    )
    levels = dict(_ledger(ws, query.group_by(s.level).order_by(s.level)))
    text = ", ".join(f"{n} at level {level}" for level, n in levels.items())
    review = _ledger(ws, select(func.count()).where(s.status == "draft", s.dunning_date == report.date))[0][0]
    return (
        f"{sum(levels.values())} statements"
        + (f" ({text})" if text else "")
        + (f", {review} wait as drafts" if review else "")
    )


def _sent(ws: Workspace, outcomes: Mapping[str, Any]) -> str:
    counts = {name: count for name, count in outcomes.items() if isinstance(count, int) and count}
    sent = counts.pop("sent", 0)
    others = ", ".join(f"{count} {name}" for name, count in counts.items())
    if not sent:
        is_done = _ever_sent(ws) and not outcomes.get("errors")
        done = "nothing: everything of this day has been sent already" if is_done else "nothing"
        return f"{done} ({others})" if others else done
    text = f"{sent} messages, at once; by themselves they would wait until {ws.company.send_hour:02d}:00"
    return f"{text} ({others})" if others else text


def _held(ws: Workspace, report: DailyReport) -> str:
    """Every reason for silence: drafts that need a person, sends that wait, and what the decision left out."""
    from sqlalchemy import func, select

    from dunning_pipeline.ledger.schema import sends, statements

    s = statements.c
    held = select(s.hold_reason, func.count()).where(s.status == "draft", s.hold_reason.is_not(None))
    stopped = select(sends.c.reason, func.count()).where(sends.c.status.in_(("held", "failed", "unknown", "cancelled")))
    reasons = [f"{count} drafts: {reason}" for reason, count in _ledger(ws, held.group_by(s.hold_reason))]
    reasons += [f"{count} sends: {reason}" for reason, count in _ledger(ws, stopped.group_by(sends.c.reason))]
    left_out = ", ".join(f"{count} {reason}" for reason, count in report.left_out().items())
    return "; ".join(reasons + ([f"items not dunned: {left_out}"] if left_out else [])) or "nothing"


def _what_next(ws: Workspace, report: DailyReport, console: "Console") -> None:
    from rich.markup import escape

    worth = _worth_opening(ws)
    if worth:
        console.print("\n[bold]Worth opening[/bold]")
        for file, why in worth:
            console.print(f"  {escape(_short(ws, file))}  [dim]{escape(why)}[/dim]", soft_wrap=True)
    account = _an_account(ws)
    console.print("\n[bold]Next[/bold]")
    at = "" if ws.root == Path.cwd() else f" --workspace {ws.root}"
    clock = f"DUNNING_NOW={report.date}T09:00:00+01:00 "
    for command, why in (
        (f"{clock}dunning console{at}", "the clerk's desk in the browser"),
        (f"{at and f'DUNNING_WORKSPACE={ws.root} '}make dagster", "the flow, every asset with its rows and checks"),
        (f"dunning explain {account} --date {report.date}{at}", "why this account was reminded"),
        (f"dunning statement list{at}", "what was said, to whom, for how much"),
        (f"dunning demo{at}", "again: the same day sends nothing twice"),
    ):
        console.print(f"  {escape(command)}  [dim]{why}[/dim]", soft_wrap=True)


def _worth_opening(ws: Workspace) -> list[tuple[Path, str]]:
    """A message in the company's second language, one to several people or with most items, and a letter."""
    from sqlalchemy import select

    from dunning_pipeline.ledger.schema import sends, statements

    rows = _ledger(
        ws,
        select(sends.c.send_key, sends.c.channel, sends.c.language, statements.c.account_name, statements.c.number)
        .join(statements, statements.c.statement_id == sends.c.statement_id)
        .where(sends.c.status == "sent")
        .order_by(statements.c.please_pay_minor.desc(), sends.c.send_key),
    )
    found: dict[str, tuple[Path, str]] = {}
    for row in rows:
        kind = "letter" if row.channel == "letter" else row.language
        file = next(iter(sorted(ws.outbox.glob(f"{row.send_key}.*"), key=_least_telling)), None)
        if file is not None:
            what = "a letter" if row.channel == "letter" else f"an e-mail in {LANGUAGES.get(kind, kind)}"
            found.setdefault(kind, (file, f"{what} to {row.account_name} ({row.number})"))
    order = [kind for kind in ("de", "en", "letter", "fr", "es") if kind in found]
    return [found[kind] for kind in order[:3]]


def _least_telling(file: Path) -> int:
    """The message itself before the JSON beside it."""
    return (
        (".pdf", ".eml", ".txt", ".json").index(file.suffix) if file.suffix in (".pdf", ".eml", ".txt", ".json") else 9
    )


def _an_account(ws: Workspace) -> str:
    from sqlalchemy import select

    from dunning_pipeline.ledger.schema import statements

    rows = _ledger(ws, select(statements.c.account_id).order_by(statements.c.please_pay_minor.desc()).limit(1))
    return str(rows[0][0]) if rows else "ACCOUNT"


def _ever_sent(ws: Workspace) -> bool:
    from sqlalchemy import func, select

    from dunning_pipeline.ledger.schema import sends

    return bool(_ledger(ws, select(func.count()).where(sends.c.status == "sent"))[0][0])


def _ledger(ws: Workspace, query: Any) -> list[Any]:
    from dunning_pipeline.ledger.engine import open_ledger, reading

    with reading(open_ledger(ws)) as connection:
        return list(connection.execute(query).all())


def _count(ws: Workspace, tables: Mapping[str, str]) -> dict[str, int]:
    from dunning_pipeline.sql_models.reading import read_query

    selects = ", ".join(f'(select count(*) from {table}) as "{name}"' for name, table in tables.items())
    return dict(read_query(ws, f"select {selects}").rows()[0])


def _short(ws: Workspace, file: Path) -> str:
    return str(file.relative_to(ws.root)) if ws.root == Path.cwd() else str(file)
