"""A small company, read and built once; every test gets its own copy of the workspace."""

import csv
import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dunning_pipeline.data_streams import ingest
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.building import build
from tests.conftest import copy_shipped

TODAY = date(2025, 11, 5)  # a Wednesday
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2025, 11, 5, 9, 0, tzinfo=BERLIN)
# account → days overdue of its one invoice; "quiet" owes nothing yet
OVERDUE = {"alpha": 10, "bravo": 12, "carol": 14, "delta": 20, "echo": 45, "quiet": -5}


@pytest.fixture(scope="session")
def built_company(made_once: Callable[[Callable[[Path], None]], Path]) -> Path:
    return made_once(_build_company)


def _build_company(root: Path) -> None:
    copy_shipped(root)
    inbox = root / "inbox" / "salesforce"
    inbox.mkdir(parents=True)
    _write(inbox / "Account.csv", [_account(name) for name in OVERDUE])
    _write(inbox / "Contact.csv", [_contact(name) for name in OVERDUE])
    _write(inbox / "Invoice.csv", [_invoice(name, days) for name, days in OVERDUE.items()])
    _write(inbox / "Payment.csv", [{"Id": "P1", "AccountId": "echo", "Amount": "1.00", "Date": "2025-01-01"}])
    _write(
        inbox / "CollectionPlan.csv",
        [
            {
                "Id": "PLAN1",
                "AccountId": "echo",
                "Name": "Plan",
                "CollectionPlanStatus": "In Progress",
                "ContactId": "c-echo",
            }
        ],
    )
    ws = Workspace(root)
    ingest(ws, now=NOW)
    report = build(ws, run_date=TODAY, now=NOW)
    assert report.withheld is None, report.withheld


@pytest.fixture
def company(built_company: Path, tmp_path: Path) -> Workspace:
    root = tmp_path / "company"
    shutil.copytree(built_company, root)
    return Workspace(root)


def _account(name: str) -> dict[str, object]:
    street = {"BillingStreet": "Markt 1", "BillingCity": "Bremen", "BillingPostalCode": "28195", "BillingCountry": "DE"}
    return {"Id": name, "Name": f"{name.title()} GmbH", "CurrencyIsoCode": "EUR", "Language__c": "en", **street}


def _contact(name: str) -> dict[str, object]:
    return {"Id": f"c-{name}", "AccountId": name, "LastName": name.title(), "Email": f"ap.{name}@{name}.example"}


def _invoice(name: str, days: int) -> dict[str, object]:
    due = TODAY - timedelta(days=days)
    return {
        "Id": f"i-{name}",
        "InvoiceNumber": f"INV-{name}",
        "BillingAccountId": name,
        "Status": "Posted",
        "InvoiceDate": due - timedelta(days=30),
        "DueDate": due,
        "CurrencyIsoCode": "EUR",
        "TotalAmountWithTax": "250.00",
    }


def _write(file: Path, rows: list[dict[str, object]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
