"""Payment retries: which stored means is charged, and what a payment that succeeded or was declined leads to."""

from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, and_, literal, or_, select, update

from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.bulk import chunks
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.findings import raise_finding, resolve_findings_of
from dunning_pipeline.ledger.naming import ASKED, FORMER
from dunning_pipeline.ledger.schema import blocks, send_attempts, sends, statement_details, statements
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.levels import record_reached, without_reminder

ACTOR = "delivery"
# Charged invoices are let alone until the source's own payment arrives; after so long a person looks.
WAIT_FOR_SOURCE = timedelta(days=10)
# And until the bank says whether a debit that is under way succeeds; its word may get lost.
WAIT_FOR_BANK = timedelta(days=30)


def payment_taken(connection: Connection, ws: Workspace, row: Mapping[str, Any], *, state: str, now: datetime) -> None:
    """What the provider says of a payment that it took: `succeeded`, or `processing` where the bank needs days.

    The answer to our request may come after the event that tells more: it lowers nothing.
    """
    is_lower = or_(sends.c.delivery.is_(None), and_(sends.c.delivery == "processing", literal(state) != "processing"))
    taken = update(sends).where(sends.c.send_key == row["send_key"], is_lower)
    connection.execute(taken.values(delivery=state, delivery_at=now))
    if state == "succeeded":
        payment_succeeded(connection, ws, row, now=now)
        return
    told = connection.scalar(select(sends.c.delivery).where(sends.c.send_key == row["send_key"]))
    if state == told == "processing":
        today = now.astimezone(ws.company.zone).date()
        reason = "is being debited by payment retry {}; waits for the bank"
        _let_alone(connection, row, "debit", reason, today=today, now=now)


def payment_succeeded(connection: Connection, ws: Workspace, row: Mapping[str, Any], *, now: datetime) -> None:
    """Record the payment and stop the dunning of what it pays; once per send.

    Charges of the statement are paid in the ledger; its invoices are paused until the next extract carries the
    payment, and the statement's waiting messages are cancelled.
    """
    key = row["send_key"]
    _end_debit(connection, key, now)
    today = now.astimezone(ws.company.zone).date()
    reason = "charged by payment retry {}; waits for the source's payment"
    if not _let_alone(connection, row, "payment", reason, today=today, now=now):
        return  # the event came before the answer, or the other way round
    _pay_charges(connection, row, now=now, today=today)
    connection.execute(
        update(sends)
        .where(
            sends.c.statement_id == row["statement_id"],
            sends.c.send_key != key,
            sends.c.status.in_(("queued", "held")),
        )
        .values(status="cancelled", reason="paid_by_retry", held_back_at=now)
    )
    resolve_findings_of(connection, kind="payment_declined", object_id=row["statement_id"] or key, by=ACTOR, at=now)
    audit.record(
        connection,
        actor=ACTOR,
        action="payment.succeeded",
        object_kind="statement",
        object_id=row["statement_id"] or key,
        after={"amount_minor": row["amount_minor"], "currency": row["currency"], "send": key},
        at=now,
    )


def payment_declined(
    connection: Connection, ws: Workspace, row: Mapping[str, Any], *, reason: str | None, now: datetime
) -> None:
    """A decline is told to a person; the reminder itself goes on by its other channels. Where it has none, its level
    is reached by having tried: otherwise the next run would charge the same again, every day."""
    if connection.scalar(select(blocks.c.block_id).where(blocks.c.block_id.startswith(_named("payment", row, "")))):
        return  # told late: it has succeeded since
    _end_debit(connection, row["send_key"], now)
    if tried := without_reminder(connection, [row["statement_id"]] if row["statement_id"] else []):
        today = now.astimezone(ws.company.zone).date()
        record_reached(connection, statement_ids=sorted(tried), sent_on=today, now=now)
    told = (reason or "no reason given").removeprefix("declined: ")
    number = connection.scalar(select(statements.c.number).where(statements.c.statement_id == row["statement_id"]))
    raise_finding(
        connection,
        kind="payment_declined",
        object_kind="statement",
        object_id=row["statement_id"] or row["send_key"],
        severity="info",
        message=f"the payment retry of {number or row['account_key']} was declined: {told}",
        at=now,
    )


