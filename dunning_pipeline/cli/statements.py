"""`dunning statement …`: the whole life of statements from the command line."""

import getpass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from dunning_pipeline.cli.output import Format, FormatOption, WorkspaceOption, open_workspace, print_json, show

app = typer.Typer(no_args_is_help=True, help="Statements: list, show, edit, close, void, send …")

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID|NUMBER]…", help="Ids or numbers of statements.")]
One = Annotated[str, typer.Argument(metavar="ID|NUMBER")]
RunOption = Annotated[str | None, typer.Option("--run", help="All of this run.")]
AllOption = Annotated[bool, typer.Option("--all", help="All that there are.")]
Status = Annotated[list[str] | None, typer.Option("--status", help="draft, closed, voided, superseded, deleted.")]
Account = Annotated[str | None, typer.Option("--account", help="Account id or key.")]
Date = Annotated[str | None, typer.Option("--date", help="Dunning date, YYYY-MM-DD.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")]
Pattern = Annotated[str, typer.Option("--name", help="File names: {number}, {account_id}, {account_name}, {date} …")]

_COLUMNS = ("id", "number", "status", "account_id", "account_name", "level", "please_pay", "currency", "dunning_date")


@app.command("list")
def list_(
    run: RunOption = None,
    status: Status = None,
    account: Account = None,
    date: Date = None,
    level: Annotated[int | None, typer.Option("--level")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="dunning or account.")] = None,
    process: Annotated[str | None, typer.Option("--process")] = None,
    held: Annotated[bool | None, typer.Option("--held/--not-held", help="Only drafts that need a person.")] = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Statements with their details; deleted drafts only with --status deleted."""
    from dunning_pipeline.ledger.reading import statements_json

    rows = statements_json(
        open_workspace(workspace),
        run=run,
        status=status or None,
        account=account,
        date=_date(date),
        level=level,
        kind=kind,
        process=process,
        held=held,
    )
    show(rows if form is Format.json else [_flat(row) for row in rows], form, columns=_COLUMNS, empty="No statements.")


@app.command("show")
def show_(statement: One, workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """One statement: its lines, its total, its recipients and why they were chosen."""
    from dunning_pipeline.errors import NotThere
    from dunning_pipeline.ledger.reading import statements_json

    found = statements_json(
        open_workspace(workspace),
        ids=[statement],
        status=["draft", "closed", "voided", "superseded", "deleted"],
    )
    if not found:
        raise NotThere("there is no such statement", value=statement, remedy="`dunning statement list` shows them")
    if form is Format.json:
        print_json(found[0])
        return
    one = found[0]
    show([{"field": name, "value": value} for name, value in _flat(one).items() if value not in (None, "", [])], form)
    show(one["details"], form, columns=_detail_columns(one["details"]))


@app.command()
def edit(
    statement: One,
    to: Annotated[str | None, typer.Option("--to", help="Recipients, separated by commas.")] = None,
    cc: Annotated[str | None, typer.Option("--cc")] = None,
    bcc: Annotated[str | None, typer.Option("--bcc")] = None,
    due: Annotated[str | None, typer.Option("--due", help="The new deadline, YYYY-MM-DD.")] = None,
    language: Annotated[str | None, typer.Option("--language")] = None,
    channel: Annotated[list[str] | None, typer.Option("--channel", help="May be repeated.")] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="FIELD=WORDS (subject, opening, closing, sms); empty = template.")
    ] = None,
    address: Annotated[
        list[str] | None, typer.Option("--address", help="FIELD=VALUE (name, street, postal_code, city, country).")
    ] = None,
    release: Annotated[bool, typer.Option("--release", help="Take the hold off, after looking at it.")] = False,
    version: Annotated[int | None, typer.Option("--version", help="The row_version that you looked at.")] = None,
    reason: Reason = "by hand",
    workspace: WorkspaceOption = None,
) -> None:
    """Change a draft; what is set by hand survives later runs. --version refuses where somebody was faster."""
    from dunning_pipeline.ledger.engine import open_ledger, reading
    from dunning_pipeline.ledger.reading import list_statements
    from dunning_pipeline.statements.drafting import editing

    ws, now, actor = open_workspace(workspace), _now(), getpass.getuser()
    with reading(open_ledger(ws)) as connection:
        known = list_statements(connection, ids=[statement])
    current: dict[str, Any] = known[0] if known else {"recipients": {}, "address": {}, "statement_id": statement}
    changes: dict[str, Any] = {"due_date": due, "language": language, "channels": channel or None}
    given = {"to": to, "cc": cc, "bcc": bcc}
    if any(value is not None for value in given.values()):
        changes["recipients"] = {**current["recipients"], **{k: v for k, v in given.items() if v is not None}}
    if text:
        changes["texts"] = _pairs(text, "--text")
    if address:
        changes["address"] = {**current["address"], **_pairs(address, "--address")}
    wanted = {name: value for name, value in changes.items() if value is not None}
    reached = None
    if wanted:
        reached = editing.edit(ws, current["statement_id"], wanted, row_version=version, now=now, actor=actor)
    if release:
        editing.release(ws, current["statement_id"], reason=reason, now=now, actor=actor)
    typer.echo(f"{statement} is changed" + (f" (version {reached})." if reached else "."))


@app.command("copy-text")
def copy_text(statement: One, workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """Fill a draft's empty texts from its template, ready to be changed."""
    from dunning_pipeline.statements.drafting import editing

    texts = editing.copy_text(open_workspace(workspace), statement, now=_now(), actor=getpass.getuser())
    if form is Format.json:
        print_json(texts)
    else:
        show([{"text": name, "words": words} for name, words in texts.items()], form)


