"""Payment retries: which stored means is charged, and what a payment that succeeded or was declined leads to."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.ledger.schema import blocks, sends, statement_details, statements
from dunning_pipeline.settings.workspace import Workspace

ACTOR = "delivery"
# How long the invoices of a charged statement are let alone, until the source's own payment arrives.
WAIT_FOR_SOURCE = timedelta(days=10)


def payment_succeeded(connection: Connection, ws: Workspace, row: Mapping[str, Any], *, now: datetime) -> None:
    """Record the payment and stop the dunning of what it pays; once per send.

    Charges of the statement are paid in the ledger; its invoices are paused until the next extract carries the
    payment, and the statement's waiting messages are cancelled.
    """
    key = row["send_key"]
    listed = connection.execute(
        select(statement_details.c.invoice_key)
        .where(statement_details.c.statement_id == row["statement_id"], statement_details.c.type == "invoice")
        .distinct()
    ).scalars()
    today = now.astimezone(ws.company.zone).date()
    for invoice in listed:
        block_id = f"payment:{key}:{invoice}"
        if connection.scalar(select(blocks.c.block_id).where(blocks.c.block_id == block_id)):
            continue
        connection.execute(
            blocks.insert().values(
                block_id=block_id,
                scope="invoice",
                target_key=invoice,
                kind="pause",
                reason=f"charged by payment retry {row['provider_message_id'] or key}; waits for the source's payment",
                valid_from=today,
                valid_to=today + WAIT_FOR_SOURCE,
                created_at=now,
                created_by=ACTOR,
            )
        )
    _pay_charges(connection, row, now=now, today=today)
    connection.execute(
        update(sends)
        .where(
            sends.c.statement_id == row["statement_id"],
            sends.c.send_key != key,
            sends.c.status.in_(("queued", "held")),
        )
        .values(status="cancelled", reason="paid_by_retry")
    )
    audit.record(
        connection,
        actor=ACTOR,
        action="payment.succeeded",
        object_kind="statement",
        object_id=row["statement_id"] or key,
        after={"amount_minor": row["amount_minor"], "currency": row["currency"], "send": key},
        at=now,
    )


def payment_declined(connection: Connection, row: Mapping[str, Any], *, reason: str | None, now: datetime) -> None:
    """A decline is told to a person; the reminder itself goes on by its other channels."""
    raise_finding(
        connection,
        kind="payment_declined",
        object_kind="statement",
        object_id=row["statement_id"] or row["send_key"],
        severity="info",
        message=f"the payment retry was declined: {reason or 'no reason given'}",
        at=now,
    )


def _pay_charges(connection: Connection, row: Mapping[str, Any], *, now: datetime, today: Any) -> None:
    from dunning_pipeline.statements.booking.charges import list_charges, pay

    statement = connection.execute(
        select(statements.c.account_key, statements.c.interest_minor, statements.c.fees_minor).where(
            statements.c.statement_id == row["statement_id"]
        )
    ).one_or_none()
    if statement is None:
        return
    left = statement.interest_minor + statement.fees_minor
    for charge in list_charges(connection, account=statement.account_key, only_owed=True):
        amount = min(left, charge.owed_minor)
        if amount <= 0 or charge.posting["currency"] != row["currency"]:
            continue
        pay(
            connection,
            charge.posting["posting_id"],
            amount_minor=amount,
            reference=f"payment retry {row['send_key']}",
            on=today,
            actor=ACTOR,
            now=now,
        )
        left -= amount