def was_charged(connection: Connection, statement: Mapping[str, Any], *, now: datetime) -> bool:
    """Whether an earlier payment retry has taken what the statement lists, and the source does not show it yet.

    It is not taken a second time: a finding asks a person to book the payment.
    """
    mine, other = statement_details.alias("mine"), statement_details.alias("other")
    same = [mine.c[name] == other.c[name] for name in ("type", "invoice_key", "instalment", "open_minor")]
    charged = connection.execute(
        select(mine.c.invoice_number, sends.c.provider_message_id, sends.c.send_key, sends.c.delivery)
        .select_from(mine.join(other, and_(*same)).join(sends, sends.c.statement_id == other.c.statement_id))
        .where(
            mine.c.statement_id == statement["statement_id"],
            mine.c.type == "invoice",
            sends.c.channel == "payment_retry",
            sends.c.delivery.in_(("succeeded", "processing")),
        )
    ).first()
    if charged is None:
        return False
    number, retry = charged.invoice_number, charged.provider_message_id or charged.send_key
    raise_finding(
        connection,
        kind="charged_before",
        object_kind="statement",
        object_id=statement["statement_id"],
        severity="error",
        message=f"{number} is not charged again: payment retry {retry} waits for the bank"
        if charged.delivery == "processing"
        else f"{number} is not charged again: payment retry {retry} took it, and the source still shows it open",
        at=now,
    )
    return True


def watch_charges(engine: Engine, items: Callable[[set[str]], Mapping[tuple[str, int], Any]], *, now: datetime) -> None:
    """End the pause of charged invoices that the source shows as paid; a person learns where it does not in time.

    Who has paid is not reminded, however long the books take. `items` gives the newest items of invoices; it is asked
    between the transactions, because reading a snapshot takes its time.
    """
    with reading(engine) as connection:
        paused = select(blocks).where(blocks.c.created_by == ACTOR, blocks.c.ended_at.is_(None))
        waiting = connection.execute(paused).all()
        charged = _charged_lines(connection, {_send_key(row) for row in waiting})
        asked = _asked_about(connection) if waiting else []
    if not waiting:
        return
    current = items({row.target_key for row in waiting})
    with engine.begin() as connection:
        for row in waiting:
            if any(reason.startswith(FORMER.format(row.target_key)) for reason in asked):
                continue  # it may be there under another name: nobody knows yet what became of it
            listed = charged.get((_send_key(row), row.target_key), [])
            why = row.block_id.partition(":")[0]
            if any(_is_booked(current.get((row.target_key, line.instalment or 1)), line.open_minor) for line in listed):
                done = update(blocks).where(blocks.c.block_id == row.block_id, blocks.c.ended_at.is_(None))
                connection.execute(done.values(ended_at=now, ended_by=ACTOR))
            elif listed and now - row.created_at > (WAIT_FOR_BANK if why == "debit" else WAIT_FOR_SOURCE):
                _tell_of_charge(connection, row.target_key, listed[0].invoice_number, why, row.created_at, now)


def _asked_about(connection: Connection) -> list[str]:
    """What a person is asked about renamed invoices."""
    return list(connection.scalars(select(blocks.c.reason).where(blocks.c.scope == "invoice", ASKED)))


def _charged_lines(connection: Connection, keys: Collection[str]) -> dict[tuple[str, str], list[Any]]:
    """(send, invoice) → its lines in the statement that the payment retry charged."""
    line, found = statement_details.c, dict[tuple[str, str], list[Any]]()
    joined = statement_details.join(sends, sends.c.statement_id == line.statement_id)
    columns = sends.c.send_key, line.invoice_key, line.invoice_number, line.instalment, line.open_minor
    for some in chunks(keys):
        wanted = select(*columns).select_from(joined).where(sends.c.send_key.in_(some), line.type == "invoice")
        for row in connection.execute(wanted):
            found.setdefault((row.send_key, row.invoice_key), []).append(row)
    return found


