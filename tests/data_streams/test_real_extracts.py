"""The real extracts load whole, and what arrives equals sums taken without the product."""

import csv
import json
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from tests.data_streams.conftest import Inbox


def read(file: Path, encoding: str = "utf-8-sig") -> list[dict[str, str]]:
    with file.open(encoding=encoding, newline="") as stream:
        return list(csv.DictReader(stream))


def total(rows: list[dict[str, str]], column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in rows), Decimal(0))


def drop_all(inbox: Inbox, folder: Path, source: str) -> None:
    target = inbox.workspace.inbox / source
    target.mkdir(parents=True)
    for file in folder.glob("*.csv"):
        shutil.copyfile(file, target / file.name)


def loads_whole(inbox: Inbox, source: str, files: dict[str, int]) -> None:
    """Every file is read, nothing is rejected, and loading it again changes nothing."""
    reports = inbox.ingest(sources=[source])
    assert {report.files[0]: report.rows_loaded for report in reports.values()} == files
    assert [report.rows_rejected for report in reports.values()] == [0] * len(files)
    assert {report.error for report in reports.values()} == {None}
    again = inbox.ingest(sources=[source])
    assert {report.status for report in again.values()} == {"unchanged"}


def test_highradius(inbox: Inbox, shared_data: Path) -> None:
    folder = shared_data / "receivables" / "highradius"
    rows = read(folder / "open_invoices.csv")
    drop_all(inbox, folder, "highradius")
    loads_whole(inbox, "highradius", {"open_invoices.csv": len(rows)})
    expected = {
        (currency, sum(Decimal(row["total_open_amount"]) for row in rows if row["invoice_currency"] == currency))
        for currency in ("USD", "CAD")
    }
    found = inbox.rows("select currency, sum(total_amount) from mapped.invoices where status = 'posted' group by 1")
    assert set(found) == expected
    assert inbox.rows("select count(*), count(distinct account_key) from mapped.accounts") == [(664, 664)]
    orphans = "select count(*) from mapped.invoices where account_key not in (select account_key from mapped.accounts)"
    assert inbox.rows(orphans) == [(0,)]
    one = inbox.rows(
        "select invoice_key, invoice_id, invoice_number from mapped.invoices where invoice_id = '1930571429'"
    )
    assert one == [("highradius:1930571429", "1930571429", "1930571429")]


def test_ibm_is_open_from_its_date_until_it_was_settled(inbox: Inbox, shared_data: Path) -> None:
    folder = shared_data / "receivables" / "ibm_watson"
    rows = read(folder / "invoices.csv")
    drop_all(inbox, folder, "ibm")
    loads_whole(inbox, "ibm", {"invoices.csv": len(rows)})
    assert inbox.rows("select sum(total_amount), sum(settled_amount) from mapped.invoices") == [
        (total(rows, "InvoiceAmount"), total(rows, "InvoiceAmount"))
    ]

    def day(text: str) -> tuple[int, int, int]:
        month, day, year = text.split("/")
        return int(year), int(month), int(day)

    as_of = (2013, 3, 31)
    still_open = [row for row in rows if day(row["InvoiceDate"]) <= as_of < day(row["SettledDate"])]
    found = inbox.rows(
        "select count(*), sum(total_amount) from mapped.invoices "
        "where invoice_date <= date '2013-03-31' and settled_date > date '2013-03-31'"
    )
    assert found == [(len(still_open), total(still_open, "InvoiceAmount"))]
    assert inbox.rows("select count(*) from mapped.invoices where invoice_number like '00%'")[0][0] > 0
    assert inbox.rows("select count(*) from mapped.accounts") == [(100,)]


def test_xero_receivables_without_the_bills(inbox: Inbox, shared_data: Path) -> None:
    folder = shared_data / "receivables" / "xero"
    invoices = read(folder / "xero_invoice_data.csv")
    drop_all(inbox, folder, "xero")
    loads_whole(inbox, "xero", {file.name: len(read(file)) for file in folder.glob("*.csv")})
    receivable = [row for row in invoices if row["type"] == "ACCREC"]
    posted = [row for row in receivable if row["status"] in ("PAID", "AUTHORISED")]
    found = inbox.rows(
        "select count(*), sum(total_amount), sum(total_amount - coalesce(settled_amount, 0)) "
        "from mapped.invoices where status = 'posted'"
    )
    assert found == [(len(posted), total(posted, "total"), total(posted, "amount_due"))]
    ids = {row["invoice_id"] for row in receivable}
    lines = [row for row in read(folder / "xero_invoice_line_item_data.csv") if row["invoice_id"] in ids]
    assert inbox.rows("select count(*), sum(tax_amount) from mapped.invoice_lines") == [
        (len(lines), total(lines, "tax_amount"))
    ]


