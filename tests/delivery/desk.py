"""A desk to tell delivery stories at: a workspace with a ledger, a published snapshot, statements and messages."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import polars as pl
import yaml
from sqlalchemy import Connection, select, update

from dunning_pipeline.delivery.queue import queue_message, queue_statement
from dunning_pipeline.delivery.reading import read_sends
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.schema import (
    findings,
    runs,
    send_attempts,
    sends,
    statement_details,
    statements,
    stream_loads,
)
from dunning_pipeline.letters.document import statement_document
from dunning_pipeline.letters.samples import sample_document
from dunning_pipeline.settings.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2025, 11, 4, 9, 0, tzinfo=UTC)  # a Tuesday, 10:00 in Berlin


class Desk:
    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.engine = open_ledger(ws)
        self.invoices: dict[str, dict[str, Any]] = {}
        self.contacts: list[tuple[str, str]] = []
        self.cash: list[tuple[str, str]] = []  # account, amount of a payment that names no invoice
        self.reached: dict[str, str | None] = {}  # account → e-mail address; nothing is published while it is empty
        self.postal: dict[str, dict[str, Any]] = {}  # account → postal address, where `reached` is published
        self.plans: list[tuple[str, str]] = []  # account, e-mail address of the plan's contact
        self.copied: list[str] = []  # addresses that get copies, where `reached` is published
        self.means: list[tuple[str, str, str]] = []  # account, customer and payment method at Stripe
        self._publications = 0
        self._open: Connection | None = None
        with self.engine.begin() as connection:
            connection.execute(
                runs.insert().values(
                    run_id="r1",
                    kind="dunning",
                    dunning_date=NOW.date(),
                    scope={},
                    status="done",
                    started_at=NOW,
                    created_by="test",
                )
            )
        self.payments_read(NOW)

    # -- facts -----------------------------------------------------------------------------------------------
    def payments_read(self, at: datetime, *, content: str = "payments") -> None:
        """Payments were looked at; another `content` than before means that there are new ones."""
        with self.engine.begin() as connection:
            connection.execute(
                stream_loads.insert().values(
                    load_id=f"{content}:{uuid4().hex}",
                    source="salesforce",
                    object="Payment",
                    loaded_at=at,
                    rows_read=1,
                    rows_loaded=1,
                    rows_rejected=0,
                    rows_closed=0,
                    files=[],
                )
            )

    def invoice(self, number: str, *, account: str, amount: str = "100.00", **more: Any) -> str:
        key = f"salesforce:{number}"
        self.invoices[key] = {
            "invoice_key": key, "source": "salesforce", "invoice_id": number, "invoice_number": number,
            "account_key": f"salesforce:{account}", "status": "posted", "invoice_date": "2025-09-01",
            "due_date": "2025-10-01", "currency": "EUR", "total_amount": amount, "settled_amount": 0, **more,
        }  # fmt: skip
        return key

    def paid(self, number: str, amount: str) -> None:
        """The source says it is paid; known to the gate once published."""
        self.invoices[f"salesforce:{number}"] |= {"settled_amount": amount, "settled_date": "2025-11-03"}

    def paid_without_reference(self, account: str, amount: str) -> None:
        """Money that is allocated to nothing; known to the gate once published."""
        self.cash.append((account, amount))

    def publish(self) -> None:
        """A snapshot with the invoices as they are, made beside and then pointed to, as a build does."""
        self._publications += 1
        self.ws.serving.mkdir(parents=True, exist_ok=True)
        name = f"s{self._publications}.duckdb"
        with duckdb.connect(str(self.ws.serving / name)) as con:
            con.execute("create schema data_model")
            con.execute(_tables_of_the_data_model())
            con.execute("create table main.loads (load_id varchar)")
            for load in self._loads():
                con.execute("insert into main.loads values (?)", [load])
            alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
            for row in self.invoices.values():
                alike.setdefault(tuple(row), []).append(row)
            for rows in alike.values():
                frame = pl.DataFrame(rows, infer_schema_length=None)  # noqa: F841 — DuckDB reads it by its name
                con.execute("insert into data_model.invoices by name select * from frame")
            for account, email in self.contacts:
                con.execute(
                    "insert into data_model.contacts (contact_key, account_key, email) values (?, ?, ?)",
                    [f"salesforce:{email}", f"salesforce:{account}", email],
                )
            for account, email in self.plans:
                con.execute(
                    "insert into data_model.collection_plans (plan_key, account_key, contact_key) values (?, ?, ?)",
                    [f"salesforce:plan-{account}", f"salesforce:{account}", f"salesforce:{email}"],
                )
            for number, (account, amount) in enumerate(self.cash):
                con.execute(
                    "insert into data_model.payments (payment_key, payment_id, account_key, currency, amount, "
                    "payment_date, status) values (?, ?, ?, 'EUR', ?, date '2025-11-03', 'processed')",
                    [f"salesforce:P{number}", f"P{number}", f"salesforce:{account}", amount],
                )
            for account, customer, method in self.means:
                con.execute(
                    "insert into data_model.payment_methods (payment_method_key, account_key, provider, "
                    "provider_customer, provider_token, is_active) values (?, ?, 'stripe', ?, ?, true)",
                    [method, f"salesforce:{account}", customer, method],
                )
            if self.reached:
                con.execute(
                    "create schema dunning; create table dunning.account_recipients (account_key varchar, "
                    "email_to varchar[], sms_to varchar, address varchar, has_conflict boolean, "
                    "email_cc_role varchar[], email_cc_account varchar[], email_bcc varchar[])"
                )
            for account, email in self.reached.items():
                con.execute(
                    "insert into dunning.account_recipients values (?, ?, null, ?, false, ?, [], [])",
                    [
                        f"salesforce:{account}",
                        [email] if email else [],
                        json.dumps(self.postal.get(account, {})),
                        self.copied,
                    ],
                )
        pointer = self.ws.serving / "current.new"
        pointer.write_text(name + "\n")
        pointer.replace(self.ws.serving / "current")

    def _loads(self) -> list[str]:
        with reading(self.engine) as connection:
            return [load.partition(":")[0] for load in connection.scalars(select(stream_loads.c.load_id))]

    @contextmanager
    def one_transaction(self) -> Iterator[None]:
        """Statements and queueing inside are written together: thousands of them in seconds."""
        with self.engine.begin() as self._open:
            yield
        self._open = None

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self._open is not None:
            yield self._open
        else:
            with self.engine.begin() as connection:
                yield connection

    # -- messages --------------------------------------------------------------------------------------------
    def statement(
        self, account: str, *, lines: dict[str, int], channels: tuple[str, ...] = ("email",), status: str = "closed",
        claims_fee_of: str | None = None, line: Mapping[str, Any] | None = None, **more: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """A closed statement over invoices (number → open amount in cents); its row."""
        total = sum(lines.values())
        row: dict[str, Any] = {
            "statement_id": uuid4().hex, "number": f"D-2025-{uuid4().int % 10**15:015d}",
            "kind": "dunning", "status": "draft",
            "run_id": "r1", "dunning_date": date(2025, 11, 4), "account_key": f"salesforce:{account}",
            "account_id": account, "account_name": f"{account} GmbH", "bill_group_key": f"salesforce:{account}",
            "unit_key": f"salesforce:{account}", "process": "standard", "level": 1, "level_name": "Friendly reminder",
            "currency": "EUR", "due_date": date(2025, 11, 18), "language": "en", "time_zone": "Europe/Berlin",
            "template": "friendly_reminder", "channels": list(channels), "approval": "automatic",
            "attach_invoices": True, "do_not_send": False,
            "recipients": {"to": [f"{account}@example.com"], "cc": [], "bcc": [], "sms": "+4915112345678"},
            "address": {"name": f"{account} GmbH", "street": "Weg 1", "postal_code": "10115", "city": "Berlin",
                        "country": "DE"},
            "distribution": {}, "texts": {}, "hand_edits": {}, "conflicts": {}, "principal_minor": total,
            "credits_minor": 0, "interest_minor": 0, "fees_minor": 0, "please_pay_minor": total,
            "content_sha256": uuid4().hex, "row_version": 1, "created_at": NOW, "updated_at": NOW,
            "updated_by": "test", "closed_at": NOW, "closed_by": "test", **more,
        }  # fmt: skip
        details = [
            {
                "statement_id": row["statement_id"], "position": position, "type": "invoice",
                "invoice_key": f"salesforce:{number}", "invoice_id": number, "invoice_number": number,
                "instalment": 1, "level": 1, "due_date": date(2025, 10, 1), "days_overdue": 34,
                "original_minor": cents, "open_minor": cents, "amount_minor": cents, "advances": True, **(line or {}),
            }
            for position, (number, cents) in enumerate(lines.items(), 1)
        ]  # fmt: skip
        row["content"] = statement_document(statement=row, details=details, graph=None, company=self.ws.company)
        with self._writing() as connection:
            connection.execute(statements.insert(), row)
            connection.execute(statement_details.insert(), details)
            if claims_fee_of is not None:
                carried = {"statement_id": row["statement_id"], "position": 9, "type": "carried_fee"}
                connection.execute(
                    statement_details.insert().values(**carried, reference=claims_fee_of, amount_minor=500)
                )
            if status != "draft":
                connection.execute(
                    update(statements).where(statements.c.statement_id == row["statement_id"]).values(status=status)
                )
        return {**row, "status": status}

    def queue(self, statement: dict[str, Any], **more: Any) -> list[str]:
        with self._writing() as connection:
            return queue_statement(
                connection, self.ws, statement=statement, now=NOW, actor="test", **{"send_now": True, **more}
            )

    def message(self, recipient: str, *, to: str | None = None, **more: Any) -> str:
        """A message of a campaign with the sample document; its key."""
        document = more.pop("document", None) or sample(self.ws)
        with self.engine.begin() as connection:
            return queue_message(
                connection, self.ws, actor="test", **{
                    "campaign": "notice", "occurrence": "2025-11-04", "recipient": recipient, "channel": "email",
                    "to": [to or f"{recipient}@example.com"], "account_key": f"salesforce:{recipient}",
                    "template": "friendly_reminder", "language": "en", "document": document, "send_now": True,
                    "now": NOW, **more,
                },
            )  # fmt: skip

    # -- what became of it -----------------------------------------------------------------------------------
    def sends(self) -> list[dict[str, Any]]:
        return read_sends(self.ws)

    def send(self, key: str) -> dict[str, Any]:
        with reading(self.engine) as connection:
            return dict(connection.execute(select(sends).where(sends.c.send_key == key)).mappings().one())

    def set(self, key: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(update(sends).where(sends.c.send_key == key).values(**values))

    def statuses(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for row in self.sends():
            counts[row["status"]] = counts.get(row["status"], 0) + 1
        return counts

    def findings(self) -> list[str]:
        with reading(self.engine) as connection:
            return sorted(connection.scalars(select(findings.c.kind).where(findings.c.status == "open")))

    def attempts(self, key: str) -> list[str]:
        with reading(self.engine) as connection:
            rows = connection.execute(
                select(send_attempts.c.outcome).where(send_attempts.c.send_key == key).order_by(send_attempts.c.at)
            )
            return [row.outcome for row in rows]

    def outbox(self) -> list[str]:
        return sorted(file.stem for file in self.ws.outbox.glob("*.eml"))


@cache
def _tables_of_the_data_model() -> str:
    declared = yaml.safe_load((ROOT / "dbt_like_sql" / "data_model" / "schema.yml").read_text())
    columns = {
        model["name"]: ", ".join(f'"{column["name"]}" {column["data_type"]}' for column in model["columns"])
        for model in declared["models"]
    }
    return "; ".join(f"create table data_model.{name} ({named})" for name, named in columns.items())


def sample(ws: Workspace) -> dict[str, Any]:
    return sample_document(ws.templates, "friendly_reminder", "en")
