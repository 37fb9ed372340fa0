"""The demo's inbox: the same bytes for the same seed and date, believable in size, and never over somebody's files."""

import csv
import io
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from dunning_pipeline.demo.inbox import generate, write_inbox
from dunning_pipeline.errors import Refused

TODAY = date(2025, 11, 3)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return generate(today=TODAY, seed=7)


def rows(content: bytes, delimiter: str = ",", encoding: str = "utf-8") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(encoding)), delimiter=delimiter))


def test_the_same_seed_and_date_give_the_same_bytes_in_another_process(tmp_path: Path, files: dict[str, bytes]) -> None:
    folder = tmp_path / "inbox"
    subprocess.run([sys.executable, "-m", "dunning_pipeline.demo", str(folder), str(TODAY), "7"], check=True)
    written = {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*.*") if f.name != ".demo"}
    assert written == files
    assert generate(today=TODAY, seed=8) != files
    assert generate(today=date(2025, 11, 4), seed=7) != files


def test_it_has_the_size_and_the_currencies_of_a_small_company(files: dict[str, bytes]) -> None:
    invoices = rows(files["salesforce/Invoice.csv"].replace(b"\0", b""))
    erp = rows(files["erp/invoices.csv"], ";", "cp1252")
    accounts = rows(files["salesforce/Account.csv"]) + rows(files["erp/customers.csv"], ";", "cp1252")
    contacts = rows(files["salesforce/Contact.csv"]) + rows(files["erp/people.csv"], ";", "cp1252")
    assert 290 <= len(accounts) <= 320
    assert 650 <= len(contacts) <= 750
    assert 1990 <= len(invoices) + len(erp) <= 2020
    assert {row["CurrencyIsoCode"] for row in invoices if row["CurrencyIsoCode"]} == {"EUR", "USD", "GBP", "JPY"}


def test_every_reference_leads_somewhere(files: dict[str, bytes]) -> None:
    keys = {
        name: {row["Id"] for row in rows(files[f"salesforce/{name}.csv"].replace(b"\0", b""))}
        for name in ("Account", "Contact", "Invoice", "Payment", "PaymentSchedule", "CreditMemo", "CollectionPlan")
    }
    references = {
        "Contact": {"AccountId": "Account"},
        "PaymentLineInvoice": {"InvoiceId": "Invoice", "PaymentId": "Payment"},
        "PaymentScheduleItem": {"PaymentScheduleId": "PaymentSchedule"},
        "CreditMemoInvApplication": {"CreditMemoId": "CreditMemo", "InvoiceId": "Invoice"},
        "CollectionPlanItem": {"CollectionPlanId": "CollectionPlan", "InvoiceId": "Invoice"},
    }
    for name, columns in references.items():
        for row in rows(files[f"salesforce/{name}.csv"]):
            for column, target in columns.items():
                assert row[column] in keys[target], (name, row)


def test_instalments_add_up_and_no_invoice_is_overpaid(files: dict[str, bytes]) -> None:
    totals = {}
    for row in rows(files["salesforce/Invoice.csv"].replace(b"\0", b"")):
        if not row["InvoiceNumber"].startswith("INV-BAD"):
            totals[row["Id"]] = Decimal(row["TotalAmountWithTax"])
    schedules = {row["Id"]: row for row in rows(files["salesforce/PaymentSchedule.csv"])}
    sums: dict[str, Decimal] = {}
    for item in rows(files["salesforce/PaymentScheduleItem.csv"]):
        sums[item["PaymentScheduleId"]] = sums.get(item["PaymentScheduleId"], Decimal(0)) + Decimal(
            item["RequestedAmount"]
        )
    for schedule_id, total in sums.items():
        assert total == totals[schedules[schedule_id]["ReferenceEntityId"]]
    paid: dict[str, Decimal] = {}
    for line in rows(files["salesforce/PaymentLineInvoice.csv"]):
        sign = -1 if line["Type"] == "Unapplied" else 1
        paid[line["InvoiceId"]] = paid.get(line["InvoiceId"], Decimal(0)) + sign * Decimal(line["Amount"])
    assert all(amount <= totals[invoice] for invoice, amount in paid.items())


def test_some_invoices_are_in_both_systems_under_one_number(files: dict[str, bytes]) -> None:
    crm = {row["InvoiceNumber"] for row in rows(files["salesforce/Invoice.csv"].replace(b"\0", b""))}
    erp = {row["invoice_no"] for row in rows(files["erp/invoices.csv"], ";", "cp1252")}
    assert len(crm & erp) == 2


def test_a_filled_inbox_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "salesforce").mkdir()
    (tmp_path / "salesforce" / "Account.csv").write_text("Id,Name\n001,Mine\n")
    with pytest.raises(Refused, match="did not make"):
        write_inbox(tmp_path, today=TODAY)
    assert (tmp_path / "salesforce" / "Account.csv").read_text() == "Id,Name\n001,Mine\n"


def test_a_demo_made_inbox_is_replaced_for_another_date(tmp_path: Path) -> None:
    write_inbox(tmp_path, today=TODAY)
    first = (tmp_path / "salesforce" / "Invoice.csv").read_bytes()
    write_inbox(tmp_path, today=TODAY)
    assert (tmp_path / "salesforce" / "Invoice.csv").read_bytes() == first
    write_inbox(tmp_path, today=date(2025, 11, 4))
    assert (tmp_path / "salesforce" / "Invoice.csv").read_bytes() != first


def test_the_invoice_pdfs_can_be_read(files: dict[str, bytes]) -> None:
    import pypdf

    name, content = next((n, c) for n, c in files.items() if n.endswith(".pdf"))
    text = pypdf.PdfReader(io.BytesIO(content)).pages[0].extract_text()
    assert name.split("/")[1].removesuffix(".pdf") in text
    assert "Hafenstraße" in text
