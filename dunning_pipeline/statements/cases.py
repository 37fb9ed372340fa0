"""What people say about a case: blocks, disputes, pauses, promises to pay, postponed due dates."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Table, select, update

from dunning_pipeline.errors import InvalidInput, NotThere, Refused
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.identifiers import new_id
from dunning_pipeline.ledger.schema import blocks, postponements, promises

SCOPES = ("account", "bill_group", "invoice")
KINDS = ("block", "dispute", "pause")


def block(
    connection: Connection,
    *,
    scope: str,
    target_key: str,
    kind: str = "block",
    reason: str,
    valid_from: date,
    valid_to: date | None = None,
    actor: str,
    now: datetime,
) -> str:
    """Keep an account, bill group or invoice from being dunned between two dates, both included; the block's id.

    The same block while it is in force is a no-op. When it ends nothing is sent at once: the next run decides.
    Raises InvalidInput.
    """
    if scope not in SCOPES:
        raise InvalidInput("a block is for an account, a bill group or an invoice", value=scope)
    if kind not in KINDS:
        raise InvalidInput("there is no such kind of block", value=kind, remedy=f"one of {', '.join(KINDS)}")
    _needs_reason(reason)
    if valid_to is not None and valid_to < valid_from:
        raise InvalidInput("the block would end before it begins", value=valid_to)
    values = {"scope": scope, "target_key": target_key, "kind": kind, "reason": reason, "valid_to": valid_to}
    known = _same(connection, blocks, values | {"ended_at": None})
    if known is not None:
        return str(known)
    values["valid_from"] = valid_from
    return _record(connection, blocks, "block_id", values, scope, target_key, "block.set", reason, actor, now)


def unblock(connection: Connection, block_id: str, *, reason: str, actor: str, now: datetime) -> bool:
    """End a block; False where it had ended. Raises NotThere."""
    row = connection.execute(select(blocks).where(blocks.c.block_id == block_id)).one_or_none()
    if row is None:
        raise NotThere("there is no such block", value=block_id)
    if row.ended_at is not None:
        return False
    connection.execute(update(blocks).where(blocks.c.block_id == block_id).values(ended_at=now, ended_by=actor))
    audit.record(
        connection,
        actor=actor,
        action="block.end",
        object_kind=row.scope,
        object_id=row.target_key,
        before={"block_id": block_id, "kind": row.kind},
        reason=reason,
        at=now,
    )
    return True


def promise(
    connection: Connection,
    *,
    account_key: str,
    invoice_key: str | None = None,
    promised_for: date,
    promised_on: date,
    amount_minor: int | None = None,
    currency: str | None = None,
    max_promises: int | None = None,
    note: str | None = None,
    actor: str,
    now: datetime,
) -> str:
    """Record that a debtor promised to pay by a date; the promise's id. The same again is a no-op.

    Raises InvalidInput for a date that has passed, Refused beyond `max_promises` of the same debt.
    """
    if promised_for < promised_on:
        raise InvalidInput("a promise is for today or later", value=promised_for)
    if amount_minor is not None and (amount_minor <= 0 or currency is None):
        raise InvalidInput("a promised amount is more than 0, with its currency", value=amount_minor)
    values = {
        "account_key": account_key,
        "invoice_key": invoice_key,
        "promised_for": promised_for,
        "amount_minor": amount_minor,
        "currency": currency,
    }
    known = _same(connection, promises, values | {"withdrawn_at": None})
    if known is not None:
        return str(known)
    made = len(
        connection.execute(
            select(promises.c.promise_id).where(
                promises.c.account_key == account_key,
                promises.c.invoice_key == invoice_key if invoice_key else promises.c.invoice_key.is_(None),
                promises.c.withdrawn_at.is_(None),
            )
        ).all()
    )
    if max_promises is not None and made >= max_promises:
        raise Refused(
            f"this debt has been promised {made} times, and the process allows {max_promises}",
            value=invoice_key or account_key,
            remedy="agree on instalments, or block the invoice with a reason",
        )
    values |= {"promised_on": promised_on, "note": note}
    kind, target = ("invoice", invoice_key) if invoice_key else ("account", account_key)
    return _record(connection, promises, "promise_id", values, kind, target, "promise.set", note, actor, now)


def withdraw_promise(connection: Connection, promise_id: str, *, reason: str, actor: str, now: datetime) -> bool:
    """Take a promise back, because it was recorded by mistake; False where it was. Raises NotThere."""
    row = connection.execute(select(promises).where(promises.c.promise_id == promise_id)).one_or_none()
    if row is None:
        raise NotThere("there is no such promise", value=promise_id)
    if row.withdrawn_at is not None:
        return False
    connection.execute(update(promises).where(promises.c.promise_id == promise_id).values(withdrawn_at=now))
    audit.record(
        connection,
        actor=actor,
        action="promise.withdraw",
        object_kind="account",
        object_id=row.account_key,
        before={"promise_id": promise_id, "promised_for": row.promised_for},
        reason=reason,
        at=now,
    )
    return True


def postpone(
    connection: Connection,
    *,
    invoice_key: str,
    instalment: int | None = None,
    postponed_to: date,
    created_on: date,
    reason: str,
    actor: str,
    now: datetime,
) -> str:
    """Give an invoice (or one instalment) a later due date; the postponement's id. The same again is a no-op.

    The level it has reached is kept. A later postponement replaces this one. Raises InvalidInput.
    """
    _needs_reason(reason)
    values = {"invoice_key": invoice_key, "instalment": instalment, "postponed_to": postponed_to}
    newest = connection.execute(
        select(postponements)
        .where(
            postponements.c.invoice_key == invoice_key,
            postponements.c.instalment.is_(None) if instalment is None else postponements.c.instalment == instalment,
            postponements.c.ended_at.is_(None),
        )
        .order_by(postponements.c.created_at.desc(), postponements.c.postponement_id.desc())
        .limit(1)
    ).one_or_none()
    if newest is not None and (newest.postponed_to, newest.reason) == (postponed_to, reason):
        return str(newest.postponement_id)
    values |= {"reason": reason, "created_on": created_on}
    return _record(
        connection, postponements, "postponement_id", values, "invoice", invoice_key, "postpone.set", reason, actor, now
    )


def _record(
    connection: Connection,
    table: Table,
    key: str,
    values: dict[str, Any],
    object_kind: str,
    object_id: str,
    action: str,
    reason: str | None,
    actor: str,
    now: datetime,
) -> str:
    row_id = new_id()
    connection.execute(table.insert().values(**{key: row_id}, **values, created_at=now, created_by=actor))
    audit.record(
        connection,
        actor=actor,
        action=action,
        object_kind=object_kind,
        object_id=object_id,
        after=values,
        reason=reason,
        at=now,
    )
    return row_id


def _same(connection: Connection, table: Table, values: dict[str, Any]) -> Any:
    conditions = [
        table.c[name].is_(None) if value is None else table.c[name] == value for name, value in values.items()
    ]
    return connection.scalar(select(next(iter(table.primary_key))).where(*conditions).limit(1))


def _needs_reason(reason: str) -> None:
    if not reason.strip():
        raise InvalidInput("a reason is needed", remedy="say why, with --reason")
