"""A small world of facts for the decision's tests: invoices, payments and levels in an in-memory database."""

import textwrap
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
from ruamel.yaml import YAML

from dunning_pipeline.dunning.decision import Decision, decide
from dunning_pipeline.dunning.scope import Scope
from dunning_pipeline.ledger.schema import metadata
from dunning_pipeline.money import amount_text
from dunning_pipeline.settings.workspace import Workspace

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


COMPANY = """
name: Creditor GmbH
address: {street: Weg 1, postal_code: "10115", city: Berlin, country: DE}
country: DE
time_zone: Europe/Berlin
email_from: dunning@creditor.example
"""


class Outcome:
    """A decision as people would tell it."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.rows = decision.statements.to_pylist()
        self.details = decision.details.to_pylist()

    @property
    def statements(self) -> list[str]:
        """Such as ["acme level 1 120.00 EUR"]: account, level and what is to be paid."""
        return [f"{row['account_id']} level {row['level']} {_money(row['please_pay_minor'], row)}" for row in self.rows]

    @property
    def reasons(self) -> dict[str, str]:
        """Invoice (or invoice/instalment where it has several) → reason code."""
        return {self._name(row): row["reason"] for row in self.decision.decisions.to_pylist()}

    @property
    def levels(self) -> dict[str, int]:
        """Invoices listed → the level that the table shows."""
        return {self._name(row): row["level"] for row in self.details if row["type"] == "invoice"}

    @property
    def lines(self) -> list[str]:
        """Every detail as "type [invoice] amount"."""
        statements = {row["draft_key"]: row for row in self.rows}
        told = []
        for line in self.details:
            money = _money(line["amount_minor"], statements[line["draft_key"]])
            told.append(" ".join(filter(None, (line["type"], line["invoice_id"] or line["reference"], money))))
        return told

    def amount(self, kind: str) -> str:
        """Sum of the details of a type, such as "316.48 EUR"."""
        return _money(sum(d["amount_minor"] for d in self.details if d["type"] == kind), self.rows[0])

    @property
    def findings(self) -> set[tuple[str, str]]:
        return {(found["kind"], found["object_id"].removeprefix("salesforce:")) for found in self.decision.findings}

    def _name(self, row: Mapping[str, Any]) -> str:
        name, number = row["invoice_key"].removeprefix("salesforce:"), row["instalment"]
        several = any(
            other["invoice_key"] == row["invoice_key"] and other["instalment"] != number
            for other in self.decision.decisions.to_pylist()
        )
        return f"{name}/{number}" if several else name


def _money(minor: int, statement: Mapping[str, Any]) -> str:
    return f"{amount_text(minor, statement['currency'])} {statement['currency']}"


class World:
    """Facts as the snapshot and the ledger would hold them; every adder takes plain values and returns the key."""

    def __init__(self, folder: Path | None = None) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.folder = folder
        if folder is not None:
            (folder / "policies" / "processes").mkdir(parents=True)
            (folder / "dbt_like_sql").symlink_to(ROOT / "dbt_like_sql")
            (folder / "policies" / "law").symlink_to(ROOT / "policies" / "law")
            self.company("default_process: test")

    def company(self, more: str) -> None:
        """The company's declaration with further lines."""
        assert self.folder is not None
        (self.folder / "policies" / "company.yaml").write_text(f"{COMPANY}{more}\n", encoding="utf-8")

    def process(self, text: str, *, name: str = "test") -> None:
        """Declare a process; `text` is everything but its name."""
        assert self.folder is not None
        body = f"process: {name}\n{textwrap.dedent(text).strip()}\n"
        (self.folder / "policies" / "processes" / f"{name}.yaml").write_text(body, encoding="utf-8")

    def run(self, day: str, *, reverse: bool = False, **scope: Any) -> Outcome:
        """What a run of that day proposes."""
        con = self.database(reverse=reverse)
        try:
            decision = decide(
                Workspace(self.folder),
                dunning_date=date.fromisoformat(day),
                scope=Scope(**scope),
                facts=con,
                ledger=False,
            )
            return Outcome(decision)
        finally:
            con.close()

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

    def posted(
        self,
        kind: str,
        amount_minor: int,
        *,
        on: str,
        invoice: str | None = None,
        statement: str = "st-1",
        level: int | None = None,
        reverses: str | None = None,
        account: str = "acme",
        posting: str | None = None,
        currency: str = "EUR",
    ) -> str:
        """A charge of an earlier statement (or its waiver, payment or reversal), in minor units."""
        posting = posting or f"{statement}:{kind}:{invoice or ''}"
        self.add(
            "ops.postings",
            posting_id=posting, posting_key=posting, type=kind, statement_id=statement, reverses=reverses,
            account_key=f"salesforce:{account}", bill_group_key=f"salesforce:{account}",
            invoice_key=invoice and f"salesforce:{invoice}", instalment=1 if invoice else None, level=level,
            currency=currency, amount_minor=amount_minor, posted_on=on,
        )  # fmt: skip
        return posting

    def closed(
        self, statement: str, *, on: str, invoices: Iterable[str], level: int = 1, account: str = "acme", **more: Any
    ) -> None:
        """A closed statement in the ledger that lists these invoices."""
        key = f"salesforce:{account}"
        self.add(
            "ops.statements",
            **{
                "statement_id": statement, "kind": "dunning", "status": "closed", "dunning_date": on,
                "account_key": key, "bill_group_key": key, "unit_key": key, "process": "test", "level": level,
                "currency": "EUR", "do_not_send": False, **more,
            },
        )  # fmt: skip
        for position, invoice in enumerate(invoices, 1):
            self.add(
                "ops.statement_details",
                statement_id=statement, position=position, type="invoice", invoice_key=f"salesforce:{invoice}",
                instalment=1, level=level,
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

    def publish(self, file: Path, more: str = "") -> None:
        """The same as a snapshot file, with whatever else the SQL `more` makes in it."""
        con = self.database(file=str(file))
        con.execute(more)
        con.close()

    def database(self, *, reverse: bool = False, file: str = ":memory:") -> duckdb.DuckDBPyConnection:
        """Every table of the data model and the ledger, with the rows added so far."""
        con = duckdb.connect(file, config={"threads": 1})
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
