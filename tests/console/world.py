"""Two accounts, of Kim and of Lee, each with a draft, a send and a finding; Lee's names are scripts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
from sqlalchemy import insert, select
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dunning_pipeline.console.notices import COOKIE as NOTICE
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.ledger.schema import notes, sends, statement_details, statements, users
from dunning_pipeline.settings.workspace import Workspace
from tests.scenarios.facts import Facts

NOW = datetime(2025, 11, 3, 8, tzinfo=UTC)
EVIL = "<script>alert(1)</script>"
PEOPLE = {"viewer": None, "collector": None, "approver": None, "admin": None, "kim": "Kim"}


@dataclass
class Console:
    app: Starlette
    workspace: Workspace
    client: TestClient
    tokens: dict[str, str]
    csrf: dict[str, str]

    def get(self, path: str, *, who: str = "admin"):  # type: ignore[no-untyped-def]
        return self.client.get(path, headers=self._cookie(who), follow_redirects=False)

    def post(self, path: str, *, who: str = "admin", files=None, **fields):  # type: ignore[no-untyped-def]
        data = {"csrf_token": self.csrf[who], **fields}
        return self.client.post(path, data=data, files=files, headers=self._cookie(who), follow_redirects=False)

    def told(self, answer, who: str = "admin") -> str:  # type: ignore[no-untyped-def]
        """The page behind a redirect, with the notice that goes there."""
        cookie = f"{self._cookie(who)['Cookie']}; {NOTICE}={answer.cookies[NOTICE]}"
        return self.client.get(answer.headers["location"], headers={"Cookie": cookie}, follow_redirects=False).text

    def user_id(self, login: str) -> str:
        return str(self.scalar(select(users.c.user_id).where(users.c.login == login)))

    def _cookie(self, who: str) -> dict[str, str]:
        return {"Cookie": f"dunning_session={self.tokens[who]}"}

    def scalar(self, query):  # type: ignore[no-untyped-def]
        with self.app.state.engine.connect() as connection:
            return connection.execute(query).scalar_one()


def publish(
    workspace: Workspace, *, name: str = "one", invoices: Mapping[str, Mapping[str, Any]] | None = None
) -> None:
    """Write the snapshot; `invoices` are more of Kim's, by number."""
    facts = Facts()
    for number, values in (invoices or {}).items():
        key = {"invoice_key": f"s:{number}", "source": "s", "invoice_id": number, "invoice_number": number}
        facts.put("invoices", **key, account_key="s:kim", currency="EUR", status="posted", **values)
    for who in ("kim", "lee"):
        facts.put(
            "accounts", account_key=f"s:{who}", source="s", account_id=who, name=f"{who} {EVIL}", owner=who.title(),
            email=f"{who}@example.com", city=EVIL,
        )  # fmt: skip
        facts.put(
            "invoices", invoice_key=f"s:i-{who}", source="s", invoice_id=f"i-{who}", invoice_number=f"INV-{who}",
            account_key=f"s:{who}", currency="EUR", status="posted",
        )  # fmt: skip
        facts.put(
            "payments", payment_key=f"s:pay-{who}", source="s", payment_id=f"pay-{who}", payment_number=f"PAY-{who}",
            account_key=f"s:{who}", payment_date="2025-12-24", amount="1234.50", currency="EUR", status="processed",
        )  # fmt: skip
        facts.put("collection_plans", plan_key=f"s:p-{who}", source="s", plan_id=f"p-{who}", account_key=f"s:{who}")
    with duckdb.connect(str(facts.publish(workspace, name))) as con:
        con.execute("create schema unified; create schema reports")
        con.execute("create table main.snapshot (run_date date, published_at timestamp)")
        con.execute("insert into main.snapshot values (?, ?)", [NOW.date(), NOW])
        con.execute(
            "create table unified.account_links as select source, account_key, 'alone' as rule, 1.0 as confidence,"
            " 'U-' || account_id as unified_account_id from data_model.accounts"
        )
        con.execute(
            "create table reports.fee_yield as select '=cmd|calc' as type, 'EUR' as currency, 1.0 as charged"
            " union all select '@SUM(A1)', '+A1', 2.0"
        )


def case(connection, key: str, owner: str) -> None:  # type: ignore[no-untyped-def]
    short = key.removeprefix("s:")
    connection.execute(
        insert(statements).values(
            statement_id=f"st-{short}", kind="dunning", status="draft", run_id="r", dunning_date=NOW.date(),
            account_key=key, account_id=short, account_name=f"{short} {EVIL}", bill_group_key=key, unit_key=key,
            due_date=NOW.date() + timedelta(days=7),
            currency="EUR", language="en", template="friendly_reminder", process="standard", level=1,
            level_name=EVIL, channels=["email"], approval="review", attach_invoices=False, do_not_send=False,
            recipients={"to": [f"{EVIL}@example.com"], "trace": [EVIL]}, address={"name": EVIL}, distribution={},
            texts={"subject": EVIL, "opening": EVIL}, hand_edits={}, conflicts={"due_date": EVIL},
            principal_minor=100, credits_minor=0, interest_minor=0, fees_minor=0, please_pay_minor=100, row_version=1,
            hold_reason=EVIL, created_at=NOW, updated_at=NOW, updated_by="t", draft_key=f"k-{short}",
        )
    )  # fmt: skip
    connection.execute(
        insert(statement_details).values(
            statement_id=f"st-{short}", position=1, type="invoice", invoice_number=EVIL, amount_minor=100,
            due_date=NOW.date(),
            days_overdue=5, original_minor=100, open_minor=100, invoice_key=f"s:i-{short}", instalment=1,
            level=1, advances=True,
            calculation={"why": EVIL},
        )
    )  # fmt: skip
    connection.execute(
        insert(sends).values(
            send_key=f"sd-{short}", kind="dunning", channel="email", statement_id=f"st-{short}", account_key=key,
            recipients={"to": [f"{EVIL}@example.com"]}, content_sha256="x", status="unknown", reason=EVIL, due_at=NOW,
            send_now=False, attempts=1, queued_at=NOW, created_by=EVIL,
        )
    )  # fmt: skip
    connection.execute(
        insert(notes).values(
            note_id=f"n-{short}", object_kind="account", object_id=key, body=EVIL, created_at=NOW, created_by="t"
        )
    )
    raise_finding(
        connection, kind="odd", object_kind="account", object_id=key, severity="error", message=f"{owner} {EVIL}",
        at=NOW,
    )  # fmt: skip


def close_a_copy(connection) -> None:  # type: ignore[no-untyped-def]
    """A closed statement of Kim beside the draft: `st-closed`."""
    row = dict(connection.execute(select(statements).where(statements.c.statement_id == "st-kim")).mappings().one())
    row |= {"statement_id": "st-closed", "status": "closed", "number": "D-1", "draft_key": None, "hold_reason": None}
    connection.execute(insert(statements).values(**row))
