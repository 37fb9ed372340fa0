"""Charges after their closing: listed, waived, paid, and what an account and an invoice owe with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, select

from dunning_pipeline.errors import InvalidInput, NotThere, Refused
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.bulk import lock_rows
from dunning_pipeline.ledger.identifiers import new_id
from dunning_pipeline.ledger.schema import postings, statements
from dunning_pipeline.money import amount_text
from dunning_pipeline.statements.booking.posting import CHARGED

_COLUMNS = [column.name for column in postings.columns]


@dataclass(frozen=True)
class Charge:
    """One posted charge and what of it is still owed."""

    posting: dict[str, Any]
    number: str | None
    owed_minor: int

    def as_json(self) -> dict[str, Any]:
        row, currency = self.posting, self.posting["currency"]
        return {
            "id": row["posting_id"],
            "type": row["type"],
            "statement": self.number,
            "statement_id": row["statement_id"],
            "account_key": row["account_key"],
            "invoice_key": row["invoice_key"],
            "instalment": row["instalment"],
            "level": row["level"],
            "currency": currency,
            "amount": amount_text(row["amount_minor"], currency),
            "owed": amount_text(self.owed_minor, currency),
            "posted_on": row["posted_on"].isoformat(),
        }


def list_charges(
    connection: Connection,
    *,
    account: str | None = None,
    invoice_key: str | None = None,
    ids: Sequence[str] | None = None,
    only_owed: bool = False,
) -> list[Charge]:
    """Posted charges, oldest first, each with what is owed of it. `account` is an account key or the source's id."""
    p = postings.c
    query = select(postings, statements.c.number, statements.c.account_id).outerjoin(
        statements, statements.c.statement_id == p.statement_id
    )
    query = query.where(p.type.in_(CHARGED)).order_by(p.posted_on, p.created_at, p.posting_id)
    if account is not None:
        query = query.where((p.account_key == account) | (statements.c.account_id == account))
    if invoice_key is not None:
        query = query.where(p.invoice_key == invoice_key)
    if ids is not None:
        query = query.where(p.posting_id.in_(ids))
    rows = [dict(row._mapping) for row in connection.execute(query)]
    changed = _changes(connection, [row["posting_id"] for row in rows])
    charges = [
        Charge(
            {name: row[name] for name in _COLUMNS},
            row["number"],
            row["amount_minor"] + changed.get(row["posting_id"], 0),
        )
        for row in rows
    ]
    return [charge for charge in charges if charge.owed_minor or not only_owed]


def waive(connection: Connection, posting_id: str, *, on: date, reason: str, actor: str, now: datetime) -> int:
    """Waive what is owed of a charge; the amount waived in minor units, 0 where nothing is owed any more."""
    if not reason.strip():
        raise InvalidInput("waiving a charge needs a reason", remedy="say why, with --reason")
    charge = _charge(connection, posting_id)
    if charge.owed_minor <= 0:
        return 0
    key = f"waiver:{charge.posting['posting_key']}:{charge.owed_minor}"
    _lower(connection, charge, "waiver", key, charge.owed_minor, on=on, reason=reason, actor=actor, now=now)
    return charge.owed_minor


def pay(
    connection: Connection,
    posting_id: str,
    *,
    amount_minor: int,
    reference: str,
    on: date,
    actor: str,
    now: datetime,
) -> int:
    """Record a payment against a charge; what is owed afterwards. The same reference and amount again is a no-op.

    Raises Refused where more is paid than is owed, or the reference was used with another amount.
    """
    charge = _charge(connection, posting_id)
    key = f"payment:{charge.posting['posting_key']}:{reference}"
    known = connection.scalar(select(postings.c.amount_minor).where(postings.c.posting_key == key))
    currency = charge.posting["currency"]
    if known is not None:
        if known != -amount_minor:
            raise Refused(
                "this reference was recorded with another amount",
                value=amount_text(-known, currency),
                remedy="use another --reference for another payment",
            )
        return charge.owed_minor
    if amount_minor <= 0:
        raise InvalidInput("a payment is more than 0", value=amount_text(amount_minor, currency))
    if amount_minor > charge.owed_minor:
        raise Refused(
            f"only {amount_text(charge.owed_minor, currency)} {currency} is owed of this charge",
            value=amount_text(amount_minor, currency),
        )
    _lower(connection, charge, "payment", key, amount_minor, on=on, reason=reference, actor=actor, now=now)
    return charge.owed_minor - amount_minor


def _charge(connection: Connection, posting_id: str) -> Charge:
    """The charge, and nobody else changes what is owed of it until this transaction ends."""
    lock_rows(connection, postings, key="posting_id", values=[posting_id])
    found = list_charges(connection, ids=[posting_id])
    if not found:
        raise NotThere("there is no such charge", value=posting_id, remedy="`dunning charge list` shows them")
    return found[0]


def _changes(connection: Connection, posting_ids: Sequence[str]) -> dict[str, int]:
    """Posting id → sum of what reversals, waivers and payments changed of it."""
    p = postings.c
    found: dict[str, int] = {}
    wanted = set(posting_ids)
    query = select(p.reverses, p.amount_minor).where(p.reverses.is_not(None))
    if len(wanted) <= 900:
        query = query.where(p.reverses.in_(wanted))
    for reverses, amount in connection.execute(query):
        if reverses in wanted:
            found[reverses] = found.get(reverses, 0) + amount
    return found


def _lower(
    connection: Connection,
    charge: Charge,
    kind: str,
    key: str,
    amount_minor: int,
    *,
    on: date,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    row = charge.posting
    connection.execute(
        postings.insert().values(
            **row
            | {
                "posting_id": new_id(),
                "posting_key": key,
                "type": kind,
                "reverses": row["posting_id"],
                "amount_minor": -amount_minor,
                "posted_on": on,
                "reason": reason,
                "created_at": now,
                "created_by": actor,
            }
        )
    )
    audit.record(
        connection,
        actor=actor,
        action=f"charge.{kind}",
        object_kind="posting",
        object_id=row["posting_id"],
        after={"amount": amount_text(amount_minor, row["currency"]), "currency": row["currency"]},
        reason=reason,
        at=now,
    )
