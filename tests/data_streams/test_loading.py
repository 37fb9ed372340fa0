"""Extracts follow each other: newer rows win, what is gone is closed, and the same extract again changes nothing."""

import gzip
import os
from pathlib import Path

import duckdb
import pytest
import typer
from typer.testing import CliRunner

from dunning_pipeline.cli.streams import ingest
from dunning_pipeline.errors import NotThere
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.ledger.schema import stream_loads
from tests.data_streams.conftest import INVOICE_HEADER, NOW, Inbox, invoice


def amounts(inbox: Inbox) -> dict[str, str]:
    return dict(inbox.rows("select invoice_id, total_amount::varchar from mapped.invoices order by 1"))


def everything(inbox: Inbox) -> list[tuple[object, ...]]:
    return inbox.rows("select * from landing.salesforce__invoice order by Id")


def test_the_same_extract_again_changes_nothing(inbox: Inbox) -> None:
    file = inbox.invoices(invoice("I1"), invoice("I2", amount="bad"))
    first = inbox.ingest()["salesforce.Invoice"]
    before = everything(inbox)
    second = inbox.ingest()["salesforce.Invoice"]
    assert (second.status, second.rows_changed, second.rows_closed) == ("unchanged", 0, 0)
    assert (second.rows_read, second.rows_rejected) == (first.rows_read, first.rows_rejected) == (2, 1)
    os.utime(file, (1, 1))  # the same bytes, delivered anew
    third = inbox.ingest()["salesforce.Invoice"]
    assert (third.status, third.rows_changed, third.rows_closed) == ("loaded", 0, 0)
    assert everything(inbox) == before


def test_a_newer_row_replaces_an_older_one_and_never_the_other_way(inbox: Inbox) -> None:
    inbox.invoices(invoice("I1", amount="10", modified="2025-10-02T10:00:00.000Z"))
    inbox.ingest()
    inbox.invoices(invoice("I1", amount="20", modified="2025-10-02T12:00:00.000+0200"))
    inbox.ingest()
    assert amounts(inbox) == {"I1": "20.0000"}  # 12:00+02 is the same instant: what came last stays
    inbox.invoices(invoice("I1", amount="30", modified="2025-10-01T10:00:00.000Z"))
    assert inbox.ingest()["salesforce.Invoice"].rows_changed == 0
    assert amounts(inbox) == {"I1": "20.0000"}


def test_without_a_time_of_change_the_newest_file_wins(inbox: Inbox) -> None:
    inbox.invoices(invoice("I1", amount="10"), name="Invoice-2025-10-01.csv")
    inbox.invoices(invoice("I1", amount="20"), name="Invoice-2025-10-02.csv")
    inbox.ingest()
    assert amounts(inbox) == {"I1": "20.0000"}


def test_absence_from_a_full_extract_closes_and_reappearance_reopens(inbox: Inbox) -> None:
    inbox.invoices(invoice("I1"), invoice("I2"))
    inbox.ingest()
    inbox.invoices(invoice("I2"))
    assert inbox.ingest()["salesforce.Invoice"].rows_closed == 1
    assert list(amounts(inbox)) == ["I2"]
    inbox.invoices(invoice("I1"), invoice("I2"))
    assert inbox.ingest()["salesforce.Invoice"].rows_changed == 1
    assert list(amounts(inbox)) == ["I1", "I2"]


@pytest.mark.parametrize(("gone", "is_doubtful"), [(2, False), (3, True)])
def test_an_extract_that_takes_many_rows_back_is_doubted(inbox: Inbox, gone: int, is_doubtful: bool) -> None:
    rows = [invoice(f"I{number}") for number in range(103)]
    inbox.invoices(*rows)
    assert inbox.ingest()["salesforce.Invoice"].doubt is None
    inbox.invoices(*rows[gone:])
    command = typer.Typer()
    command.command()(ingest)
    told = CliRunner().invoke(command, ["--workspace", str(inbox.workspace.root)])
    assert told.exit_code == 0
    assert (f"{gone} rows that were there are gone" in told.output) == is_doubtful


