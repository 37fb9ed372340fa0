"""Puts messages into the outbox table before anything leaves: one row per business fact, the same again is a no-op."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from sqlalchemy import Connection, func, select, update

from dunning_pipeline.delivery.judging.hours import next_send_time
from dunning_pipeline.delivery.keys import content_hash, send_key
from dunning_pipeline.delivery.payments import was_charged, was_declined
from dunning_pipeline.delivery.permission.contact_points import is_postal, wire_email, wire_phones
from dunning_pipeline.errors import NotThere, Refused
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.bulk import insert_unless_there
from dunning_pipeline.ledger.schema import send_accounts, sends
from dunning_pipeline.letters.versions import pin
from dunning_pipeline.settings.workspace import Workspace

WAITING = ("queued", "held")
RENDERED = ("email", "sms", "letter")


def queue_statement(
    connection: Connection,
    ws: Workspace,
    *,
    statement: Mapping[str, Any],
    now: datetime,
    actor: str,
    kind: str | None = None,
    channels: Sequence[str] | None = None,
    due_at: datetime | None = None,
    send_now: bool = False,
    campaign: str | None = None,
    occurrence: str | None = None,
    template: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    document: Mapping[str, Any] | None = None,
) -> list[str]:
    """Queue a statement on its channels; the keys of its sends, those that were there already included.

    `kind` is the statement's (dunning, account), `draft`, or `resend:<n>` for a deliberate second sending.
    `overrides` may hold subject, body (plain text), attachments (false: none; "statement": without invoices), to, cc,
    bcc and sms (a number). A draft is mailed with `document`, its merge document of the moment. Due at the company's
    send hour unless `due_at` or `send_now` says otherwise.
    Raises Refused for a statement that is not to be sent, and for a known key with another content.
    """
    kind = kind or statement["kind"]
    _refuse_unsendable(statement, kind)
    due = due_at or (now if send_now else _send_hour(ws, now))
    keys = []
    for channel in statement["channels"] if channels is None else channels:
        if kind == "draft" and channel not in RENDERED:
            continue  # a draft is looked at; it charges nobody and gives nobody a task
        recipients = recipients_of(statement, channel, overrides or {}, country=ws.company.country)
        if recipients is None or (channel == "payment_retry" and was_charged(connection, statement, now=now)):
            continue
        key = send_key(
            channel=channel,
            kind=kind,
            recipients=recipients,
            statement_id=statement["statement_id"],
            draft_version=statement["row_version"] if kind == "draft" else None,
        )
        row = {
            "send_key": key,
            "kind": kind,
            "channel": channel,
            "statement_id": statement["statement_id"],
            "account_key": statement["account_key"],
            "bill_group_key": statement.get("bill_group_key"),
            "unified_account_id": statement.get("unified_account_id"),
            "template": template or statement["template"],
            "language": statement["language"],
            "time_zone": statement.get("time_zone"),
            "recipients": recipients,
            "overrides": dict(overrides) if overrides else None,
            "document": dict(document) if document else None,
            "amount_minor": statement["please_pay_minor"],
            "currency": statement["currency"],
            "campaign": campaign,
            "occurrence": occurrence,
        }
        queue_row(
            connection, ws, row=row, facts=facts_of(statement), now=now, due_at=due, send_now=send_now, actor=actor
        )
        keys.append(key)
    return keys


def queue_message(
    connection: Connection,
    ws: Workspace,
    *,
    campaign: str,
    occurrence: str,
    recipient: str,
    channel: str,
    to: Sequence[str],
    account_key: str,
    template: str,
    language: str,
    document: Mapping[str, Any],
    now: datetime,
    actor: str,
    kind: str = "campaign",
    cc: Sequence[str] = (),
    bcc: Sequence[str] = (),
    due_at: datetime | None = None,
    send_now: bool = False,
    time_zone: str | None = None,
    bill_group_key: str | None = None,
    unified_account_id: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    accounts: Sequence[str] = (),
) -> str:
    """Queue one message of a campaign (or of a collection plan: `kind="collection_plan"`); its key.

    `recipient` is the stable id that makes the message one per occurrence, such as the unified account's. `accounts`
    (keys, `account_key` among them) are all that a digest tells of: it is found from each of them.
    Raises Refused for a known key with another content.
    """
    key = send_key(channel=channel, kind=kind, campaign=campaign, occurrence=occurrence, recipient=recipient)
    reached = list(to)
    if channel == "sms":
        reached = wire_phones(reached, (document.get("address") or {}).get("country"), ws.company.country)
    row = {
        "send_key": key,
        "kind": kind,
        "channel": channel,
        "account_key": account_key,
        "bill_group_key": bill_group_key,
        "unified_account_id": unified_account_id,
        "template": template,
        "language": language,
        "time_zone": time_zone,
        "recipients": {"to": reached, "cc": list(cc), "bcc": list(bcc)},
        "overrides": dict(overrides) if overrides else None,
        "document": dict(document),
        "campaign": campaign,
        "occurrence": occurrence,
    }
    due = due_at or (now if send_now else _send_hour(ws, now))
    is_new = queue_row(connection, ws, row=row, facts={}, now=now, due_at=due, send_now=send_now, actor=actor)
    if is_new and accounts:
        connection.execute(send_accounts.insert(), [{"send_key": key, "account_key": one} for one in sorted(accounts)])
    return key


def queue_row(
    connection: Connection,
    ws: Workspace,
    *,
    row: dict[str, Any],
    facts: Mapping[str, Any],
    now: datetime,
    due_at: datetime,
    send_now: bool,
    actor: str,
) -> bool:
    """Write the send unless it is there; True where it is new. Raises Refused where its content differs.

    The template version is pinned by the first queueing: a template that is published later changes no queued send,
    and queueing again is still the same send.
    """
    asked = select(sends.c.content_sha256, sends.c.template_version).where(sends.c.send_key == row["send_key"])
    known = connection.execute(asked).one_or_none()
    version = known.template_version if known else None
    if known is None and row["channel"] in RENDERED:
        version = pin(
            connection, ws, template=row["template"], channel=row["channel"], language=row["language"], now=now
        )
    digest = content_of(row, facts, version)
    if known is None:
        state = {"status": "queued", "due_at": due_at, "send_now": send_now, "attempts": 0}
        origin = {"template_version": version, "content_sha256": digest, "queued_at": now, "created_by": actor}
        if insert_unless_there(connection, sends, [{**row, **state, **origin}]):
            return True
        known = connection.execute(asked).one()  # somebody else has queued it this moment
        digest = content_of(row, facts, known.template_version)
    if known.content_sha256 != digest:
        raise Refused(
            "this message is queued already, with another content",
            value=row["send_key"],
            remedy="cancel it with `dunning send cancel`, or send it again deliberately (a resend)",
        )
    return False


def facts_of(statement: Mapping[str, Any]) -> dict[str, Any]:
    """What of a statement determines its messages."""
    return {"statement": statement.get("content_sha256"), "attach_invoices": statement["attach_invoices"]}


def content_of(row: Mapping[str, Any], facts: Mapping[str, Any], version: str | None) -> str:
    """The hash of all that determines a send's message; `facts` are those of its statement."""
    named = ("kind", "channel", "recipients", "template", "language", "overrides", "document")
    return content_hash({**facts, **{name: row.get(name) for name in named}, "version": version})


