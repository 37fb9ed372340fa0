"""A small world of facts for the decision's tests: invoices, payments and levels in an in-memory database."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
from ruamel.yaml import YAML

from dunning_pipeline.ledger.schema import metadata

ROOT = Path(__file__).resolve().parents[2]
_MODEL_FILE = ROOT / "dbt_like_sql" / "data_model" / "schema.yml"
_TYPES = {"Date": "date", "Instant": "timestamp", "Boolean": "boolean", "BigInteger": "bigint", "Integer": "integer"}


def _data_model() -> dict[str, dict[str, str]]:
    declared = YAML(typ="safe").load(_MODEL_FILE.read_text(encoding="utf-8"))
    return {m["name"]: {c["name"]: c["data_type"] for c in m["columns"]} for m in declared["models"]}


DATA_MODEL = _data_model()
OPS = {
    table.name: {column.name: _TYPES.get(type(column.type).__name__, "varchar") for column in table.columns}
    for table in metadata.sorted_tables
}


class World:
    """Facts as the snapshot and the ledger would hold them; every adder takes plain values and returns the key."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}

    def add(self, table: str, **values: Any) -> None:
        """One row of `data_model.<t>` or `ops.<t>`."""
        self.rows.setdefault(table, []).append(values)

    def account(self, name: str = "acme", **more: Any) -> str:
        key = f"salesforce:{name}"
        values = {"account_key": key, "source": "salesforce", "account_id": name, "name": name.upper(), **more}
        if not any(row["account_key"] == key for row in self.rows.get("data_model.accounts", [])):
            self.add("data_model.accounts", **values)
        return key

    def bill_group(self, name: str, *, account: str = "acme", **more: Any) -> str:
        key = f"salesforce:{name}"
        self.add(
            "data_model.bill_groups",
            bill_group_key=key, source="salesforce", bill_group_id=name, account_key=self.account(account), name=name,
            **more,
        )  # fmt: skip
        return key

    def invoice(
        self,
        number: str,
        *,
        due: str,
        amount: str = "100.00 EUR",
        account: str = "acme",
        issued: str | None = None,
        bill_group: str | None = None,
        source: str = "salesforce",
        **more: Any,
    ) -> str:
        """An invoice; `amount` as "120.00 EUR"."""
        total, currency = amount.split()
        values = {
            "invoice_key": f"{source}:{number}", "source": source, "invoice_id": number, "invoice_number": number,
            "account_key": self.account(account), "status": "posted", "invoice_date": issued or "2000-01-01",
            "due_date": due, "currency": currency, "total_amount": total,
            "bill_group_key": f"salesforce:{bill_group}" if bill_group else None,
        }  # fmt: skip
        self.add("data_model.invoices", **{**values, **more})
        return f"{source}:{number}"

    def payment(
        self,
        invoice: str | None,
        *,
        on: str,
        amount: str,
        value: str | None = None,
        account: str = "acme",
        item: str | None = None,
        kind: str = "applied",
        **more: Any,
    ) -> None:
        """Money for an invoice, for one of its instalments (`item`), or unallocated (`invoice=None`)."""
        number = len(self.rows.get("data_model.payments", [])) + 1
        total, currency = amount.split()
        key = f"salesforce:P{number}"
        values = {
            "payment_key": key, "source": "salesforce", "payment_id": f"P{number}", "payment_number": f"PAY-{number}",
            "account_key": self.account(account), "currency": currency, "amount": total, "payment_date": on,
            "effective_date": value or on, "status": "processed",
        }  # fmt: skip
        self.add("data_model.payments", **{**values, **more})
        if invoice is not None:
            self.add(
                "data_model.payment_allocations",
                allocation_key=f"salesforce:A{number}", source="salesforce", payment_key=key,
                invoice_key=f"salesforce:{invoice}", schedule_item_key=item and f"salesforce:{item}", amount=total,
                allocation_type=kind, applied_date=on, effective_date=value,
            )  # fmt: skip

    def instalments(
        self, invoice: str, parts: Iterable[tuple[str, str]], *, kind: str = "instalment", **more: Any
    ) -> None:
        """A plan of (due, amount) parts; the items are named <invoice>-1, <invoice>-2 …"""
        schedule = f"salesforce:plan-{invoice}-{kind}"
        self.add(
            "data_model.payment_schedules",
            schedule_key=schedule, invoice_key=f"salesforce:{invoice}", schedule_type=kind, **more,
        )  # fmt: skip
        for number, (due, amount) in enumerate(parts, 1):
            self.add(
                "data_model.payment_schedule_items",
                schedule_item_key=f"salesforce:{invoice}-{number}", schedule_key=schedule, due_date=due, amount=amount,
            )  # fmt: skip

    def credit(self, number: str, *, amount: str, on: str = "2000-01-01", account: str = "acme", **more: Any) -> None:
        """A posted credit memo that is applied to nothing."""
        total, currency = amount.split()
        self.add(
            "data_model.credit_memos",
            credit_memo_key=f"salesforce:{number}", source="salesforce", credit_memo_number=number,
            account_key=self.account(account), status="posted", currency=currency, total_amount=total, credit_date=on,
            **more,
        )  # fmt: skip

    def rate(self, day: str, base: str, quote: str, rate: str) -> None:
        """1 base = rate quote on that day."""
        self.add(
            "data_model.fx_rates", fx_key=f"{day}|{base}|{quote}", rate_date=day, base=base, quote=quote, rate=rate
        )

    def sent(
        self,
        invoice: str,
        level: int,
        *,
        on: str,
        process: str = "test",
        instalment: int = 1,
        deadline: str | None = None,
        statement: str | None = None,
        before_due: bool = False,
        event: str = "reached",
    ) -> None:
        """A statement of that level went out for the invoice."""
        statement = statement or f"st-{invoice}-{level}"
        self.add(
            "ops.item_levels",
            item_level_id=f"{statement}:{invoice}:{instalment}:{event}", invoice_key=f"salesforce:{invoice}",
            instalment=instalment, level=level, process=process, event=event, statement_id=statement, sent_on=on,
            deadline=deadline, is_before_due=before_due,
        )  # fmt: skip

    def database(self, *, reverse: bool = False) -> duckdb.DuckDBPyConnection:
        """Every table of the data model and the ledger, with the rows added so far."""
        con = duckdb.connect()
        con.execute("set timezone = 'UTC'")
        for schema, tables in (("data_model", DATA_MODEL), ("ops", OPS)):
            con.execute(f"create schema {schema}")
            for name, columns in tables.items():
                body = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
                con.execute(f"create table {schema}.{name} ({body})")
        for table, rows in self.rows.items():
            for row in reversed(rows) if reverse else rows:
                _insert(con, table, row)
        return con


def _insert(con: duckdb.DuckDBPyConnection, table: str, row: Mapping[str, Any]) -> None:
    names = ", ".join(f'"{name}"' for name in row)
    marks = ", ".join("?" for _ in row)
    values = [value.isoformat() if isinstance(value, date | datetime) else value for value in row.values()]
    con.execute(f"insert into {table} ({names}) values ({marks})", values)