def _send_key(block: Any) -> str:
    """The payment retry that a pause was made for; see `_named`."""
    return str(block.block_id.partition(":")[2].removesuffix(f":{block.target_key}"))


def _is_booked(item: Any, charged_minor: int) -> bool:
    return item is None or item.status != "posted" or item.open_minor < charged_minor


def _tell_of_charge(
    connection: Connection, invoice: str, number: str, why: str, charged_at: datetime, now: datetime
) -> None:
    since = charged_at.date().isoformat()
    raise_finding(
        connection,
        kind="charge_not_booked",
        object_kind="invoice",
        object_id=invoice,
        severity="warning",
        message=f"{number} is being debited since {since}, and the bank has not said whether it succeeds"
        if why == "debit"
        else f"{number} was charged on {since} and the source still shows it open; it is let alone until it is booked",
        at=now,
    )


def was_declined(connection: Connection, key: str) -> bool:
    """Whether the last word on a payment retry is the bank's no, which the provider remembers under the same key."""
    tries = send_attempts.c
    status = connection.scalar(
        select(tries.provider_status).where(tries.send_key == key, tries.outcome == "failed").order_by(tries.at.desc())
    )
    return status not in (None, "no_payment_method", "amount")


def _let_alone(
    connection: Connection, row: Mapping[str, Any], why: str, reason: str, *, today: date, now: datetime
) -> bool:
    """Pause the invoices of the send's statement, once; False where that was done before. `watch_charges` ends it."""
    listed = connection.execute(
        select(statement_details.c.invoice_key)
        .where(statement_details.c.statement_id == row["statement_id"], statement_details.c.type == "invoice")
        .distinct()
    ).scalars()
    paused = {_named(why, row, invoice): invoice for invoice in listed}
    if connection.scalar(select(blocks.c.block_id).where(blocks.c.block_id.in_(paused)).limit(1)):
        return False
    alike = {"scope": "invoice", "kind": "pause", "valid_from": today, "created_at": now}
    told = {"reason": reason.format(row["provider_message_id"] or row["send_key"]), "created_by": ACTOR}
    for block_id, invoice in paused.items():
        connection.execute(blocks.insert().values(block_id=block_id, target_key=invoice, **alike, **told))
    return True


def _named(why: str, row: Mapping[str, Any], invoice: str) -> str:
    return f"{why}:{row['send_key']}:{invoice}"


def _end_debit(connection: Connection, key: str, now: datetime) -> None:
    """The bank has said yes or no: what waited for it waits no longer."""
    waits = blocks.c.block_id.startswith(f"debit:{key}:"), blocks.c.ended_at.is_(None)
    connection.execute(update(blocks).where(*waits).values(ended_at=now, ended_by=ACTOR))


def _pay_charges(connection: Connection, row: Mapping[str, Any], *, now: datetime, today: date) -> None:
    """Pay the charges that the statement claims, its own and those that it carries; never another statement's."""
    from dunning_pipeline.statements.booking.charges import list_charges, pay
    from dunning_pipeline.statements.booking.posting import carried_as

    wanted = statements.c.statement_id == row["statement_id"]
    statement = connection.execute(select(statements).where(wanted)).mappings().one_or_none()
    if statement is None:
        return
    account, currency = statement["account_key"], statement["currency"]
    lines = select(statement_details).where(
        statement_details.c.statement_id == row["statement_id"], statement_details.c.type.startswith("carried_")
    )
    told = [dict(line) for line in connection.execute(lines).mappings()]
    carried = {carried_as(line, currency, line["reference"]) for line in told}
    left = statement["interest_minor"] + statement["fees_minor"]
    for charge in list_charges(connection, account=account, only_owed=True):
        posting = charge.posting
        is_own = posting["statement_id"] == row["statement_id"]
        is_claimed = is_own or carried_as(posting, posting["currency"], posting["statement_id"]) in carried
        amount = min(left, charge.owed_minor)
        if amount <= 0 or not is_claimed:
            continue
        pay(
            connection,
            posting["posting_id"],
            amount_minor=amount,
            reference=f"payment retry {row['send_key']}",
            on=today,
            actor=ACTOR,
            now=now,
        )
        left -= amount
