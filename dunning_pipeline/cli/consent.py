"""`dunning consent` and `dunning suppress`: who may be written to."""

import getpass
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any

import typer

from dunning_pipeline.cli.output import Format, FormatOption, WorkspaceOption, open_workspace, print_json, show

app = typer.Typer(no_args_is_help=True, help="Consent of contact points: import, show.")


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    channel: Annotated[str | None, typer.Option("--channel", help="email or sms.")] = None,
    subscription: Annotated[str, typer.Option("--subscription")] = "dunning",
    status: Annotated[str | None, typer.Option("--status", help="opt_in or opt_out.")] = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Import a consent CSV: column 1 the address or number, column 2 the date.

    What the file means (channel, subscription, status) is said here, or by its name in policies/streams/consent.yaml.
    """
    from dunning_pipeline.delivery.permission.consent_files import import_file as read
    from dunning_pipeline.settings.clock import business_now

    ws = open_workspace(workspace)
    meaning: dict[str, Any] = {"channel": channel, "subscription": subscription, "status": status}
    if channel is None or status is None:
        meaning = _declared(ws, file) | {
            name: value for name, value in meaning.items() if value and name != "subscription"
        }
    report = read(ws, file, now=business_now(), **meaning)
    row = {
        "file": file.name,
        "rows_read": report.rows_read,
        "rows_loaded": report.rows_loaded,
        "rows_new": report.rows_new,
        "rows_rejected": report.rows_rejected,
        "reject_file": report.reject_file,
    }
    if form is Format.json:
        print_json(row)
    else:
        show([row], form)


@app.command("show")
def show_consent(contact_point: str, workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """Everything recorded about an address or number: consents, newest first, and suppressions."""
    from sqlalchemy import select

    from dunning_pipeline.delivery.permission.contact_points import normal
    from dunning_pipeline.ledger.engine import open_ledger, reading
    from dunning_pipeline.ledger.schema import consents, suppressions

    ws = open_workspace(workspace)
    point = normal(contact_point, "email" if "@" in contact_point else "sms", ws.company.country)
    said = select(consents).where(consents.c.contact_point == point).order_by(consents.c.consented_at.desc())
    barred = select(suppressions).where(suppressions.c.contact_point == point)
    with reading(open_ledger(ws)) as connection:
        rows = [
            {"contact_point": point, "what": "consent", "channel": row.channel, "subscription": row.subscription,
             "status": row.status, "at": row.consented_at, "origin": row.origin}
            for row in connection.execute(said)
        ]  # fmt: skip
        rows += [
            {"contact_point": point, "what": "suppression", "channel": row.channel, "subscription": None,
             "status": row.reason if row.lifted_at is None else f"{row.reason}, lifted", "at": row.created_at,
             "origin": row.origin}
            for row in connection.execute(barred)
        ]  # fmt: skip
    show(rows, form, empty=f"Nothing is recorded about {point}.")


def suppress(
    contact_point: str,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with it.")] = "manual",
    lift: Annotated[bool, typer.Option("--lift", help="Allow writing to it again.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Never write to an address or number again (or, with --lift, allow it again)."""
    from dunning_pipeline.delivery.permission import suppressions
    from dunning_pipeline.delivery.permission.contact_points import normal
    from dunning_pipeline.ledger.audit import record
    from dunning_pipeline.ledger.engine import open_ledger
    from dunning_pipeline.settings.clock import business_now

    ws = open_workspace(workspace)
    channel = "email" if "@" in contact_point else "sms"
    point = normal(contact_point, channel, ws.company.country)
    me, at = getpass.getuser(), business_now()
    with open_ledger(ws).begin() as connection:
        if lift:
            changed = suppressions.lift(connection, point, channel=channel, actor=me, at=at)
        else:
            changed = suppressions.suppress(
                connection, point, channel=channel, reason="manual", origin=f"{me}: {reason}", at=at
            )
            if changed:
                record(
                    connection, actor=me, action="suppression.add", object_kind="contact_point", object_id=point,
                    reason=reason, at=at,
                )  # fmt: skip
    done = "may be written to again" if lift else "is suppressed"
    typer.echo(f"{point} {done}." if changed else f"{point}: nothing to change.")


def _declared(ws: Any, file: Path) -> dict[str, Any]:
    """What policies/streams/consent.yaml says of this file's name."""
    from dunning_pipeline.errors import InvalidInput
    from dunning_pipeline.settings.yaml_files import plain, read_yaml

    declaration = ws.policies / "streams" / "consent.yaml"
    entries = plain(read_yaml(declaration)).get("files", []) if declaration.is_file() else []
    for entry in entries:
        if fnmatch(file.name.lower(), str(entry["file"]).lower()):
            return {name: value for name, value in entry.items() if name != "file"}
    raise InvalidInput(
        f"nothing says what {file.name} means",
        remedy="add --channel and --status, or an entry in policies/streams/consent.yaml",
    )
