"""`dunning campaign …` and `dunning calendar`: run, plan, pause and judge campaigns; what is planned and was sent."""

import getpass
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from dunning_pipeline.cli.output import (
    Format,
    FormatOption,
    WorkspaceOption,
    open_workspace,
    parse_date,
    print_json,
    show,
)
from dunning_pipeline.errors import DunningError

app = typer.Typer(no_args_is_help=True, help="Campaigns: list, run, schedule, pause, resume, report.")

Name = Annotated[str, typer.Argument(help="The campaign's name.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Kept in the audit trail.")]


@app.command("list")
def list_(workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """Every campaign: what it claims, when it runs next, how it went last; a broken file is told apart (exit 1)."""
    from dunning_pipeline.campaigns.declaration import usable_campaigns
    from dunning_pipeline.campaigns.steering import list_campaigns

    ws = open_workspace(workspace)
    campaigns, mistakes = usable_campaigns(ws)
    rows = list_campaigns(ws, campaigns.values(), now=_now())
    columns = ["campaign", "state", "flow", "audience", "claims", "schedule", "next", "last_status"]
    show(rows, form, columns=columns, empty="No campaign is declared; see policies/campaigns/.")
    _tell(mistakes)


@app.command()
def run(
    name: Name,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for its send hour.")] = False,
    occurrence: Annotated[str | None, typer.Option("--occurrence", help="Resume this one, or name a new one.")] = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Run a campaign now; `dunning send` then delivers what is due. An occurrence that is done is not run again."""
    from dunning_pipeline.campaigns.running import run_campaign

    ws = open_workspace(workspace)
    report = run_campaign(ws, name, now=_now(), occurrence=occurrence, actor=getpass.getuser(), send_now=now)
    if form is Format.table:
        typer.echo(f"{report.campaign} {report.occurrence}: {report.status}, audience {report.audience}")
        show(
            [{"outcome": o, "accounts": n} for o, n in report.counts.items()], form, empty="Nobody is in its audience."
        )
    else:
        show([vars(report)], form) if form is Format.csv else print_json(vars(report))


@app.command()
def preview(name: Name, workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """Whom a campaign of messages would write to now, of which accounts and about how much; nothing is queued."""
    from dunning_pipeline.campaigns.previewing import preview_campaign

    found = preview_campaign(open_workspace(workspace), name, now=_now())
    if form is Format.json:
        print_json(vars(found))
        return
    rows = [
        {**row, "to": ", ".join(row["to"]), "accounts": _some(row["accounts"]), "open": ", ".join(row["open"])}
        for row in found.messages
    ]
    show(rows, form, empty=f"{name} would write to nobody now.")
    if form is Format.table:
        typer.echo(f"accounts: {_counts(found.counts)}")


@app.command()
def schedule(
    name: Name,
    at: Annotated[str | None, typer.Option("--at", help="Plan one more occurrence: 2026-12-01T09:00.")] = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """The next planned occurrences of a campaign; with --at, one more."""
    from dunning_pipeline.campaigns.declaration import find_campaign
    from dunning_pipeline.campaigns.steering import next_instants, plan_occurrence

    ws = open_workspace(workspace)
    campaign = find_campaign(ws, name)
    if at is not None:
        try:
            instant = datetime.fromisoformat(at)
        except ValueError:
            raise typer.BadParameter(f"{at!r} is no instant; write 2026-12-01T09:00", param_hint="--at") from None
        instant = instant if instant.tzinfo else instant.replace(tzinfo=campaign.zone(ws))
        planned = plan_occurrence(ws, name, at=instant, now=_now(), actor=getpass.getuser())
        show([{"campaign": name, "occurrence": planned, "status": "planned"}], form)
        return
    rows = [{"campaign": name, "at": one.isoformat()} for one in next_instants(ws, campaign, now=_now(), count=10)]
    show(rows, form, empty=f"{name} runs on demand: `dunning campaign run {name}`, or plan it with --at.")


@app.command()
def pause(name: Name, reason: Reason = None, workspace: WorkspaceOption = None) -> None:
    """Nothing of it starts or leaves until it is resumed."""
    from dunning_pipeline.campaigns import steering

    done = steering.pause(open_workspace(workspace), name, now=_now(), actor=getpass.getuser(), reason=reason)
    typer.echo(f"{name} is paused" if done else f"{name} was paused already")


@app.command()
def resume(name: Name, workspace: WorkspaceOption = None) -> None:
    """Let a paused campaign go on."""
    from dunning_pipeline.campaigns import steering

    done = steering.resume(open_workspace(workspace), name, now=_now(), actor=getpass.getuser())
    typer.echo(f"{name} goes on" if done else f"{name} was not paused")


@app.command()
def report(name: Name, workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """What became of its audience, and whether it made accounts pay more than those that were held out."""
    from dunning_pipeline.campaigns.effect import report_of

    told = report_of(open_workspace(workspace), name)
    if form is Format.json:
        print_json(told)
        return
    rows: list[dict[str, Any]] = [
        {**row, "counts": _counts(row["counts"]), "sends": _counts(row["sends"])} for row in told["occurrences"]
    ]
    show(rows, form, empty=f"{name} has not run yet.")
    if form is Format.table and told["effect"] is not None:
        for part, value in told["effect"].items():
            label = "not held out" if part == "written_to" else part.replace("_", " ")
            typer.echo(f"{label}: {_counts(value) if isinstance(value, dict) else value}")


def calendar(
    workspace: WorkspaceOption = None,
    since: Annotated[str | None, typer.Option("--from", help="First day; default: a week ago.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Last day; default: four weeks on.")] = None,
    ics: Annotated[Path | None, typer.Option("--ics", help="Write it as an iCalendar file.")] = None,
    form: FormatOption = Format.table,
) -> None:
    """What was sent, what is queued, what is planned, by company day."""
    from dunning_pipeline.campaigns.calendar import as_ics, entries
    from dunning_pipeline.campaigns.declaration import usable_campaigns

    ws = open_workspace(workspace)
    today: date = parse_date(None, ws)
    first = parse_date(since, ws, option="--from") if since else today - timedelta(days=7)
    last = parse_date(until, ws, option="--to") if until else max(today, first) + timedelta(days=28)
    if last < first:
        raise typer.BadParameter(f"{last} is before {first}", param_hint="--to")
    campaigns, mistakes = usable_campaigns(ws)
    rows = entries(ws, campaigns.values(), first=first, last=last, now=_now())
    if ics is not None:
        ics.write_bytes(as_ics(rows, company=ws.company.name, now=_now()))
        typer.echo(f"{len(rows)} entries written to {ics}", err=form is not Format.table)
        _tell(mistakes)
        return
    zone = ws.company.zone
    if form is Format.table:
        rows = [{**row, "at": row["at"].astimezone(zone).strftime("%a %Y-%m-%d %H:%M")} for row in rows]
    else:
        rows = [{**row, "at": row["at"].isoformat()} for row in rows]
    show(rows, form, empty="Nothing is planned and nothing was sent in these days.")
    _tell(mistakes)


def _tell(mistakes: Sequence[DunningError]) -> None:
    """What is missing in what was shown, and why; exit code 1 then."""
    for mistake in mistakes:
        typer.echo(f"dunning: {mistake}", err=True)
    if mistakes:
        raise typer.Exit(1)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _counts(counts: dict[str, Any] | None) -> str:
    return ", ".join(f"{name} {count}" for name, count in (counts or {}).items())


def _now() -> datetime:
    from dunning_pipeline.settings.clock import business_now

    return business_now()