def test_quickbooks_with_payments_credits_lines_and_addresses(inbox: Inbox, shared_data: Path) -> None:
    folder = shared_data / "receivables" / "quickbooks"
    drop_all(inbox, folder, "quickbooks")
    loads_whole(inbox, "quickbooks", {file.name: len(read(file)) for file in folder.glob("*.csv")})
    invoices = [row for row in read(folder / "invoice_data.csv") if row["_fivetran_deleted"] == "FALSE"]
    assert inbox.rows("select count(*), sum(total_amount) from mapped.invoices") == [
        (len(invoices), total(invoices, "total_amount"))
    ]
    payments = read(folder / "payment_data.csv")
    assert inbox.rows("select count(*), sum(amount) from mapped.payments") == [
        (len(payments), total(payments, "total_amount"))
    ]
    applied = [row for row in read(folder / "payment_line_data.csv") if row["invoice_id"]]
    assert inbox.rows("select count(*), sum(amount) from mapped.payment_allocations") == [
        (len(applied), total(applied, "amount"))
    ]
    memos = read(folder / "credit_memo_data.csv")
    assert inbox.rows("select count(*), sum(total_amount) from mapped.credit_memos") == [
        (len(memos), total(memos, "total_amount"))
    ]
    lines = [
        row
        for row in read(folder / "invoice_line_data.csv")
        if row["detail_type"] not in ("SubTotalLineDetail", "DescriptionOnly")
    ]
    assert inbox.rows("select count(*), sum(amount) from mapped.invoice_lines") == [
        (len(lines), sum(Decimal(row["amount"]).quantize(Decimal("0.0001")) for row in lines))
    ]


def test_data_loader_accounts_in_cp1252(inbox: Inbox, shared_data: Path) -> None:
    file = shared_data / "crm" / "dataloader_accounts_cp1252.csv"
    rows = read(file, "cp1252")
    inbox.drop(f"dataloader/{file.name}", file.read_bytes())
    loads_whole(inbox, "dataloader", {file.name: len(rows)})
    kept = [row for row in rows if row["ISDELETED"] == "false"]
    assert inbox.rows("select account_id, name from mapped.accounts order by 1") == sorted(
        (row["ID"], row["NAME"]) for row in kept
    )


def test_record_trees(inbox: Inbox, shared_data: Path) -> None:
    target = inbox.workspace.inbox / "sfdx"
    shutil.copytree(shared_data / "crm" / "junction", target)
    loads_whole(inbox, "sfdx", {"Account.json": 5, "Contact.json": 4, "AccountContactRelation.json": 3})
    orphans = (
        "select count(*) from mapped.account_contact_relations where account_key not in "
        "(select account_key from mapped.accounts) or contact_key not in (select contact_key from mapped.contacts)"
    )
    assert inbox.rows(orphans) == [(0,)]


def test_coral_contacts(inbox: Inbox, shared_data: Path) -> None:
    file = shared_data / "crm" / "coral_contacts.json"
    records = json.loads(file.read_text(encoding="utf-8"))["records"]
    inbox.drop("sfdx/Contact.json", file.read_bytes())
    loads_whole(inbox, "sfdx", {"Contact.json": len(records)})
    found = inbox.rows("select email, birth_date::varchar, country from mapped.contacts order by 1")
    assert [row[:2] for row in found] == sorted((record["Email"], record["Birthdate"]) for record in records)
    assert {row[2] for row in found} <= {"US", "GB", "CA", "DE", "FR", "AU"}


@pytest.mark.parametrize(
    "name", ["comma.csv", "comma_wrapped_values.csv", "csvtext_BOM_UTF8.csv", "csvtext_BOM_UTF16LE.csv"]
)
def test_dialects_of_bulk_tools(inbox: Inbox, shared_data: Path, name: str) -> None:
    file = shared_data / "contracts" / "salesforce_bulk" / "csv" / name
    header = "NAME" if name.startswith("comma") else "column1"
    declaration = (
        f"source: bulk\nobjects:\n  rows:\n    file: rows\n    key: [{header}]\n    columns: {{{header}: text}}\n"
    )
    (inbox.workspace.policies / "streams" / "bulk.yaml").write_text(declaration, encoding="utf-8")
    inbox.drop("bulk/rows.csv", file.read_bytes())
    report = inbox.ingest(sources=["bulk"])["bulk.rows"]
    assert report.error is None
    assert report.rows_rejected == 0
    assert report.rows_loaded >= 2
