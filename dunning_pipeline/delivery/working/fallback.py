"""What becomes of a reminder that cannot reach its recipient: another recipient, a letter, or a finding."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from dunning_pipeline.delivery.judging.verdicts import Verdict
from dunning_pipeline.delivery.permission.contact_points import is_postal
from dunning_pipeline.delivery.permission.suppressions import PERSONAL
from dunning_pipeline.delivery.queue import RENDERED, queue_statement
from dunning_pipeline.errors import DunningError, Refused
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.ledger.schema import sends, statements
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.booking.superseding import has_left

ACTOR = "delivery"
_ALIVE = ("queued", "in_flight", "sent", "unknown")
UNREACHABLE = ("invalid_address", "suppressed", "consent", "no_common_hour")
# reasons that end a statement, and those that end one of which nothing has left → what is said of it
_OVER = {"amount_changed": "amount changed", "owner_changed": "owner changed"}
_OVER_UNSENT = {"recipient_changed": "recipient changed", "deadline_passed": "not sent in time"}
_OWN_NO = {"opted out", *PERSONAL}  # details of a verdict


def obstructed(
    connection: Connection, ws: Workspace, row: Mapping[str, Any], verdict: Verdict, *, now: datetime
) -> None:
    """What follows from a verdict: a voided statement where what it says is over, a letter where nobody may be written
    to, a finding where a person has to look."""
    if verdict.reason in _OVER and row["statement_id"]:
        _void(connection, ws, row["statement_id"], reason=f"{_OVER[verdict.reason]}: {verdict.detail}", now=now)
    elif verdict.reason in _OVER_UNSENT:
        if row["kind"] == "dunning" and not has_left(connection, [row["statement_id"]]):
            reason = f"{_OVER_UNSENT[verdict.reason]}: {verdict.detail}"
            _void(connection, ws, row["statement_id"], reason=reason, now=now)
        elif row["channel"] == "letter" and row["statement_id"]:  # its e-mail has left; the law may ask for paper
            raise_finding(
                connection,
                kind="letter_not_sent",
                object_kind="statement",
                object_id=row["statement_id"],
                severity="warning",
                message=f"its letter was not sent: {verdict.detail}; another message of it has left",
                at=now,
            )
    elif verdict.reason in UNREACHABLE and row["statement_id"] and row["kind"] != "draft":
        _another_way(connection, ws, row, verdict, now=now)
    elif verdict.reason == "not_configured":
        raise_finding(
            connection,
            kind="channel_not_configured",
            object_kind="channel",
            object_id=row["channel"],
            severity="error",
            message=f"{verdict.detail}; its sends are held until one is configured",
            at=now,
        )


def _void(connection: Connection, ws: Workspace, statement_id: str, *, reason: str, now: datetime) -> None:
    """Void the statement; where another of its messages is being judged this moment, that one does it."""
    from dunning_pipeline.statements.voiding import void_statement

    try:
        void_statement(connection, ws, statement_id, reason=reason, now=now, actor=ACTOR)
    except Refused:
        return


def _another_way(
    connection: Connection, ws: Workspace, row: Mapping[str, Any], verdict: Verdict, *, now: datetime
) -> None:
    """The next recipient where the address is dead, as the models pass such a one over; a letter where somebody said
    no, or where a person named the recipient."""
    from dunning_pipeline.delivery.events.bounces import another_way

    why = f"{verdict.reason}: {verdict.detail} ({', '.join(row['recipients']['to'])})"
    if verdict.detail in _OWN_NO or (row["overrides"] or {}).get("to"):
        elsewhere(connection, ws, row, now=now, why=why)
    else:
        another_way(connection, ws, row, now=now, why=why, due_at=now)  # as the letter is


def elsewhere(connection: Connection, ws: Workspace, row: Mapping[str, Any], *, now: datetime, why: str) -> str | None:
    """Send a statement by letter because `row` cannot arrive; the letter's key, or None where a finding was raised.

    Nothing is done where another of its messages is on its way or has arrived.
    """
    statement = connection.execute(
        select(statements).where(statements.c.statement_id == row["statement_id"])
    ).mappings().one()  # fmt: skip
    others = connection.execute(
        select(sends.c.channel, sends.c.status, sends.c.delivery).where(
            sends.c.statement_id == row["statement_id"],
            sends.c.send_key != row["send_key"],
            sends.c.channel.in_(RENDERED),
            sends.c.kind != "draft",
            sends.c.status.in_(_ALIVE),
        )
    ).all()
    if any(other.delivery not in ("bounced", "dropped", "blocked") for other in others):
        return None
    has_address = is_postal(statement["address"])
    if statement["status"] == "closed" and has_address:
        try:
            # due at once, as what it replaces was: at the next send hour the next day's statement would replace it
            keys = queue_statement(
                connection, ws, statement=dict(statement), now=now, due_at=now, actor=ACTOR, kind=row["kind"],
                channels=["letter"],
            )  # fmt: skip
        except DunningError as error:
            why = f"{why}; and no letter could be queued: {error.message}"
        else:
            if keys:
                return keys[0]
    raise_finding(
        connection,
        kind="no_channel",
        object_kind="statement",
        object_id=row["statement_id"],
        severity="error",
        message=f"{statement['account_name']} cannot be reached ({why})"
        if has_address
        else f"{statement['account_name']} cannot be reached ({why}) and has no postal address",
        at=now,
    )
    return None
