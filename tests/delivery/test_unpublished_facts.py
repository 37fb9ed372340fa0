"""What was read and is not built yet holds every send: a payment between ingest and build must not be reminded."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from dunning_pipeline.daily import daily
from dunning_pipeline.data_streams import ingest
from dunning_pipeline.delivery.reading import read_sends
from dunning_pipeline.delivery.working.outcomes import leave_together, number_of_loads
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.ledger.schema import statements
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.building import build
from tests.campaigns.conftest import NOW as MORNING
from tests.campaigns.conftest import TODAY, built_company, company
from tests.delivery.desk import NOW, Desk

__all__ = ["built_company", "company"]


def pay_alpha(ws: Workspace) -> None:
    folder: Path = ws.inbox / "salesforce"
    (folder / "Payment.csv").write_text("Id,AccountId,Amount,Date\nP1,echo,1.00,2025-01-01\nP2,alpha,250,2025-11-05\n")
    (folder / "PaymentLineInvoice.csv").write_text(
        "Id,PaymentId,InvoiceId,Amount,Type,AppliedDate\nL1,P2,i-alpha,250.00,Applied,2025-11-05\n"
    )


def by_account(ws: Workspace) -> dict[str, tuple[str, str | None]]:
    return {row["account_key"]: (row["status"], row["reason"]) for row in read_sends(ws)}


@pytest.mark.slow
def test_a_payment_that_was_read_and_not_built_holds_then_cancels(company: Workspace) -> None:
    """The daily path itself is not held; what is read after it is, until it is built."""
    report = daily(company, date=TODAY, now=MORNING)
    assert report.queued
    assert {status for status, _ in by_account(company).values()} == {"queued"}
    pay_alpha(company)
    loads = {load.object: load for load in ingest(company, now=MORNING + timedelta(minutes=5))}
    assert loads["Payment"].rows_changed == 1

    counts = deliver(company, now=MORNING + timedelta(minutes=6), send_now=True)
    assert (counts["held"], counts["sent"], counts["cancelled"]) == (len(report.queued), 0, 0)
    assert {reason for _, reason in by_account(company).values()} == {"facts_unpublished"}
    build(company, run_date=TODAY, now=MORNING, select="overdue_items")  # a part of the models tells nothing new
    assert deliver(company, now=MORNING + timedelta(minutes=7), send_now=True)["sent"] == 0

    assert build(company, run_date=TODAY, now=MORNING + timedelta(minutes=8)).withheld is None
    counts = deliver(company, now=MORNING + timedelta(minutes=9), send_now=True)
    assert counts["cancelled"] == 1 and counts["sent"] == len(report.queued) - 1
    assert by_account(company)["salesforce:alpha"] == ("cancelled", "amount_changed")
    with open_ledger(company).connect() as connection:
        of_alpha = select(statements.c.status).where(statements.c.account_key == "salesforce:alpha")
        assert list(connection.scalars(of_alpha)) == ["voided"]


@pytest.mark.slow
def test_looking_at_the_same_files_again_holds_nothing(company: Workspace) -> None:
    report = daily(company, date=TODAY, now=MORNING)
    assert {load.status for load in ingest(company, now=MORNING + timedelta(minutes=5))} == {"unchanged"}
    assert deliver(company, now=MORNING + timedelta(minutes=6), send_now=True)["sent"] == len(report.queued)


@pytest.mark.slow
def test_a_load_that_was_put_in_place_by_a_process_that_died_holds(
    company: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger learns of it from the next ingest, which finds the same files in place."""
    report = daily(company, date=TODAY, now=MORNING)
    pay_alpha(company)
    with monkeypatch.context() as dying:
        dying.setattr("dunning_pipeline.data_streams.ingesting.record_loads", lambda _, loaded, now: loaded and 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ingest(company, now=MORNING, objects=["Payment"])
    assert {load.status for load in ingest(company, now=MORNING, objects=["Payment"])} == {"unchanged"}
    assert deliver(company, now=MORNING, send_now=True)["held"] == len(report.queued)


def test_what_is_read_between_the_gate_and_the_door_stops_at_the_door(desk: Desk) -> None:
    key = desk.message("acme")
    desk.publish()
    with desk.engine.begin() as connection:
        from dunning_pipeline.delivery.working.claims import claim

        rows = claim(connection, worker="me/1", now=NOW, limit=5, send_now=True)
        judged = number_of_loads(connection)
    desk.payments_read(NOW, content="new ones")
    with desk.engine.begin() as connection:
        assert leave_together(connection, [(rows, "outbox", judged)]) == [set()]
        assert leave_together(connection, [(rows, "outbox", judged + 1)]) == [{key}]


def test_a_snapshot_that_does_not_say_what_it_contains_holds(desk: Desk) -> None:
    import duckdb

    desk.publish()
    name = (desk.ws.serving / "current").read_text().strip()
    with duckdb.connect(str(desk.ws.serving / name)) as con:
        con.execute("drop table main.loads")
    key = desk.message("acme")
    assert deliver(desk.ws, now=NOW)["held"] == 1
    assert desk.send(key)["reason"] == "facts_unpublished"
    desk.publish()
    shutil.rmtree(desk.ws.outbox, ignore_errors=True)
    assert deliver(desk.ws, now=NOW)["sent"] == 1


def test_a_damaged_snapshot_holds_everything_and_says_so(desk: Desk) -> None:
    desk.invoice("INV-00001", account="acme")
    desk.publish()
    [key] = desk.queue(desk.statement("acme", lines={"INV-00001": 10000}))
    snapshot = desk.ws.serving / (desk.ws.serving / "current").read_text().strip()
    whole = snapshot.read_bytes()
    snapshot.write_bytes(whole[:5000])

    assert "cannot be read" in deliver(desk.ws, now=NOW)["errors"][0]
    assert (desk.send(key)["status"], desk.send(key)["reason"]) == ("held", "facts_unpublished")

    snapshot.write_bytes(whole)
    assert deliver(desk.ws, now=NOW)["sent"] == 1
