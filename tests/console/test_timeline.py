"""Timelines: of an account, what the ledger knows and what was paid; of a send, what became of it."""

import re
from datetime import date, timedelta

import pytest
from sqlalchemy import select

from dunning_pipeline.delivery.queue import cancel_send
from dunning_pipeline.ledger.schema import sends
from dunning_pipeline.statements.voiding import void_statement
from tests.console.world import NOW, Console, publish


def test_payments_stand_among_what_happened_each_in_its_own_account(console: Console) -> None:
    page = console.get("/accounts/s:kim?language=en").text
    timeline = page.split('<ol class="timeline">')[1].split("</ol>")[0]
    told = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", timeline))
    assert "payment PAY-kim €1,234.50" in told and "2025" in told.split("payment PAY-kim")[0].rsplit("·", 2)[-2]
    assert "PAY-lee" not in page


def test_a_send_tells_when_it_was_held_or_cancelled_by_whom_and_why(console: Console) -> None:
    engine, sd = console.app.state.engine, sends.c
    unsent = {"sd-paid": ("cancelled", "paid"), "sd-held": ("held", "campaign_paused")}
    with engine.begin() as connection:
        row = dict(connection.execute(select(sends).where(sd.send_key == "sd-kim")).mappings().one())
        for key in ("sd-by-hand", "sd-by-void"):
            held = {"send_key": key, "statement_id": "st-closed", "status": "held", "reason": None}
            connection.execute(sends.insert().values(**row | held))
        later = NOW + timedelta(hours=1)
        cancel_send(connection, "sd-by-hand", now=later, actor="maria", reason="they called")
        void_statement(connection, console.workspace, "st-closed", now=later, actor="nora", reason="wrong address")

        for key, (status, reason) in unsent.items():
            values = {"send_key": key, "status": status, "reason": reason, "held_back_at": later}
            connection.execute(sends.insert().values(**row | {"statement_id": None} | values))

    def history(key: str) -> str:
        page = console.get(f"/sends/{key}?language=de").text.split('<ol class="timeline">')[1].split("</ol>")[0]
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))

    assert "03.11.2025 10:00 · Sendung abgebrochen · maria they called" in history("sd-by-hand")
    assert "03.11.2025 10:00 · abgebrochen · nora die Mahnung wurde storniert" in history("sd-by-void")
    assert "03.11.2025 10:00 · abgebrochen bezahlt" in history("sd-paid")
    assert "03.11.2025 10:00 · angehalten Kampagne ruht" in history("sd-held")


def test_what_is_dunned_comes_first_and_what_is_settled_last(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())
    dated = {"invoice_date": date(2025, 9, 1), "total_amount": 100}
    due = {"A": 0, "B": 3, "C": 40, "D": 9}  # days overdue
    invoices = {number: {**dated, "due_date": NOW.date() - timedelta(days=days)} for number, days in due.items()}
    invoices["A"] |= {"settled_amount": 100, "settled_date": NOW.date()}
    invoices["B"] |= {"is_disputed": True}
    publish(console.workspace, name="two", invoices=invoices)
    page = console.get("/accounts/s:kim/why?date=2025-11-03&language=en").text
    assert re.findall(r"<tr><td>(\w+)</td><td>(yes|no)", page) == [("C", "yes"), ("D", "yes"), ("B", "no"), ("A", "no")]