def test_is_deleted_closes_even_without_its_values(inbox: Inbox) -> None:
    inbox.invoices(invoice("I1"), invoice("I2"))
    inbox.ingest()
    inbox.drop("salesforce/Invoice.csv", f"{INVOICE_HEADER},IsDeleted\n{invoice('I1')},false\nI2,,,,,,,,true\n")
    report = inbox.ingest()["salesforce.Invoice"]
    assert (report.rows_rejected, report.rows_closed) == (0, 1)
    assert list(amounts(inbox)) == ["I1"]


def test_an_incremental_stream_closes_nothing_by_absence(inbox: Inbox) -> None:
    inbox.drop("fx/rates.csv", "date,base,quote,rate\n2025-10-01,EUR,USD,1.17\n")
    inbox.ingest()
    inbox.drop("fx/rates.csv", "date,base,quote,rate\n2025-10-02,EUR,USD,1.18\n")
    assert inbox.ingest()["fx.rates"].rows_closed == 0
    assert inbox.rows("select fx_key, rate::varchar from mapped.fx_rates order by 1") == [
        ("2025-10-01|EUR|USD", "1.17000000"),
        ("2025-10-02|EUR|USD", "1.18000000"),
    ]


def test_parts_of_one_extract_are_one_extract(inbox: Inbox) -> None:
    inbox.invoices(invoice("I1"), invoice("I2"), name="Invoice_1.csv")
    inbox.invoices(invoice("I3"), name="Invoice_2.csv")
    assert inbox.ingest()["salesforce.Invoice"].rows_loaded == 3
    assert list(amounts(inbox)) == ["I1", "I2", "I3"]


def test_invoice_lines_are_never_taken_for_invoices(inbox: Inbox) -> None:
    inbox.invoices(invoice("I1"))
    inbox.drop("salesforce/InvoiceLine.csv", "Id,InvoiceId,LineAmount\nL1,I1,5\n")
    inbox.drop("salesforce/Invoice.Line.txt.bak", "nothing")
    reports = inbox.ingest()
    assert reports["salesforce.Invoice"].files == ["Invoice.csv"]
    assert reports["salesforce.InvoiceLine"].files == ["InvoiceLine.csv"]


def test_gzip_and_parquet(inbox: Inbox, tmp_path: Path) -> None:
    text = "\n".join([INVOICE_HEADER, invoice("I1", amount="12.34")])
    inbox.drop("salesforce/Invoice.csv.gz", gzip.compress(text.encode()))
    target = inbox.workspace.inbox / "salesforce" / "Account.parquet"
    duckdb.sql("select 'A1' as Id, 'ACME' as Name, true as PreventDunning__c").write_parquet(str(target))
    inbox.ingest()
    assert amounts(inbox) == {"I1": "12.3400"}
    assert inbox.rows("select account_key, prevent_dunning from mapped.accounts") == [("salesforce:A1", True)]


def test_headers_match_in_any_case_and_order_and_by_alias(inbox: Inbox) -> None:
    inbox.drop(
        "salesforce/Invoice.csv",
        "TOTALAMOUNTWITHTAX,duedate,DocumentNumber,invoicedate,STATUS,billingaccountid,ID\n"
        "7,2025-10-02,D-1,2025-10-01,posted,A1,I1\n",
    )
    inbox.drop("salesforce/CollectionPlan.csv", "Id,Name\nP1,Plan\n")
    inbox.drop("salesforce/CollectionPlanItem.csv", "Id,CollectionPlanId,ReferenceRecordId\nX1,P1,I1\n")
    inbox.drop(
        "salesforce/PaymentScheduleItem.csv", "Id,PaymentScheduleId,RequestedAmount,DueDate\nS1,PS1,5,2025-10-09\n"
    )
    inbox.drop("salesforce/PaymentSchedule.csv", "Id,ReferenceEntityId,UsageType\nPS1,I1,Promise To Pay\nPS2,I1,\n")
    inbox.ingest()
    assert inbox.rows("select invoice_number, status, total_amount::varchar from mapped.invoices") == [
        ("D-1", "posted", "7.0000")
    ]
    assert inbox.rows("select invoice_key from mapped.collection_plan_items") == [("salesforce:I1",)]
    assert inbox.rows("select due_date::varchar from mapped.payment_schedule_items") == [("2025-10-09",)]
    assert inbox.rows("select schedule_type from mapped.payment_schedules order by schedule_id") == [
        ("promise",),
        ("instalment",),
    ]


