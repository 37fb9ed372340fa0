"""Queues statements by hand: closes a draft first, sends again deliberately, or mails a draft marked as one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select

from dunning_pipeline.delivery.queue import WAITING, next_resend, queue_statement
from dunning_pipeline.errors import DunningError, NotThere
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.schema import sends, statements
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.closing import close
from dunning_pipeline.statements.drafting.editing import draft_document


@dataclass
class SendReport:
    """Keys of the sends that wait now, and why a statement was not queued."""

    keys: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def send_statements(
    ws: Workspace,
    ids: Sequence[str],
    *,
    as_draft: bool = False,
    again: bool = False,
    send_now: bool = False,
    channels: Sequence[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    now: datetime,
    actor: str,
) -> SendReport:
    """Queue statements (ids or numbers); one that may not be sent is refused and stops no other. Raises NotThere.

    A draft is closed first; `as_draft` mails it marked DRAFT instead, which counts as no level. `again` is a deliberate
    second sending; it charges again only where `channels` names the payment retry. `overrides` as in
    delivery.queue.queue_statement.
    """
    report = SendReport()
    rows = _rows(ws, ids)
    if not as_draft:
        drafts = [row["statement_id"] for row in rows if row["status"] == "draft"]
        if drafts:
            report.refused |= close(ws, drafts, now=now, actor=actor).refused
            rows = _rows(ws, [row["statement_id"] for row in rows])
    for row in rows:
        if row["statement_id"] in report.refused:
            continue
        try:
            with open_ledger(ws).begin() as connection:
                kind = "draft" if as_draft else next_resend(connection, row["statement_id"]) if again else None
                keys = queue_statement(
                    connection,
                    ws,
                    statement=row,
                    now=now,
                    actor=actor,
                    kind=kind,
                    channels=_copied(row) if again and channels is None else channels,
                    send_now=send_now,
                    overrides=overrides,
                    document=draft_document(connection, ws, row) if as_draft else None,
                )
                states = connection.scalars(select(sends.c.status).where(sends.c.send_key.in_(keys))).all()
            if keys and not set(WAITING).intersection(states):
                told = ", ".join(sorted(set(states)))
                report.refused[row["statement_id"]] = (
                    f"its messages were queued before and are {told}; a deliberate second sending is --again"
                )
            else:
                report.keys += keys
        except DunningError as error:
            report.refused[row["statement_id"]] = str(error)
    return report


def _copied(row: Mapping[str, Any]) -> list[str]:
    """A copy of a reminder is no second charge; that one has to be asked for by its channel."""
    return [channel for channel in row["channels"] if channel != "payment_retry"]


def _rows(ws: Workspace, ids: Sequence[str]) -> list[dict[str, Any]]:
    s = statements.c
    with reading(open_ledger(ws)) as connection:
        found = []
        for key in ids:
            row = connection.execute(
                select(statements).where((s.statement_id == key) | (s.number == key))
            ).one_or_none()
            if row is None:
                raise NotThere("there is no such statement", value=key)
            found.append(dict(row._mapping))
    return found
