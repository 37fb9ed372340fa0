"""A small world for stories: facts are written, a day's run decides, drafts are closed and count as sent."""

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import select

from dunning_pipeline.dunning.decision import Scope
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.reading import statements_json
from dunning_pipeline.ledger.schema import findings, statements
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements import assigning, cases, levels
from dunning_pipeline.statements.booking.posting import charges_owed
from dunning_pipeline.statements.closing import CloseReport, close
from dunning_pipeline.statements.runs import RunReport, run
from tests.scenarios.facts import Facts

DEFAULT_PROCESS = """
process: standard
levels:
  - {level: 1, when: {days: 7}, template: friendly_reminder, channels: [email], approval: automatic}
  - {level: 2, when: {days: 21}, template: second_reminder, channels: [email], approval: automatic}
  - {level: 3, when: {days: 45}, template: final_reminder, channels: [email], approval: automatic}
"""


class World:
    """One workspace in which the days pass. Names are written short: "acme" is the account salesforce:acme."""

    def __init__(self, ws: Workspace) -> None:
        self.ws, self.facts = ws, Facts()
        self._published = 0
        self.process(DEFAULT_PROCESS)

    # -- what is -------------------------------------------------------------------------------------------------

    def process(self, text: str) -> None:
        """Replace the processes by this one."""
        for file in (self.ws.policies / "processes").glob("*.yaml"):
            file.unlink()
        name = re.search(r"^process: (\S+)", text, re.M).group(1)
        self.add_process(name, text)

    def add_process(self, name: str, text: str) -> None:
        (self.ws.policies / "processes" / f"{name}.yaml").write_text(text.lstrip())

    def company(self, **values: Any) -> None:
        """Change keys of company.yaml."""
        file = self.ws.policies / "company.yaml"
        lines = file.read_text().splitlines()
        for name, value in values.items():
            lines = [line for line in lines if not line.startswith(f"{name}:")]
            if value is not None:
                lines.append(f"{name}: {value}")
        file.write_text("\n".join(lines) + "\n")
        self.ws.__dict__.pop("company", None)

    def account(self, account: str, /, **values: Any) -> None:
        name = account
        values = {"name": name, "country": "DE", "street": "Weg 1", "city": "Bonn", "postal_code": "53111"} | values
        self.facts.put("accounts", account_key=f"salesforce:{name}", account_id=name, **values)
        contact = f"salesforce:contact-{name}"
        if contact not in self.facts.rows["contacts"]:
            self.facts.put(
                "contacts",
                contact_key=contact,
                contact_id=f"contact-{name}",
                account_key=f"salesforce:{name}",
                full_name=f"Mx {name}",
                email=f"{name}@example.com",
            )

    def bill_group(self, name: str, account: str, **values: Any) -> None:
        self._account(account)
        key = {"bill_group_key": f"salesforce:{name}", "bill_group_id": name, "name": name}
        self.facts.put("bill_groups", **key, account_key=f"salesforce:{account}", **values)

    def invoice(
        self,
        number: str,
        *,
        account: str = "acme",
        due: str,
        amount: str,
        dated: str | None = None,
        group: str | None = None,
        **values: Any,
    ) -> None:
        """`amount` is written "120.00 EUR"."""
        self._account(account)
        total, currency = amount.split()
        day = date.fromisoformat(due)
        self.facts.put(
            "invoices",
            invoice_key=f"salesforce:{number}",
            invoice_id=number,
            invoice_number=number,
            account_key=f"salesforce:{account}",
            bill_group_key=f"salesforce:{group}" if group else None,
            due_date=day,
            invoice_date=date.fromisoformat(dated) if dated else min(day, date(day.year, day.month, 1)),
            currency=currency,
            total_amount=Decimal(total),
            **{"status": "posted"} | values,
        )

    def payment(self, invoice: str, *, on: str, amount: str | None = None, value: str | None = None) -> None:
        """Pay an invoice on a date, in full where no amount is said; `value` is the value date."""
        row = self.facts.rows["invoices"][f"salesforce:{invoice}"]
        paid = Decimal(amount) if amount else row["total_amount"] - self._paid(invoice)
        count = len(self.facts.rows["payments"]) + 1
        day = date.fromisoformat(on)
        valued = date.fromisoformat(value) if value else day
        self.facts.put(
            "payments",
            payment_key=f"salesforce:P{count}",
            payment_id=f"P{count}",
            account_key=row["account_key"],
            currency=row["currency"],
            amount=paid,
            payment_date=day,
            effective_date=valued,
            status="processed",
        )
        self.facts.put(
            "payment_allocations",
            allocation_key=f"salesforce:PL{count}",
            payment_key=f"salesforce:P{count}",
            invoice_key=f"salesforce:{invoice}",
            amount=paid,
            allocation_type="applied",
            applied_date=day,
            effective_date=valued,
        )

    def credit(self, number: str, *, account: str = "acme", amount: str, on: str) -> None:
        """A posted credit memo that is not applied to anything."""
        total, currency = amount.split()
        self.facts.put(
            "credit_memos",
            credit_memo_key=f"salesforce:{number}",
            credit_memo_id=number,
            credit_memo_number=number,
            account_key=f"salesforce:{account}",
            status="posted",
            currency=currency,
            total_amount=Decimal(total),
            credit_date=date.fromisoformat(on),
        )

    def instalments(self, invoice: str, *parts: tuple[str, str]) -> None:
        """Agree on instalments: ("2026-01-01", "250.00"), …"""
        row = self.facts.rows["invoices"][f"salesforce:{invoice}"]
        self.facts.put(
            "payment_schedules",
            schedule_key=f"salesforce:S-{invoice}",
            schedule_id=f"S-{invoice}",
            invoice_key=row["invoice_key"],
            account_key=row["account_key"],
            schedule_type="instalment",
            status="active",
        )
        for n, (due, amount) in enumerate(parts, 1):
            self.facts.put(
                "payment_schedule_items",
                schedule_item_key=f"salesforce:S-{invoice}-{n}",
                schedule_key=f"salesforce:S-{invoice}",
                invoice_key=row["invoice_key"],
                due_date=date.fromisoformat(due),
                amount=Decimal(amount),
            )

    # -- what happens --------------------------------------------------------------------------------------------

    def run(self, on: str, *, send: bool = True, **scope: Any) -> list[str]:
        """The day's run, everything closed and counted as sent; what was sent, such as "acme level 1 120.00 EUR"."""
        closed = self.close(on, self.draft(on, **scope).statement_ids).closed
        if send:
            self.send(on, closed)
        return [said(one) for one in self.statements() if one["id"] in closed]

    def draft(self, on: str, **scope: Any) -> RunReport:
        """Only the run: drafts are made, nothing is closed."""
        self.publish()
        return run(self.ws, dunning_date=date.fromisoformat(on), now=noon(on), scope=Scope(**scope), actor="daily")

    def drafts(self, on: str, **scope: Any) -> list[str]:
        self.draft(on, **scope)
        return [said(one) for one in self.statements(status="draft")]

    def close(self, on: str, ids: list[str], *, actor: str = "daily") -> CloseReport:
        self.publish()
        return close(self.ws, ids, now=noon(on), actor=actor, pdf=False)

    def send(self, on: str, ids: list[str]) -> None:
        """Count closed statements as sent on a date."""
        with self.ledger.begin() as connection:
            levels.record_reached(connection, statement_ids=ids, sent_on=date.fromisoformat(on), now=noon(on))

    def publish(self) -> Path:
        self._published += 1
        return self.facts.publish(self.ws, f"snapshot-{self._published}")

    def block(self, target: str, *, on: str, scope: str = "account", until: str | None = None, **values: Any) -> str:
        with self.ledger.begin() as connection:
            return cases.block(
                connection,
                scope=scope,
                target_key=f"salesforce:{target}",
                reason="agreed on the phone",
                valid_from=date.fromisoformat(on),
                valid_to=date.fromisoformat(until) if until else None,
                actor="clerk",
                now=noon(on),
                **values,
            )

    def assign(self, account: str, process: str, *, on: str) -> str:
        with self.ledger.begin() as connection:
            return assigning.assign(
                connection,
                bill_group_key=f"salesforce:{account}",
                account_key=f"salesforce:{account}",
                process=process,
                known_processes=set(),
                reason="we negotiate",
                valid_from=date.fromisoformat(on),
                actor="clerk",
                now=noon(on),
            )

    # -- what is seen --------------------------------------------------------------------------------------------

    @property
    def ledger(self) -> Any:
        return open_ledger(self.ws)

    def statements(self, **filters: Any) -> list[dict[str, Any]]:
        return statements_json(self.ws, **filters)

    def charges(self, account: str = "acme") -> dict[str, int]:
        """What the account owes beside its principal, in minor units by currency."""
        with reading(self.ledger) as connection:
            return charges_owed(connection, account_key=f"salesforce:{account}")

    def findings(self) -> list[Any]:
        """The open ones, as rows."""
        with reading(self.ledger) as connection:
            return list(connection.execute(select(findings).where(findings.c.status == "open")))

    def rows(self) -> int:
        with reading(self.ledger) as connection:
            return len(connection.execute(statements.select()).all())

    def _account(self, name: str) -> None:
        if f"salesforce:{name}" not in self.facts.rows["accounts"]:
            self.account(name)

    def _paid(self, invoice: str) -> Decimal:
        rows = self.facts.rows["payment_allocations"].values()
        return sum((r["amount"] for r in rows if r["invoice_key"] == f"salesforce:{invoice}"), Decimal(0))


def noon(on: str) -> datetime:
    return datetime.combine(date.fromisoformat(on), time(12), UTC)


def said(one: dict[str, Any]) -> str:
    """A statement in one line."""
    level = f" level {one['level']}" if one["level"] is not None else ""
    return f"{one['account_id']}{level} {one['totals']['please_pay']} {one['currency']}"
