"""The reference statement, from CSV files to a voided statement, through the real commands (domain 7.3)."""

from pathlib import Path

import pytest

from dunning_pipeline.settings.workspace import Workspace
from tests.scenarios.commands import Shell

PROCESS = """
process: standard
netting: show
min_interval_days: 14
minimum: {EUR: 20.00}
levels:
  - {level: 1, when: {days: 7}, template: friendly_reminder, approval: automatic}
  - level: 2
    when: {days: 21}
    template: second_reminder
    fee: {EUR: 5.00}
    interest: {law: DE, party: business}
    approval: automatic
  - level: 3
    when: {days: 45}
    template: final_reminder
    fee: {EUR: 10.00}
    interest: {law: DE, party: business}
    approval: automatic
"""

ACCOUNTS = (
    "Id,Name,BillingStreet,BillingPostalCode,BillingCity,BillingCountry,Language__c\n"
    "001,ACME GmbH,Weg 1,53111,Bonn,DE,de\n"
)
CONTACTS = "Id,AccountId,LastName,Email,DunningContactRole__c\n003,001,Muster,pay@acme.example,Dunning Contact\n"
INVOICES = "Id,InvoiceNumber,BillingAccountId,Status,InvoiceDate,DueDate,TotalAmountWithTax,CurrencyIsoCode\n"
INVOICE_A = "A1,A,001,Posted,2025-05-01,2025-05-15,10000.00,EUR\n"
INVOICES_B_C = (
    "B1,B,001,Posted,2025-08-06,2025-08-20,500.00,EUR\nC1,C,001,Posted,2025-09-01,2025-09-15,300.00,EUR\n"
).replace("2025-09-01", "2025-08-25")
PAYMENTS = "Id,AccountId,Amount,Date,EffectiveDate,Status,CurrencyIsoCode\n"
ALLOCATIONS = "Id,PaymentId,InvoiceId,Amount,Type,AppliedDate,EffectiveDate\n"
CREDITS = "Id,DocumentNumber,BillingAccountId,Status,CreditDate,TotalAmountWithTax,CurrencyIsoCode\n"


@pytest.fixture
def shell(workspace: Workspace) -> Shell:
    for file in (workspace.policies / "processes").glob("*.yaml"):
        file.unlink()
    (workspace.policies / "processes" / "standard.yaml").write_text(PROCESS.lstrip())
    for file in (workspace.policies / "campaigns").glob("*.yaml"):
        file.unlink()
    return Shell(workspace)


def put(shell: Shell, **files: str) -> None:
    folder: Path = shell.ws.inbox / "salesforce"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")


def a_day(shell: Shell, day: str) -> None:
    """Ingest, build, run, close and send on one day."""
    shell.now = f"{day}T09:00:00+02:00"
    shell.run("ingest")
    shell.run("build")
    shell.run("run", "--date", day)
    shell.run("statement", "close", "--all", "--no-pdf")
    shell.run("statement", "send", "--all", "--now")
    assert shell.json("send", "--now")["sent"] == 1


