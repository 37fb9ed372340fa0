"""Reads statements back: filtered rows for people and notebooks, and the JSON of interfaces for scripts."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, or_, select

from dunning_pipeline.ledger.bulk import chunks, read_many
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.naming import keys_named
from dunning_pipeline.ledger.schema import statement_details, statements
from dunning_pipeline.ledger.types import canonical_json
from dunning_pipeline.money import amount_text
from dunning_pipeline.settings.workspace import Workspace

if TYPE_CHECKING:
    from dunning_pipeline.sql_models.reading import Rows

# Keys of a detail besides type and amount, by type.
_SHOWN: dict[str, tuple[str, ...]] = {
    "credit": ("reference",),
    "interest": ("invoice_number", "instalment"),
    "carried_interest": ("invoice_number", "instalment"),
}
# What lists leave out: the merge document is read for one statement at a time.
_DETAIL = tuple(column.name for column in statement_details.columns if column.name != "statement_id")
_LISTED = tuple(column.name for column in statements.columns if column.name != "content")


def read_statements(ws: Workspace, **filters: Any) -> "Rows":
    """Statements as rows for notebooks: amounts as text in major units; filters are those of `list_statements`.

    Columns are those of the JSON form, with the totals as columns of their own and free-form values as JSON text.
    """
    import pyarrow

    from dunning_pipeline.sql_models.reading import Rows

    records = []
    for said in statements_json(ws, **filters):
        totals = said.pop("totals")
        loose = {name: canonical_json(said[name]) for name in ("address", "texts", "hand_edits", "conflicts")}
        records.append({**said, **totals, **loose})
    return Rows(pyarrow.Table.from_pylist(records))


def statements_json(ws: Workspace, **filters: Any) -> list[dict[str, Any]]:
    """Statements with details as JSON objects (interfaces: amounts are decimal strings), by number and account."""
    with reading(open_ledger(ws)) as connection:
        rows = list_statements(connection, **filters)
        details = details_of(connection, [row["statement_id"] for row in rows])
    return [statement_json(row, details.get(row["statement_id"], [])) for row in rows]


def list_statements(
    connection: Connection,
    *,
    ids: Sequence[str] | None = None,
    run: str | None = None,
    status: str | Sequence[str] | None = None,
    account: str | None = None,
    date: date | None = None,
    level: int | None = None,
    kind: str | None = None,
    process: str | None = None,
    currency: str | None = None,
    approval: str | None = None,
    held: bool | None = None,
    columns: Sequence[str] = _LISTED,
) -> list[dict[str, Any]]:
    """Rows of `statements` (these columns; default: all but content); deleted drafts only where `status` names them.

    `account` is an account key or the source's id, `ids` are statement ids or numbers.
    """
    s = statements.c
    wanted: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (s.run_id, run),
            (s.dunning_date, date),
            (s.level, level),
            (s.kind, kind),
            (s.process, process),
            (s.currency, currency),
            (s.approval, approval),
        )
        if value is not None
    ]
    named = [status] if isinstance(status, str) else status
    wanted.append(s.status.in_(named) if named else s.status != "deleted")
    if account is not None:
        renamed = s.account_key.in_(keys_named("account", account))
        wanted.append(or_(s.account_key == account, s.account_id == account, renamed))
    if held is not None:
        wanted.append(s.hold_reason.is_not(None) if held else s.hold_reason.is_(None))
    query = select(*(s[name] for name in columns)).where(*wanted)
    query = query.order_by(s.dunning_date, s.account_id, s.currency, s.level, s.statement_id)
    if ids is None:
        return [dict(row._mapping) for row in connection.execute(query)]
    found: list[dict[str, Any]] = []
    for chunk in chunks(ids, 900):
        some = query.where(or_(s.statement_id.in_(chunk), s.number.in_(chunk)))
        found += [dict(zip(columns, row, strict=True)) for row in connection.execute(some).all()]
    return found


def details_of(
    connection: Connection, statement_ids: Iterable[str], *, columns: Sequence[str] = _DETAIL, kind: str | None = None
) -> dict[str, list[dict[str, Any]]]:
    """The details of statements, by statement id, in their order; only these `columns`, only of one type (`kind`)."""
    chosen = ("statement_id", *columns)
    found: dict[str, list[dict[str, Any]]] = {}
    for chunk in chunks(statement_ids):
        for row in read_many(
            connection, statement_details, chosen, key="statement_id", values=chunk,
            where="true" if kind is None else f"type = '{kind}'", order_by="statement_id, position",
        ):  # fmt: skip
            found.setdefault(row["statement_id"], []).append(row)
    return found


def statement_json(row: Mapping[str, Any], details: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One statement as interfaces' JSON: amounts as decimal strings in major units, dates ISO."""
    money = {name: _amount(row, f"{name}_minor") for name in ("principal", "credits", "interest", "fees", "please_pay")}
    recipients = row["recipients"] or {}
    return {
        "id": row["statement_id"],
        "number": row["number"],
        "status": row["status"],
        "run_id": row["run_id"],
        "dunning_date": _iso(row["dunning_date"]),
        "account_id": row["account_id"],
        "account_name": row["account_name"],
        "bill_group_id": row["bill_group_id"],
        "process": row["process"],
        "kind": row["kind"],
        "level": row["level"],
        "currency": row["currency"],
        "due_date": _iso(row["due_date"]),
        "language": row["language"],
        "channels": row["channels"],
        "recipients": {who: recipients.get(who) or [] for who in ("to", "cc", "bcc")},
        "pdf_sha256": row["pdf_sha256"],
        "totals": money,
        "details": [_detail_json(detail, row["currency"]) for detail in details],
        "account_key": row["account_key"],
        "hold_reason": row["hold_reason"],
        "approval": row["approval"],
        "address": row["address"],
        "texts": row["texts"],
        "hand_edits": row["hand_edits"],
        "conflicts": row["conflicts"],
        "row_version": row["row_version"],
        "superseded_by": row["superseded_by"],
        "void_reason": row["void_reason"],
    }


def _detail_json(detail: Mapping[str, Any], currency: str) -> dict[str, Any]:
    kind = detail["type"]
    if kind == "invoice":
        names = ("invoice_number", "invoice_id", "instalment", "level")
        return {
            "type": kind,
            **{name: detail[name] for name in names},
            "due_date": _iso(detail["due_date"]),
            "days_overdue": detail["days_overdue"],
            "original_amount": _text(detail["original_minor"], currency),
            "open_amount": _text(detail["open_minor"], currency),
        }
    shown = _SHOWN.get(kind, ("invoice_number", "instalment", "level"))
    said = {name: detail[name] for name in shown if detail[name] is not None}
    return {"type": kind, **said, "amount": _text(detail["amount_minor"], currency)}


def _amount(row: Mapping[str, Any], column: str) -> str:
    return amount_text(row[column], row["currency"])


def _text(amount_minor: int | None, currency: str) -> str | None:
    return None if amount_minor is None else amount_text(amount_minor, currency)


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