def recipients_of(
    statement: Mapping[str, Any], channel: str, overrides: Mapping[str, Any], *, country: str
) -> dict[str, Any] | None:
    """Who gets the statement on this channel; None where the statement has nobody there. An empty cc or bcc in
    `overrides` leaves the statement's out. Raises InvalidInput for a typed address that is none.

    Numbers in national format are read as those of the account's country, else of `country` (ISO alpha-2).
    """
    said = statement["recipients"] or {}
    if channel == "email":
        typed = {part: list(overrides[part]) for part in ("to", "cc", "bcc") if overrides.get(part) is not None}
        for address in chain.from_iterable(typed.values()):
            wire_email(address)  # a person is there to correct it: refused now, not held later
        chosen = {part: typed.get(part, list(said.get(part) or [])) for part in ("to", "cc", "bcc")}
        chosen["to"] = chosen["to"] or list(said.get("to") or [])
        return chosen if chosen["to"] else None
    if channel == "sms":
        numbers = overrides.get("sms") or said.get("sms") or []
        written = [numbers] if isinstance(numbers, str) else numbers
        return {"to": wire_phones(written, (statement["address"] or {}).get("country"), country)} if written else None
    if channel == "letter":
        return {"to": [], "address": statement["address"]} if is_postal(statement["address"]) else None
    return {"to": []}