@app.command()
def delete(
    ids: Ids = None,
    run: RunOption = None,
    all_: AllOption = False,
    reason: Reason = "by hand",
    workspace: WorkspaceOption = None,
) -> None:
    """Delete drafts: those named, all of a run, or all."""
    from dunning_pipeline.statements.drafting import editing

    ws = open_workspace(workspace)
    chosen = _chosen(ws, ids, run=run, all_=all_, status="draft")
    count = editing.delete_drafts(ws, chosen, now=_now(), actor=getpass.getuser(), reason=reason)
    typer.echo(f"{count} drafts are deleted.")


@app.command()
def close(
    ids: Ids = None,
    run: RunOption = None,
    all_: AllOption = False,
    pdf: Annotated[bool, typer.Option("--pdf/--no-pdf", help="File the letters too.")] = True,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Close drafts: check them again, number them, post their charges, freeze their words. Again is a no-op."""
    from dunning_pipeline.cli.progress import progress_bar
    from dunning_pipeline.statements.closing import close as close_drafts

    ws = open_workspace(workspace)
    chosen = _chosen(ws, ids, run=run, all_=all_, status="draft")
    with progress_bar() as progress:
        report = close_drafts(ws, chosen, now=_now(), actor=getpass.getuser(), progress=progress, pdf=pdf)
    if form is Format.table:
        typer.echo(f"{len(report.closed)} closed, {len(report.already_closed)} were closed already.")
    else:
        print_json({"closed": report.closed, "already_closed": report.already_closed, "refused": report.refused})
    for statement, why in report.refused.items():
        typer.echo(f"{statement} stays as it is: {why}", err=True)
    if report.refused and not report.closed and not report.already_closed:
        raise typer.Exit(1)


@app.command()
def void(
    ids: Annotated[list[str], typer.Argument(metavar="ID|NUMBER…")], reason: Reason, workspace: WorkspaceOption = None
) -> None:
    """Void closed statements: their postings are reversed, their levels and waiting sends taken back."""
    from dunning_pipeline.statements import voiding

    ws = open_workspace(workspace)
    for statement in ids:
        changed = voiding.void(ws, statement, reason=reason, now=_now(), actor=getpass.getuser())
        typer.echo(f"{statement} is {'voided' if changed else 'void already'}.")


@app.command()
def pdf(
    statement: One,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File or folder; default: here.")] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Write a statement's PDF, made again from its frozen content: always the same bytes."""
    from dunning_pipeline.statements.distributing import file_name
    from dunning_pipeline.statements.printing import pdf_of

    row, content = pdf_of(open_workspace(workspace), statement)
    target = output or Path()
    file = target / file_name(row) if target.is_dir() else target
    file.write_bytes(content)
    typer.echo(str(file))


@app.command("zip")
def zip_(
    ids: Ids = None,
    run: RunOption = None,
    all_: AllOption = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="The ZIP file.")] = Path("statements.zip"),
    name: Pattern = "{number}.pdf",
    workspace: WorkspaceOption = None,
) -> None:
    """Write the PDFs of statements into one ZIP."""
    from dunning_pipeline.statements.distributing import write_zip

    ws = open_workspace(workspace)
    names = write_zip(ws, _chosen(ws, ids, run=run, all_=all_, status="closed"), output, pattern=name)
    typer.echo(f"{output}: {len(names)} PDFs.")


