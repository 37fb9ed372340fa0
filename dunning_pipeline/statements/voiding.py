"""Voids a closed statement, the correction of what is immutable: postings, levels and waiting sends are taken back."""

from datetime import datetime

from sqlalchemy import Connection, select, update

from dunning_pipeline.errors import InvalidInput, NotThere, Refused
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.ledger.schema import sends, statements
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.booking.posting import reverse_postings
from dunning_pipeline.statements.booking.superseding import WAITING, refuse_if_under_way
from dunning_pipeline.statements.levels import record_revoked


def void(ws: Workspace, statement_id: str, *, reason: str, now: datetime, actor: str) -> bool:
    """Void one statement (by id or number) in a transaction of its own; False where it was void already."""
    with open_ledger(ws).begin() as connection:
        return void_statement(connection, ws, statement_id, reason=reason, now=now, actor=actor)


def void_statement(
    connection: Connection, ws: Workspace, statement_id: str, *, reason: str, now: datetime, actor: str
) -> bool:
    """Void one statement in the caller's transaction; False where it was void already.

    Balances and levels are afterwards what they were before the closing. Raises NotThere; Refused for a draft, a
    superseded statement, or one whose message is being sent right now; InvalidInput without a reason.
    """
    if not reason.strip():
        raise InvalidInput("voiding needs a reason", remedy="say why, with --reason")
    s = statements.c
    named = (s.statement_id == statement_id) | (s.number == statement_id)
    row = connection.execute(
        select(s.statement_id, s.number, s.status, s.account_key).where(named).with_for_update()
    ).one_or_none()
    if row is None:
        raise NotThere("there is no such statement", value=statement_id)
    if row.status == "voided":
        return False
    if row.status != "closed":
        raise Refused(
            f"only a closed statement can be voided; this one is {row.status}",
            value=statement_id,
            remedy="delete a draft with `dunning statement delete`",
        )
    refuse_if_under_way(connection, row.statement_id)
    _mark(connection, row.statement_id, reason=reason, now=now, actor=actor)
    on = now.astimezone(ws.company.zone).date()
    reverse_postings(connection, [row.statement_id], on=on, reason=reason, actor=actor, now=now)
    record_revoked(connection, statement_id=row.statement_id, now=now, revoked_on=on)
    audit.record(
        connection,
        actor=actor,
        action="statement.void",
        object_kind="statement",
        object_id=row.statement_id,
        before={"status": "closed", "number": row.number},
        after={"status": "voided"},
        reason=reason,
        at=now,
    )
    return True


def _mark(connection: Connection, statement_id: str, *, reason: str, now: datetime, actor: str) -> None:
    connection.execute(
        update(statements)
        .where(statements.c.statement_id == statement_id)
        .values(
            status="voided",
            void_reason=reason,
            voided_at=now,
            voided_by=actor,
            row_version=statements.c.row_version + 1,
            updated_at=now,
            updated_by=actor,
        )
    )
    connection.execute(
        update(sends)
        .where(sends.c.statement_id == statement_id, sends.c.status.in_(WAITING))
        .values(status="cancelled", reason="the statement was voided", held_back_at=now)
    )