@pytest.mark.slow
def test_the_reference_statement(shell: Shell) -> None:
    payment = (
        "P1,001,4000.00,2025-07-10,2025-07-10,Processed,EUR\n",
        "L1,P1,A1,4000.00,Applied,2025-07-10,2025-07-10\n",
    )
    put(
        shell,
        Account=ACCOUNTS,
        Contact=CONTACTS,
        Invoice=INVOICES + INVOICE_A,
        Payment=PAYMENTS + payment[0],
        PaymentLineInvoice=ALLOCATIONS + payment[1],
    )
    a_day(shell, "2025-07-15")
    a_day(shell, "2025-08-01")
    second = shell.json("statement", "list", "--date", "2025-08-01")[0]
    assert (second["level"], second["totals"]["interest"], second["totals"]["fees"]) == (2, "207.31", "5.00")

    put(
        shell,
        Invoice=INVOICES + INVOICE_A + INVOICES_B_C,
        CreditMemo=CREDITS + "CM,CM1,001,Posted,2025-08-25,250.00,EUR\n",
    )
    shell.now = "2025-08-31T09:00:00+02:00"
    shell.run("ingest")
    shell.run("build")
    shell.run("run", "--date", "2025-08-31")
    [draft] = shell.json("statement", "list", "--date", "2025-08-31")
    expected = {
        "status": "draft",
        "dunning_date": "2025-08-31",
        "account_id": "001",
        "account_name": "ACME GmbH",
        "level": 3,
        "currency": "EUR",
        "language": "de",
        "recipients": {"to": ["pay@acme.example"], "cc": [], "bcc": []},
        "totals": {
            "principal": "6500.00",
            "credits": "-250.00",
            "interest": "257.96",
            "fees": "15.00",
            "please_pay": "6522.96",
        },
    }
    assert {name: draft[name] for name in expected} == expected
    lines = draft["details"]
    a = {
        "type": "invoice",
        "invoice_number": "A",
        "invoice_id": "A1",
        "instalment": 1,
        "level": 3,
        "due_date": "2025-05-15",
    }
    b = {
        "type": "invoice",
        "invoice_number": "B",
        "invoice_id": "B1",
        "instalment": 1,
        "level": 1,
        "due_date": "2025-08-20",
    }
    assert lines[0] == a | {"days_overdue": 108, "original_amount": "10000.00", "open_amount": "6000.00"}
    assert lines[1] == b | {"days_overdue": 11, "original_amount": "500.00", "open_amount": "500.00"}
    rest = sorted(lines[2:], key=lambda line: (line["type"], line["amount"]))
    assert rest == [
        {"type": "carried_fee", "level": 2, "amount": "5.00"},
        {"type": "carried_interest", "invoice_number": "A", "instalment": 1, "amount": "207.31"},
        {"type": "credit", "reference": "CM1", "amount": "-250.00"},
        {"type": "fee", "level": 3, "amount": "10.00"},
        {"type": "interest", "invoice_number": "A", "instalment": 1, "amount": "50.65"},
    ]

    shell.run("statement", "close", draft["id"])
    [closed] = shell.json("statement", "list", "--date", "2025-08-31")
    assert closed["status"] == "closed" and closed["number"].startswith("D-2025-") and closed["pdf_sha256"]
    posted = [c for c in shell.json("charge", "list") if c["statement_id"] == draft["id"]]
    assert sorted((c["type"], c["amount"]) for c in posted) == [("fee", "10.00"), ("interest", "50.65")]

    shell.run("run", "--date", "2025-08-31")  # again: nothing
    assert len(shell.json("statement", "list", "--date", "2025-08-31")) == 1
    assert shell.json("statement", "close", draft["id"])["already_closed"] == [draft["id"]]

    # A's principal is paid before sending: voided, its postings reversed, B alone at level 1 with the credit
    shell.run("statement", "send", draft["id"])
    shell.now = "2025-09-01T09:00:00+02:00"
    put(
        shell,
        Payment=PAYMENTS + payment[0] + "P2,001,6000.00,2025-09-01,2025-09-01,Processed,EUR\n",
        PaymentLineInvoice=ALLOCATIONS + payment[1] + "L2,P2,A1,6000.00,Applied,2025-09-01,2025-09-01\n",
    )
    shell.run("ingest")
    shell.run("build")
    assert shell.json("send", "--now")["cancelled"] == 1
    assert shell.json("statement", "show", draft["id"])["status"] == "voided"
    shell.run("run", "--date", "2025-09-01")
    [last] = shell.json("statement", "list", "--date", "2025-09-01")
    assert (last["level"], last["totals"]["please_pay"], last["totals"]["principal"]) == (1, "250.00", "500.00")
    assert all(charge["owed"] == "0.00" for charge in shell.json("charge", "list"))
    assert all(not broken for broken in shell.json("ledger", "verify").values())