def next_resend(connection: Connection, statement_id: str) -> str:
    """The kind of a deliberate second sending: resend:1, resend:2 …"""
    done = connection.scalar(
        select(func.count(func.distinct(sends.c.kind))).where(
            sends.c.statement_id == statement_id, sends.c.kind.like("resend:%")
        )
    )
    return f"resend:{(done or 0) + 1}"


def cancel_send(connection: Connection, key: str, *, now: datetime, actor: str, reason: str) -> None:
    """Cancel one waiting send. Raises NotThere, or Refused where it is no longer waiting."""
    waiting = update(sends).where(sends.c.send_key == key, sends.c.status.in_(WAITING))
    values = {"status": "cancelled", "reason": reason, "next_attempt_at": None, "held_back_at": now}
    if connection.execute(waiting.values(**values)).rowcount:
        audit.record(
            connection, actor=actor, action="send.cancelled", object_kind="send", object_id=key, reason=reason, at=now
        )
        return
    status = connection.scalar(select(sends.c.status).where(sends.c.send_key == key))
    if status is None:
        raise NotThere("there is no such send", value=key)
    if status != "cancelled":
        raise Refused(f"this send is {status}; only a queued or held one can be cancelled", value=key)


def requeue(connection: Connection, key: str, *, now: datetime, actor: str) -> None:
    """Queue a failed or held send again, after a person corrected its cause. Raises NotThere or Refused."""
    asked = (sends.c.status, sends.c.reason, sends.c.channel)
    row = connection.execute(select(*asked).where(sends.c.send_key == key)).one_or_none()
    if row is None:
        raise NotThere("there is no such send", value=key)
    if row.channel == "payment_retry" and row.status == "failed" and was_declined(connection, key):
        raise Refused(
            "the bank declined this charge, and under the same key the provider gives the same answer again",
            value=key,
            remedy="charge anew with `dunning statement send NUMBER --again --channel payment_retry`",
        )
    if row.status not in ("failed", "held"):
        raise Refused(
            f"this send is {row.status}; only a failed or held one can be tried again",
            value=key,
            remedy="an unknown one is settled with `dunning send resolve KEY sent|not-sent`",
        )
    connection.execute(
        update(sends)
        .where(sends.c.send_key == key, sends.c.status == row.status)
        .values(status="queued", reason=None, next_attempt_at=None, attempts=0)
    )
    audit.record(
        connection,
        actor=actor,
        action="send.retry",
        object_kind="send",
        object_id=key,
        before={"status": row.status, "reason": row.reason},
        at=now,
    )


def _refuse_unsendable(statement: Mapping[str, Any], kind: str) -> None:
    status = statement["status"]
    if kind == "draft":
        if status != "draft":
            raise Refused(f"only a draft is mailed as one; this statement is {status}", value=statement["statement_id"])
    elif status != "closed":
        raise Refused(
            f"only a closed statement is sent; this one is {status}",
            value=statement["statement_id"],
            remedy="close it first with `dunning statement close`",
        )
    elif statement["do_not_send"]:
        raise Refused("this statement's level says do_not_send", value=statement["statement_id"])


def _send_hour(ws: Workspace, now: datetime) -> datetime:
    company = ws.company
    return next_send_time(now, zone=company.zone, hour=company.send_hour, calendar=company.holidays)
