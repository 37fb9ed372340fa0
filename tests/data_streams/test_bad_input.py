"""Each kind of bad input has a clear message or a reject row, and what was good before stays."""

import csv
import gzip
from pathlib import Path
from typing import Any

import pytest

from dunning_pipeline.data_streams.files import staging_sql
from tests.data_streams.conftest import INVOICE_HEADER, Inbox, invoice


@pytest.fixture
def loaded(inbox: Inbox) -> Inbox:
    """An inbox whose first extract, two invoices and an account, is loaded."""
    inbox.drop("salesforce/Account.csv", "Id,Name\nA1,ACME GmbH\n")
    inbox.invoices(invoice("I1"), invoice("I2"))
    assert inbox.ingest()["salesforce.Invoice"].rows_loaded == 2
    return inbox


def keeps_good_rows(inbox: Inbox, *words: str) -> None:
    """The object failed with all of `words` in its message, its rows are as before, the other object is loaded."""
    inbox.drop("salesforce/Account.csv", "Id,Name\nA1,ACME GmbH\nA2,Second\n")
    reports = inbox.ingest()
    report = reports["salesforce.Invoice"]
    assert report.status == "failed"
    for word in words:
        assert word in (report.error or ""), report.error
    assert inbox.rows("select invoice_id from mapped.invoices order by 1") == [("I1",), ("I2",)]
    assert reports["salesforce.Account"].rows_changed == 1


def test_a_file_that_cannot_be_unpacked(loaded: Inbox) -> None:
    (loaded.workspace.inbox / "salesforce" / "Invoice.csv").unlink()
    loaded.drop("salesforce/Invoice.csv.gz", b"\x1f\x8b this is no gzip")
    keeps_good_rows(loaded, "Invoice.csv.gz", "cannot be read")