@pytest.mark.parametrize("name", ["Invoice", "InvoiceId", "invoiceId", "ReferenceRecordId"])
def test_a_collection_plan_item_names_its_invoice_in_four_ways(inbox: Inbox, name: str) -> None:
    inbox.drop("salesforce/CollectionPlanItem.csv", f"Id,CollectionPlanId,{name}\nX1,P1,I1\n")
    inbox.ingest()
    assert inbox.rows("select invoice_key from mapped.collection_plan_items") == [("salesforce:I1",)]


def test_an_instant_becomes_the_business_date_of_the_company(inbox: Inbox) -> None:
    inbox.drop(
        "salesforce/PaymentLineInvoice.csv",
        "Id,PaymentId,InvoiceId,Amount,AppliedDate\n"
        "1,P,I,5,2025-07-10T00:00:00.000Z\n2,P,I,5,2025-07-09T22:30:00.000+0000\n3,P,I,5,2025-07-10\n",
    )
    inbox.ingest()
    assert inbox.rows("select distinct applied_date::varchar from mapped.payment_allocations") == [("2025-07-10",)]


def test_countries_become_iso_codes_where_they_can_be_told(inbox: Inbox) -> None:
    written = ["Germany", "Deutschland", "de", "DEU", "USA", "United Kingdom", "Freedonia", ""]
    rows = "\n".join(f"A{n},x,{country}" for n, country in enumerate(written))
    inbox.drop("salesforce/Account.csv", f"Id,Name,BillingCountry\n{rows}\n")
    inbox.ingest()
    found = [row[0] for row in inbox.rows("select country from mapped.accounts order by account_id")]
    assert found == ["DE", "DE", "DE", "DE", "US", "GB", "Freedonia", None]


def test_mapped_views_have_the_data_models_columns_and_types_even_without_data(inbox: Inbox) -> None:
    from dunning_pipeline.data_streams.mapping.data_model import load_data_model

    inbox.ingest()
    model = load_data_model(inbox.workspace.models / "data_model" / "schema.yml")
    for dmo in model.values():
        found = [(row[0], row[1].lower()) for row in inbox.rows(f"describe mapped.{dmo.name}")]
        assert found == [(field.name, field.data_type) for field in dmo.fields]
        assert inbox.rows(f"select count(*) from mapped.{dmo.name}") == [(0,)]


def test_two_sources_meet_in_one_view_with_their_own_keys(inbox: Inbox) -> None:
    inbox.drop("salesforce/Account.csv", "Id,Name\n1,ACME\n")
    inbox.drop("erp/customers.csv", "customer_no;name;tax_id\n1;Acme Gesellschaft;DE123\n", encoding="cp1252")
    inbox.ingest()
    assert inbox.rows("select account_key, source, vat_id from mapped.accounts order by 1") == [
        ("erp:1", "erp", "DE123"),
        ("salesforce:1", "salesforce", None),
    ]


def test_loads_are_written_to_the_ledger_and_failures_are_not_fresh(inbox: Inbox) -> None:
    inbox.invoices(invoice("I1"))
    inbox.drop("salesforce/Payment.csv", "nothing")
    inbox.ingest()
    inbox.ingest()
    with open_ledger(inbox.workspace).begin() as connection:
        rows = connection.execute(stream_loads.select()).all()
    assert [(row.object, row.rows_loaded, row.loaded_at, row.files) for row in rows] == [
        ("Invoice", 1, NOW, ["Invoice.csv"])
    ] * 2


def test_one_object_alone(inbox: Inbox) -> None:
    inbox.invoices(invoice("I1"))
    inbox.drop("salesforce/Account.csv", "Id,Name\n1,ACME\n")
    assert list(inbox.ingest(objects=["account"])) == ["salesforce.Account"]
    with pytest.raises(NotThere, match="no object 'acount'"):
        inbox.ingest(objects=["acount"])
    with pytest.raises(NotThere, match="no source 'sap'"):
        inbox.ingest(sources=["sap"])
