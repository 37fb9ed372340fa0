"""Postings of charges: made once at closing, taken back by reversals; the account owes them beside its principal."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from dunning_pipeline.ledger.bulk import chunks, insert_stored, lock_rows, read_many
from dunning_pipeline.ledger.identifiers import new_ids
from dunning_pipeline.ledger.schema import postings
from dunning_pipeline.ledger.types import instant_text

CHARGED = ("fee", "interest", "compensation")
_COLUMNS = [column.name for column in postings.columns]


def post_charges(
    connection: Connection,
    rows: Iterable[tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]],
    *,
    actor: str,
    now: datetime,
) -> int:
    """Post the new charges of statements (row, details), once each: the key is statement and position. How many."""
    at = instant_text(now)
    made = [
        (*_charge(statement, detail), at, actor)
        for statement, details in rows
        for detail in details
        if detail["type"] in CHARGED and detail["amount_minor"]
    ]
    ids = new_ids(len(made))
    insert_stored(connection, postings, _COLUMNS, [(key, *row) for key, row in zip(ids, made, strict=True)])
    return len(made)


def reverse_postings(
    connection: Connection, statement_ids: Iterable[str], *, on: date, reason: str, actor: str, now: datetime
) -> int:
    """Reverse what statements posted and nothing has reversed yet; how many. Again is a no-op.

    What was waived of a charge is gone already and is not reversed a second time; what was paid of it is the debtor's
    again, so it stays as an amount below zero.
    """
    p = postings.c
    made: list[tuple[Any, ...]] = []
    for chunk in chunks(statement_ids, 900):
        lock_rows(connection, postings, key="statement_id", values=chunk)
        posted = connection.execute(select(postings).where(p.statement_id.in_(chunk), p.type.in_(CHARGED))).all()
        cleared = connection.execute(
            select(p.reverses, p.type, p.amount_minor).where(
                p.reverses.in_([row.posting_id for row in posted]), p.type.in_(("reversal", "waiver"))
            )
        ).all()
        gone = {one.reverses for one in cleared if one.type == "reversal"}
        waived = Counter[str]()
        for one in cleared:
            waived[one.reverses] += one.amount_minor if one.type == "waiver" else 0
        for row in posted:
            left = row.amount_minor + waived[row.posting_id]
            if row.posting_id not in gone and left:
                values = dict(row._mapping) | {
                    "posting_key": f"reversal:{row.posting_key}",
                    "type": "reversal",
                    "reverses": row.posting_id,
                    "amount_minor": -left,
                    "posted_on": on.isoformat(),
                    "reason": reason,
                    "created_at": instant_text(now),
                    "created_by": actor,
                }
                made.append(tuple(values[name] for name in _COLUMNS[1:]))
    ids = new_ids(len(made))
    insert_stored(connection, postings, _COLUMNS, [(key, *row) for key, row in zip(ids, made, strict=True)])
    return len(made)


def charges_owed(
    connection: Connection, *, account_key: str | None = None, invoice_key: str | None = None, on: date | None = None
) -> dict[str, int]:
    """Charges owed per currency (posted − reversed − waived − paid), of an account or an invoice, as of a date."""
    p = postings.c
    query = select(p.currency, func.sum(p.amount_minor)).group_by(p.currency)
    for column, value in ((p.account_key, account_key), (p.invoice_key, invoice_key)):
        if value is not None:
            query = query.where(column == value)
    if on is not None:
        query = query.where(p.posted_on <= on)
    return {currency: int(total) for currency, total in connection.execute(query) if total}


def settled_since(
    connection: Connection, statements: Iterable[Mapping[str, Any]], details: Mapping[str, Sequence[Mapping[str, Any]]]
) -> set[str]:
    """Which of these drafts carry a charge of which less is owed by now than they ask for: paid or waived since.

    A charge stays with the account that it was posted to, its invoice may have gone to another (accounts merged).
    """
    asked = {
        row["statement_id"]: (row["account_key"], row["currency"], carried)
        for row in statements
        if (carried := [line for line in details.get(row["statement_id"], ()) if line["type"].startswith("carried_")])
    }
    if not asked:
        return set()
    columns = (
        "posting_id", "reverses", "type", "statement_id", "account_key", "currency", "invoice_key", "instalment",
        "amount_minor",
    )  # fmt: skip
    accounts = {account for account, *_ in asked.values()}
    invoices = {line["invoice_key"] for *_, carried in asked.values() for line in carried if line["invoice_key"]}
    of_accounts = read_many(connection, postings, columns, key="account_key", values=sorted(accounts))
    of_invoices = read_many(connection, postings, columns, key="invoice_key", values=sorted(invoices))
    rows = [*of_accounts, *(row for row in of_invoices if row["account_key"] not in accounts)]
    charges = {row["posting_id"]: row for row in rows if row["type"] in CHARGED}
    owed: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        charge = charges.get(row["reverses"] or row["posting_id"])
        if charge is not None:
            owed[carried_as(charge, charge["currency"], charge["statement_id"])] += row["amount_minor"]
    found = set()
    for statement_id, (_, currency, carried) in asked.items():
        claimed: Counter[tuple[Any, ...]] = Counter()
        for line in carried:
            claimed[carried_as(line, currency, line["reference"])] += line["amount_minor"]
        if any(owed[place] < amount for place, amount in claimed.items()):
            found.add(statement_id)
    return found


def carried_as(row: Mapping[str, Any], currency: str, statement: str | None) -> tuple[Any, ...]:
    """The line that claims a charge again: interest by its item, fees by the statement that posted them."""
    item = (row["invoice_key"], (row["instalment"] or 1) if row["invoice_key"] else None)
    if row["type"] in ("interest", "carried_interest"):
        return ("interest", currency, *item)
    return ("fee", currency, *item, statement)


def _charge(statement: Mapping[str, Any], detail: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values of a posting, but for its id and the two last: when and by whom it was made."""
    return (
        f"{statement['statement_id']}:{detail['position']}",
        detail["type"],
        statement["statement_id"],
        None,
        statement["account_key"],
        statement["bill_group_key"],
        statement["legal_entity"],
        detail["invoice_key"],
        detail["instalment"],
        detail["level"] if detail["level"] is not None else statement["level"],
        statement["currency"],
        detail["amount_minor"],
        statement["dunning_date"].isoformat(),
        None,
    )
