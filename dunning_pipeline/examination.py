"""Examines a workspace for `dunning doctor`: declarations, state, freshness, providers, what waits for a person."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from dunning_pipeline.errors import DunningError
from dunning_pipeline.ledger.troubles import in_words
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.folder.shipped import unlike_shipped

State = Literal["ok", "info", "warning", "error"]
RATES_RUN_OUT = timedelta(days=45)  # before that the next half-year's rate is announced and can be imported


@dataclass(frozen=True)
class Examined:
    what: str
    state: State
    text: str
    remedy: str = ""


def examine(ws: Workspace, *, now: datetime) -> list[Examined]:
    """Everything worth saying about the workspace, in the order of the flow; a broken part never hides the others."""
    parts: tuple[tuple[str, Callable[[Workspace, datetime], Iterator[Examined]]], ...] = (
        ("clock", _clock),
        ("company", _company),
        ("streams", _streams),
        ("identity", _identity),
        ("processes", _processes),
        ("laws", _laws),
        ("campaigns", _campaigns),
        ("models", _models),
        ("inbox", _inbox),
        ("ledger", _ledger),
        ("snapshot", _snapshot),
        ("providers", _providers),
        ("extras", _extras),
    )
    found: list[Examined] = []
    for name, part in parts:
        try:
            found += part(ws, now)
        except DunningError as error:
            found.append(Examined(name, "error", error.message, f"{error.where} {error.remedy or ''}".strip()))
        except (ImportError, AttributeError) as error:
            found.append(Examined(name, "info", f"this part is not there: {error}"))
        except Exception as error:
            if (told := in_words(error)) is None:
                raise
            found.append(Examined(name, "error", told.message, told.remedy or ""))
    return found


def _clock(ws: Workspace, now: datetime) -> Iterator[Examined]:
    from dunning_pipeline.settings.clock import is_test_clock

    local = now.astimezone(ws.company.zone)
    if is_test_clock():
        text = f"DUNNING_NOW sets it to {local:%Y-%m-%d %H:%M} ({ws.company.time_zone})"
        yield Examined("clock", "warning", text, "unset DUNNING_NOW outside of tests")
    else:
        yield Examined("clock", "ok", f"{local:%Y-%m-%d %H:%M} in {ws.company.time_zone}")


def _company(ws: Workspace, now: datetime) -> Iterator[Examined]:
    company = ws.company
    yield Examined("company", "ok", f"{company.name}, {company.address.city}; sends at {company.send_hour:02d}:00")
    if company.is_shipped_example:
        yield Examined(
            "company", "info", f"it is still the shipped example: {company.email_from}", "edit policies/company.yaml"
        )


def _streams(ws: Workspace, now: datetime) -> Iterator[Examined]:
    from dunning_pipeline.data_streams.declaration import load_streams

    streams = load_streams(ws)
    yield Examined("streams", "ok", f"{len(streams)} declared: {', '.join(_names(streams, 'source'))}")


def _identity(ws: Workspace, now: datetime) -> Iterator[Examined]:
    """Without readable rulesets no build ends, and nobody is reminded."""
    from dunning_pipeline.identity.rulesets import load_ruleset
    from dunning_pipeline.identity.steps.records import KINDS

    for kind in KINDS:
        try:
            rules = load_ruleset(ws.policies / "identity", kind)
        except DunningError as error:
            yield Examined("identity", "error", error.message, f"{error.where} {error.remedy or ''}".strip())
        else:
            merging = f"{len(rules.merging)} merge, {len(rules.suggesting)} suggest"
            yield Examined("identity", "ok", f"{kind}s by {len(rules.match_rules)} rules: {merging}")


def _processes(ws: Workspace, now: datetime) -> Iterator[Examined]:
    from dunning_pipeline.dunning.processes import load_processes

    names = _names(load_processes(ws), "process")
    default = ws.company.default_process
    if default is None:
        yield Examined("processes", "info", "no default process: accounts that name none are never dunned")
    elif default not in [*names, "none"]:
        yield Examined(
            "processes", "error", f"default_process {default!r} does not exist", "correct policies/company.yaml"
        )
    yield Examined("processes", "ok", f"{len(names)} declared: {', '.join(names)}")


def _laws(ws: Workspace, now: datetime) -> Iterator[Examined]:
    """How long the rates last by which some process charges interest: beyond them there is none."""
    from dunning_pipeline.dunning.processes import load_processes
    from dunning_pipeline.law.packs import load_laws

    today, packs = now.astimezone(ws.company.zone).date(), load_laws(ws)
    charging = {
        level.interest.law
        for declared in load_processes(ws).values()
        for level in declared.process.levels
        if level.interest and level.interest.law
    }
    for law in sorted(charging & packs.keys()):
        until = packs[law].pack.known_until
        if until is None:
            continue
        text, remedy = f"the rates of {law} are known until {until}", f"`dunning law import {law} FILE …`"
        if until < today:
            yield Examined("laws", "warning", f"{text}: no interest by them since", remedy)
        elif until < today + RATES_RUN_OUT:
            yield Examined("laws", "info", f"{text}: no interest by them after that", remedy)
        else:
            yield Examined("laws", "ok", text)


def _campaigns(ws: Workspace, now: datetime) -> Iterator[Examined]:
    from dunning_pipeline.campaigns.declaration import usable_campaigns

    names, mistakes = usable_campaigns(ws)
    for mistake in mistakes:
        yield Examined("campaigns", "error", mistake.message, f"{mistake.where} {mistake.remedy or ''}".strip())
    yield Examined("campaigns", "ok", f"{len(names)} declared: {', '.join(names) or 'none'}")


def _models(ws: Workspace, now: datetime) -> Iterator[Examined]:
    from dunning_pipeline.sql_models.folder.project import load_project
    from dunning_pipeline.sql_models.runner import folder_of

    project = load_project(folder_of(ws))
    for model in project.models.values():
        if model.error is not None:
            yield Examined("models", "error", model.error.message, f"{model.error.where} {model.error.remedy or ''}")
    yield Examined("models", "ok", f"{len(project.models)} SQL models")
    yield from _unlike_shipped(ws)


def _unlike_shipped(ws: Workspace) -> Iterator[Examined]:
    unlike = unlike_shipped(ws)
    if unlike.missing:
        text = f"this version brings models that are not here: {_few(unlike.missing)}"
        remedy = "take all but `segments/` from a fresh `dunning init FOLDER`, then put your own changes back in"
        yield Examined("models", "warning", text, remedy)
    if unlike.older:
        text = f"{len(unlike.older)} are as an earlier version brought them, and unedited: {_few(unlike.older)}"
        yield Examined("models", "warning", text, "copy them from a fresh `dunning init FOLDER`")
    if unlike.other:
        text = f"{len(unlike.other)} are not as this version brings them, edited or older: {_few(unlike.other)}"
        yield Examined("models", "info", text, "compare with those of a fresh `dunning init FOLDER`")


def _few(files: list[Path]) -> str:
    return ", ".join(file.as_posix() for file in files[:5]) + (" …" if len(files) > 5 else "")


def _inbox(ws: Workspace, now: datetime) -> Iterator[Examined]:
    files = [f for f in ws.inbox.rglob("*") if f.is_file() and not f.name.startswith(".")] if ws.inbox.is_dir() else []
    if not files:
        yield Examined("inbox", "warning", "it holds no file", f"put extracts into {ws.inbox}, or try `dunning demo`")
    else:
        demo = " (made by the demo)" if (ws.inbox / ".demo").exists() else ""
        yield Examined("inbox", "ok", f"{len(files)} files{demo}")


def _ledger(ws: Workspace, now: datetime) -> Iterator[Examined]:
    from sqlalchemy import func, select
    from sqlalchemy.engine import make_url

    from dunning_pipeline.daily import in_doubt
    from dunning_pipeline.ledger.engine import open_ledger, reading, revision_of
    from dunning_pipeline.ledger.home import away
    from dunning_pipeline.ledger.migrating import HEAD
    from dunning_pipeline.ledger.schema import findings, sends, stream_loads, switches

    address = make_url(ws.ledger_url).render_as_string(hide_password=True)
    revision = revision_of(ws.ledger_url)
    if revision is None:
        yield Examined("ledger", "info", f"{address} is made by the first command that needs it")
        return
    if revision < HEAD:  # looking at it does not upgrade it
        text = f"{address}: it is at revision {revision}, this release has {HEAD}"
        remedy = "stop what runs on it, `dunning ledger backup FILE`, then `dunning ledger migrate`"
        yield Examined("ledger", "warning", text, remedy)
        return
    with reading(open_ledger(ws)) as connection:
        yield Examined("ledger", "ok", address)
        paid = connection.scalar(
            select(func.max(stream_loads.c.loaded_at)).where(stream_loads.c.object.ilike("payment%"))
        )
        yield from _freshness(ws, paid, now)
        if unknown := in_doubt(ws):
            yield Examined("sends", "warning", f"{unknown} may or may not have left", "`dunning send resolve KEY …`")
        held = select(sends.c.reason, func.count()).where(sends.c.status == "held").group_by(sends.c.reason)
        reasons = [f"{count} {reason}" for reason, count in connection.execute(held.order_by(sends.c.reason)).tuples()]
        if reasons:
            yield Examined("sends", "info", f"held: {', '.join(reasons)}", "`dunning send list` tells each")
        late = connection.scalar(
            select(func.count()).where(sends.c.status == "queued", sends.c.due_at < now - timedelta(hours=1))
        )
        if late:
            yield Examined("sends", "warning", f"{late} are due for more than an hour", "run `dunning send`")
        switched = connection.execute(select(switches.c.name, switches.c.reason)).tuples().all()
        found = away(connection)
        if found is not None and not any(found.reason in (reason or "") for _, reason in switched):
            yield Examined("sends", "warning", f"nothing will leave: {found.reason}")
        for name, reason in switched:
            what, _, which = name.partition(":")
            if what == "stop":
                told = f"the stop button is pressed: {reason or 'no reason given'}"
                yield Examined("sends", "warning", told, "`dunning send resume` when it is settled")
            elif what == "circuit":
                remedy = "correct what it names; each `dunning send` tries one message and goes on where that is taken"
                yield Examined("sends", "warning", f"nothing leaves through {which}: {reason}", remedy)
            elif what == "campaign":
                told = f"campaign {which} is paused: {reason or 'no reason given'}"
                yield Examined("sends", "info", told, f"`dunning campaign resume {which}` lets its messages go on")
        waiting = connection.scalar(select(func.count()).where(findings.c.status == "open")) or 0
        if waiting:
            yield Examined("findings", "info", f"{waiting} are open", "look at them in `dunning console`")


def _freshness(ws: Workspace, paid: datetime | None, now: datetime) -> Iterator[Examined]:
    if paid is None:
        yield Examined("payments", "info", "no payment data was read yet", "run `dunning ingest`")
        return
    hours = (now - paid).total_seconds() / 3600
    limit = ws.company.payment_data_max_age_hours
    if hours > limit:
        text = f"last read {hours:.0f} hours ago, limit {limit}: sends are held"
        yield Examined("payments", "warning", text, "bring newer extracts and run `dunning ingest`")
    else:
        yield Examined("payments", "ok", f"last read {hours:.0f} hours ago")


def _snapshot(ws: Workspace, now: datetime) -> Iterator[Examined]:
    from dunning_pipeline.sql_models.snapshot import snapshot_file

    try:
        file = snapshot_file(ws)
    except DunningError:
        yield Examined("snapshot", "warning", "nothing is published yet", "run `dunning daily`")
        return
    yield Examined("snapshot", "ok", f"{file.name}, {file.stat().st_size / 1e6:.1f} MB")


def _providers(ws: Workspace, now: datetime) -> Iterator[Examined]:
    mail = os.environ.get("DUNNING_MAIL") or "outbox"
    needs = {"sendgrid": "SENDGRID_API_KEY", "smtp": "DUNNING_SMTP_URL"}
    if mail not in ("outbox", *needs):
        yield Examined("mail", "error", f"DUNNING_MAIL={mail} is not known", "use outbox, smtp or sendgrid")
    elif mail in needs and not os.environ.get(needs[mail]):
        yield Examined("mail", "error", f"DUNNING_MAIL={mail} without {needs[mail]}", f"set {needs[mail]}")
    else:
        text = f"the outbox folder {ws.outbox}; nothing leaves this machine" if mail == "outbox" else mail
        yield Examined("mail", "ok", text)
    if mail == "sendgrid" and not os.environ.get("SENDGRID_WEBHOOK_PUBLIC_KEY"):
        remedy = "set it, and run `dunning webhook` behind your TLS proxy"
        yield Examined("events", "warning", "SENDGRID_WEBHOOK_PUBLIC_KEY is not set: no bounces come back", remedy)
    for name, key in (("sms", "TWILIO_ACCOUNT_SID"), ("payment retries", "STRIPE_API_KEY")):
        state = "configured" if os.environ.get(key) else f"not configured ({key})"
        yield Examined(name, "ok" if os.environ.get(key) else "info", state)


def _extras(ws: Workspace, now: datetime) -> Iterator[Examined]:
    wanted = {
        "simple_salesforce": "salesforce", "twilio": "sms", "stripe": "payments", "psycopg": "postgres",
        "splink": "splink", "s3fs": "s3",
    }  # fmt: skip
    missing = [extra for module, extra in wanted.items() if find_spec(module) is None]
    if missing:
        yield Examined("extras", "info", f"not installed: {', '.join(missing)}", "pip install 'dunning-pipeline[NAME]'")


def _names(declared: Any, attribute: str) -> list[str]:
    return list(declared) if hasattr(declared, "keys") else [str(getattr(one, attribute)) for one in declared]
