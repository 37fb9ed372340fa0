"""Sends as `dunning send list` shows them; the fields of the JSON are fixed (see docs)."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select

from dunning_pipeline.delivery.holds import explained
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.naming import keys_named
from dunning_pipeline.ledger.schema import send_accounts, sends, statements
from dunning_pipeline.settings.workspace import Workspace

_HELD_BACK = ("held", "cancelled", "superseded")


def read_sends(
    ws: Workspace,
    *,
    status: str | None = None,
    statement: str | None = None,
    campaign: str | None = None,
    account: str | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """One object per send, newest due first within the order of queueing; never paged."""
    wanted = select(sends, statements.c.number.label("statement_number")).outerjoin(
        statements, statements.c.statement_id == sends.c.statement_id
    )
    if status:
        wanted = wanted.where(sends.c.status == status)
    if statement:
        wanted = wanted.where(or_(sends.c.statement_id == statement, statements.c.number == statement))
    if campaign:
        wanted = wanted.where(sends.c.campaign == campaign)
    if account:
        digests = select(send_accounts.c.send_key).where(_is(send_accounts.c.account_key, account))
        wanted = wanted.where(or_(_is(sends.c.account_key, account), sends.c.send_key.in_(digests)))
    wanted = wanted.order_by(sends.c.queued_at, sends.c.send_key).limit(limit)
    told: dict[str, list[str]] = {}
    theirs = select(send_accounts).where(send_accounts.c.send_key.in_(wanted.with_only_columns(sends.c.send_key)))
    with reading(open_ledger(ws)) as connection:
        for key, one in connection.execute(theirs.order_by(*send_accounts.primary_key)).tuples():
            told.setdefault(key, []).append(one)
        return [send_json(row, told.get(row["send_key"])) for row in connection.execute(wanted).mappings()]


def _is(column: ColumnElement[str], account: str) -> ColumnElement[bool]:
    """Whether it is this account, named by its key or by its source id."""
    return or_(column == account, column.like(f"%:{account}"), column.in_(keys_named("account", account)))


def held_back_at(row: Any) -> datetime | None:
    """When a send that is held back was; of one that was and is not any more, None."""
    return row["held_back_at"] if row["status"] in _HELD_BACK else None


def send_json(row: Any, accounts: list[str] | None = None) -> dict[str, Any]:
    """A send in the words of the interface; `accounts` are those of a digest, `explanation` and `remedy` are of a held
    one."""
    recipients = row["recipients"] or {}
    words, remedy = explained(row) or (None, None)
    return {
        "key": row["send_key"],
        "statement_id": row["statement_id"],
        "channel": row["channel"],
        "to": recipients.get("to") or [],
        "cc": recipients.get("cc") or [],
        "bcc": recipients.get("bcc") or [],
        "status": row["status"],
        "reason": row["reason"],
        "delivery": row["delivery"],
        "provider": row["provider"],
        "provider_message_id": row["provider_message_id"],
        "attempts": row["attempts"],
        "content_sha256": row["content_sha256"],
        "kind": row["kind"],
        "statement_number": row["statement_number"],
        "campaign": row["campaign"],
        "account_key": row["account_key"],
        "accounts": accounts or [row["account_key"]],
        "template": row["template"],
        "template_version": row["template_version"],
        "due_at": row["due_at"],
        "queued_at": row["queued_at"],
        "sent_at": row["sent_at"],
        "held_back_at": held_back_at(row),
        "explanation": words,
        "remedy": remedy or None,
    }