def test_a_gzip_cut_in_half(loaded: Inbox) -> None:
    (loaded.workspace.inbox / "salesforce" / "Invoice.csv").unlink()
    whole = gzip.compress("\n".join([INVOICE_HEADER, *(invoice(f"I{n}") for n in range(5000))]).encode())
    loaded.drop("salesforce/Invoice.csv.gz", whole[: len(whole) // 2])
    keeps_good_rows(loaded, "cannot be read")


def test_a_parquet_file_that_is_none(loaded: Inbox) -> None:
    (loaded.workspace.inbox / "salesforce" / "Invoice.csv").unlink()
    loaded.drop("salesforce/Invoice.parquet", b"PAR1 no")
    keeps_good_rows(loaded, "Invoice.parquet", "cannot be read")


@pytest.mark.parametrize("number", ["N-31", "N\r\n31", "N\r31"])
@pytest.mark.parametrize("odd", ["first", "last", "every second"])
def test_lines_that_end_in_different_ways_are_read_and_keep_their_numbers(inbox: Inbox, odd: str, number: str) -> None:
    rows = [INVOICE_HEADER, *(invoice(f"I{n}") for n in range(2, 40))]
    rows[20] = invoice("I21", amount="much")
    rows[30] = f'"I31","{number}",A1,Posted,2025-09-01,2025-10-01,1,'
    chosen = {"first": [0], "last": [len(rows) - 1], "every second": range(0, len(rows), 2)}[odd]
    content = "".join(row + ("\r\n" if place in chosen else "\n") for place, row in enumerate(rows)).encode()
    inbox.drop("salesforce/Invoice.csv.gz", gzip.compress(content))
    report = inbox.ingest()["salesforce.Invoice"]
    assert (report.rows_read, report.rows_loaded, report.rows_rejected) == (38, 37, 1)
    assert [row[:3] for row in inbox.rejects()] == [(21, "TotalAmountWithTax", "much")]
    assert inbox.rows("select invoice_number from mapped.invoices where invoice_id = 'I31'") == [(number,)]


def test_a_carriage_return_alone_is_refused_with_its_line(loaded: Inbox) -> None:
    quoted = '"I3","N\r3",A1,Posted,2025-09-01,2025-10-01,1,'  # in quotes it is a part of the value
    rows = [INVOICE_HEADER, invoice("I1"), quoted, invoice("I4").replace("N-I4", "N\r4"), invoice("I5")]
    loaded.drop("salesforce/Invoice.csv", "\n".join(rows) + "\n")
    keeps_good_rows(loaded, "Invoice.csv:4: a carriage return without a line feed", "one kind of line end")


def test_a_quote_that_nothing_closes_between_different_line_ends(loaded: Inbox) -> None:
    rows = [INVOICE_HEADER + "\r", invoice("I1") + "\r", '"I3,N-3,A1', invoice("I5") + "\r", invoice("I6")]
    loaded.drop("salesforce/Invoice.csv", "\n".join(rows) + "\n")
    keeps_good_rows(loaded, "Invoice.csv")


def test_the_wrong_delimiter(loaded: Inbox) -> None:
    loaded.drop(
        "salesforce/Invoice.csv", INVOICE_HEADER.replace(",", ";") + "\nI3;N-3;A1;Posted;2025-09-01;2025-10-01;1;\n"
    )
    keeps_good_rows(loaded, "delimited by ';'", "declared is ','", "set `delimiter: ';'`")


def test_a_declared_encoding_that_is_not_the_files(inbox: Inbox) -> None:
    inbox.drop("erp/customers.csv", "customer_no;name\n1;Müller\n", encoding="utf-8")
    report = inbox.ingest()["erp.customers"]
    assert report.status == "failed"
    assert "declared as cp1252, but its bytes are UTF-8" in (report.error or "")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_encodings_are_told_apart(inbox: Inbox, encoding: str) -> None:
    inbox.drop(
        "salesforce/Account.csv", "Id,Name,BillingCity\nA1,Müller & Söhne,Köln\nA2,Straße €,Wien\n", encoding=encoding
    )
    assert inbox.ingest()["salesforce.Account"].rows_loaded == 2
    assert inbox.rows("select name, city from mapped.accounts order by 1") == [
        ("Müller & Söhne", "Köln"),
        ("Straße €", "Wien"),
    ]


def test_cp1252_that_shows_itself_after_a_megabyte_of_ascii(inbox: Inbox) -> None:
    plain = "".join(f"A{n},Company number {n}\n" for n in range(60_000))
    inbox.drop("salesforce/Account.csv", b"Id,Name\n" + plain.encode() + "Z,Müller\n".encode("cp1252"))
    assert inbox.ingest()["salesforce.Account"].rows_loaded == 60_001
    assert inbox.rows("select name from mapped.accounts where account_id = 'Z'") == [("Müller",)]


def test_a_missing_key_column(loaded: Inbox) -> None:
    loaded.drop("salesforce/Invoice.csv", "InvoiceNumber,Status\nX,Posted\n")
    keeps_good_rows(
        loaded, "Invoice.csv:1", "column Id, InvoiceNumber or DocumentNumber"[:9], "missing from the header"
    )


def test_duplicate_keys_keep_the_newest(inbox: Inbox) -> None:
    inbox.invoices(
        invoice("I1", amount="1.00", modified="2025-10-02T00:00:00.000Z"),
        invoice("I1", amount="2.00", modified="2025-10-03T00:00:00.000Z"),
        invoice("I1", amount="3.00", modified="2025-10-01T00:00:00.000Z"),
        invoice("I2"),
    )
    report = inbox.ingest()["salesforce.Invoice"]
    assert (report.rows_read, report.rows_loaded, report.rows_rejected) == (4, 2, 2)
    assert inbox.rows("select total_amount from mapped.invoices where invoice_id = 'I1'")[0][0] == 2
    assert inbox.rejects() == [
        (2, "Id", "I1", "duplicate key: another row of the file is newer"),
        (4, "Id", "I1", "duplicate key: another row of the file is newer"),
    ]


def test_ambiguous_dates_without_a_format(loaded: Inbox) -> None:
    loaded.invoices(invoice("I1", due="03/04/2026"), invoice("I2", due="04/05/2026"))
    keeps_good_rows(loaded, "DueDate", "day/month or month/day", "03/04/2026", "format: '%d/%m/%Y'")


def test_one_odd_date_among_good_ones_is_a_reject(inbox: Inbox) -> None:
    inbox.invoices(invoice("I1"), invoice("I2"), invoice("I3", due="03/04/2026"), invoice("I4", due="0025-01-01"))
    assert inbox.ingest()["salesforce.Invoice"].rows_loaded == 2
    assert [(line, value) for line, _, value, _ in inbox.rejects()] == [(4, "03/04/2026"), (5, "0025-01-01")]


@pytest.mark.parametrize(
    "amount", ['"1,000.50"', "$5", "5 EUR", "1_000", "NaN", "(5)", "1O4.50", "99999999999999999999"]
)
def test_amounts_in_other_notations_are_rejected_not_guessed(inbox: Inbox, amount: str) -> None:
    inbox.invoices(invoice("I1"), invoice("I2", amount=amount))
    report = inbox.ingest()["salesforce.Invoice"]
    assert (report.rows_loaded, report.rows_rejected) == (1, 1)
    assert inbox.rejects() == [
        (3, "TotalAmountWithTax", amount.strip('"'), "not an amount with decimal point as declared")
    ]


def test_a_rejected_value_does_not_run_where_its_file_is_opened(inbox: Inbox) -> None:
    inbox.invoices(invoice("I1"), invoice("I2", amount="=1+cmd"), invoice("I3", amount="-5-"))
    report = inbox.ingest()["salesforce.Invoice"]
    assert [row["value"] for row in csv.DictReader(Path(report.reject_file).read_text().splitlines())] == [
        "'=1+cmd",
        "-5-",
    ]


def test_declared_separators_and_currency_signs_are_read(inbox: Inbox) -> None:
    declaration = inbox.workspace.policies / "streams" / "erp.yaml"
    text = declaration.read_text(encoding="utf-8")
    declaration.write_text(text.replace('thousands: "."', 'thousands: ".", currency_signs: true'), encoding="utf-8")
    header = "invoice_no;customer_no;company_code;date;due;currency;amount;status\n"
    amounts = ["1.234,50", "€ 1.234,50", "12,5 EUR", "-7", "1.23.4,00", "1234.50", "1.234"]
    rows = [f"R{n};1;;01.02.2025;28.02.2025;EUR;{amount};open" for n, amount in enumerate(amounts)]
    inbox.drop("erp/invoices.csv", header + "\n".join(rows) + "\n", encoding="cp1252")
    inbox.ingest()
    read = inbox.rows("select invoice_id, total_amount::varchar from mapped.invoices order by 1")
    assert read == [("R0", "1234.5000"), ("R1", "1234.5000"), ("R2", "12.5000"), ("R3", "-7.0000"), ("R6", "1234.0000")]
    assert [value for _, _, value, _ in inbox.rejects()] == ["1.23.4,00", "1234.50"]


def test_fewer_bytes_than_the_done_marker_declares(loaded: Inbox) -> None:
    file = loaded.invoices(invoice("I1"))
    loaded.drop("salesforce/Invoice.csv.done", f'{{"size": {file.stat().st_size + 10}}}')
    keeps_good_rows(loaded, "half-written", ".done marker declares")


def test_fewer_rows_than_the_done_marker_declares(loaded: Inbox) -> None:
    loaded.invoices(invoice("I1"))
    loaded.drop("salesforce/Invoice.done", "rows=2\n")
    keeps_good_rows(loaded, "half-written: 1 rows", "declares 2")


def test_a_done_marker_that_agrees(inbox: Inbox) -> None:
    file = inbox.invoices(invoice("I1"), invoice("I2", amount="x"))
    inbox.drop("salesforce/Invoice.csv.done", f"size: {file.stat().st_size}\nrows: 2\n")
    assert inbox.ingest()["salesforce.Invoice"].status == "loaded"


@pytest.mark.parametrize("ending", ["I2,N-2,A1,Pos", 'I2,"N-2,A1,Posted,2025-09-01'])
def test_a_file_that_ends_in_the_middle_of_a_row(loaded: Inbox, ending: str) -> None:
    loaded.drop("salesforce/Invoice.csv", f"{INVOICE_HEADER}\n{invoice('I1')}\n{ending}")
    keeps_good_rows(loaded, "half-written", "in the middle of this row", "Invoice.csv:3")


@pytest.mark.parametrize("number", ["N-1", '"N\n1"'])
def test_rows_that_the_reader_loses_are_missed(loaded: Inbox, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    """With buffers of an odd size DuckDB 2.0 loses rows without a word; ours are not, but who knows of the next one."""
    reader_sql = staging_sql.reader_sql

    def lossy(*args: Any) -> str:
        return reader_sql(*args, line_bytes=3000).replace("max_line_size", "buffer_size = 9009, max_line_size")

    monkeypatch.setattr(staging_sql, "reader_sql", lossy)
    loaded.invoices(*(invoice(f"I{n:05}", amount=str(n)) for n in range(3000)), invoice("I9").replace("N-I9", number))
    keeps_good_rows(loaded, "two readings of it found", "3001 rows")


def test_schema_drift_is_reported_and_unknown_columns_are_kept(loaded: Inbox) -> None:
    loaded.drop("salesforce/Invoice.csv", f"{INVOICE_HEADER},Region__c\n{invoice('I1')},North\n{invoice('I2')},South\n")
    report = loaded.ingest()["salesforce.Invoice"]
    assert report.unknown_columns == ["Region__c"]
    assert "CurrencyIsoCode" in report.missing_columns
    assert loaded.rows("select Id, Region__c from landing.salesforce__invoice order by 1") == [
        ("I1", "North"),
        ("I2", "South"),
    ]


def test_a_field_of_200_000_characters_arrives_whole(inbox: Inbox) -> None:
    inbox.drop("salesforce/Account.csv", f'Id,Name,BillingStreet\nA1,ACME,"{"x" * 199_999}\n"\nA2,B,short\n')
    assert inbox.ingest()["salesforce.Account"].rows_loaded == 2
    assert inbox.rows("select length(street) from mapped.accounts order by account_id") == [(200_000,), (5,)]


def test_a_nul_byte_is_a_reject(inbox: Inbox) -> None:
    inbox.drop("salesforce/Account.csv", b"Id,Name\nA1,AC\x00ME\nA2,Fine\n")
    report = inbox.ingest()["salesforce.Account"]
    assert (report.rows_loaded, report.rows_rejected) == (1, 1)
    line, column, _, reason = inbox.rejects()[0]
    assert (line, column, reason) == (2, "Name", "contains a NUL byte")


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_file(loaded: Inbox, content: str) -> None:
    loaded.drop("salesforce/Invoice.csv", content)
    keeps_good_rows(loaded, "the file is empty")


def test_no_rows_would_close_everything_and_is_refused(loaded: Inbox) -> None:
    loaded.drop("salesforce/Invoice.csv", INVOICE_HEADER + "\n")
    keeps_good_rows(loaded, "no usable row", "would close all 2", "allow_empty")


def test_no_rows_at_first_is_an_empty_table(inbox: Inbox) -> None:
    inbox.drop("salesforce/Invoice.csv", INVOICE_HEADER + "\n")
    assert inbox.ingest()["salesforce.Invoice"].rows_read == 0
    assert inbox.rows("select count(*) from mapped.invoices") == [(0,)]


def test_rows_of_the_wrong_width_are_rejects_with_their_line(inbox: Inbox) -> None:
    inbox.drop("salesforce/Account.csv", 'Id,Name\nA1,"two\nlines"\nA2\nA3,x,y\nA4,fine\n,nameless\nA6,\n')
    report = inbox.ingest()["salesforce.Account"]
    assert (report.rows_read, report.rows_loaded, report.rows_rejected) == (6, 2, 4)
    assert inbox.rejects() == [
        (4, "Name", "A2", "the row has too few columns"),
        (5, None, "A3,x,y", "the row has too many columns"),
        (7, "Id", "", "key column is empty"),
        (8, "Name", "", "required, but empty"),
    ]
    text = (inbox.workspace.rejects / "salesforce__account.csv").read_text(encoding="utf-8")
    assert text.splitlines()[:2] == [
        "file,line,column,value,reason",
        "Account.csv,4,Name,A2,the row has too few columns",
    ]


def test_a_row_of_the_wrong_width_in_a_file_from_windows(inbox: Inbox) -> None:
    inbox.drop("salesforce/Account.csv", "Id,Name\r\nA1,x\r\nA2\r\nA3,x,y\r\nA4,fine\r\n")
    report = inbox.ingest()["salesforce.Account"]
    assert (report.rows_read, report.rows_loaded, report.rows_rejected) == (4, 2, 2)
    assert [(line, value) for line, _, value, _ in inbox.rejects()] == [(3, "A2"), (4, "A3,x,y")]


def test_a_header_that_names_a_column_twice(loaded: Inbox) -> None:
    loaded.drop("salesforce/Invoice.csv", f"{INVOICE_HEADER},duedate\n{invoice('I1')},2025-01-01\n")
    keeps_good_rows(loaded, "Invoice.csv:1:9", "names a column twice")


def test_a_rejected_row_does_not_close_its_older_version(loaded: Inbox) -> None:
    loaded.invoices(invoice("I1"), invoice("I2", amount="oops"))
    report = loaded.ingest()["salesforce.Invoice"]
    assert (report.rows_rejected, report.rows_closed) == (1, 0)
    assert loaded.rows("select invoice_id from mapped.invoices order by 1") == [("I1",), ("I2",)]