@app.command()
def send(
    ids: Ids = None,
    run: RunOption = None,
    all_: AllOption = False,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the send hour.")] = False,
    draft: Annotated[bool, typer.Option("--draft", help="Mail drafts marked DRAFT; close nothing.")] = False,
    keep_draft: Annotated[bool, typer.Option("--no-close", help="Same as --draft.")] = False,
    again: Annotated[bool, typer.Option("--again", help="A deliberate second sending.")] = False,
    to: Annotated[str | None, typer.Option("--to", help="Other recipients, separated by commas.")] = None,
    cc: Annotated[str | None, typer.Option("--cc", help="Other copies; an empty text: none.")] = None,
    bcc: Annotated[str | None, typer.Option("--bcc", help="A blind copy, for example to me.")] = None,
    subject: Annotated[str | None, typer.Option("--subject")] = None,
    body: Annotated[str | None, typer.Option("--body", help="Plain words instead of the template's.")] = None,
    attachments: Annotated[
        str | None, typer.Option("--attachments", help="all, statement (no invoices) or none.")
    ] = None,
    channel: Annotated[list[str] | None, typer.Option("--channel", help="May be repeated.")] = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Queue statements for `dunning send`. A draft is closed first, unless --draft says otherwise."""
    from dunning_pipeline.statements import sending

    ws = open_workspace(workspace)
    report = sending.send_statements(
        ws,
        _chosen(ws, ids, run=run, all_=all_, status=["closed"] if not (draft or keep_draft) else ["draft"]),
        as_draft=draft or keep_draft,
        again=again,
        send_now=now,
        channels=channel or None,
        overrides=_overrides(to=to, cc=cc, bcc=bcc, subject=subject, body=body, attachments=attachments),
        now=_now(),
        actor=getpass.getuser(),
    )
    if form is Format.table:
        typer.echo(f"messages queued: {len(report.keys)}; `dunning send` delivers what is due.")
    else:
        print_json({"queued": report.keys, "refused": report.refused})
    for statement, why in report.refused.items():
        typer.echo(f"{statement} is not queued: {why}", err=True)
    if report.refused and not report.keys:
        raise typer.Exit(1)


@app.command()
def distribute(
    target: Annotated[str, typer.Argument(help="A folder, or a store such as s3://bucket/letters.")],
    ids: Annotated[list[str] | None, typer.Option("--id", help="Only these; may be repeated.")] = None,
    run: RunOption = None,
    all_: AllOption = False,
    drafts_only: Annotated[bool, typer.Option("--drafts-only", help="Only drafts, marked as such.")] = False,
    name: Pattern = "{number}.pdf",
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Copy PDFs to a folder or store; what lies there already is not written again."""
    from dunning_pipeline.statements import distributing

    ws = open_workspace(workspace)
    chosen = _chosen(ws, ids, run=run, all_=all_, status="draft" if drafts_only else "closed")
    report = distributing.distribute(
        ws, chosen, target=target, pattern=name, drafts_only=drafts_only, now=_now(), actor=getpass.getuser()
    )
    if form is Format.table:
        typer.echo(f"{len(report['written'])} written, {len(report['unchanged'])} were there already.")
    else:
        print_json(report)


def _chosen(ws: Any, ids: list[str] | None, *, run: str | None, all_: bool, status: str | list[str]) -> list[str]:
    """The ids that were named, or those of a run or of all with this status; a usage error without any of it."""
    if ids:
        return list(ids)
    if run is None and not all_:
        raise typer.BadParameter("name statements, or say --run RUN or --all")
    from dunning_pipeline.ledger.engine import open_ledger, reading
    from dunning_pipeline.ledger.reading import list_statements

    with reading(open_ledger(ws)) as connection:
        return [row["statement_id"] for row in list_statements(connection, run=run, status=status)]


def _overrides(**given: str | None) -> dict[str, Any] | None:
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name in ("to", "cc", "bcc"):
        if name in said:
            said[name] = [part.strip() for part in said[name].split(",") if part.strip()]
    if said.get("attachments") in ("all", "none"):
        said["attachments"] = said["attachments"] == "all"
    return said or None


def _pairs(given: list[str], option: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    if any(not separator for _, separator, _ in pairs):
        raise typer.BadParameter("write FIELD=VALUE", param_hint=option)
    return {name.strip(): value for name, _, value in pairs}


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in row.items() if name not in ("totals", "details", "recipients")}
    return flat | row["totals"] | {who: ", ".join(value) for who, value in row["recipients"].items()}


def _detail_columns(details: list[dict[str, Any]]) -> list[str]:
    wanted = (
        "type",
        "invoice_number",
        "instalment",
        "level",
        "due_date",
        "days_overdue",
        "open_amount",
        "amount",
        "reference",
    )
    return [name for name in wanted if any(name in detail for detail in details)]


def _date(text: str | None) -> Any:
    from datetime import date

    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date; write YYYY-MM-DD", param_hint="--date") from None


def _now() -> datetime:
    from dunning_pipeline.settings.clock import business_now

    return business_now()
