"""Writes the invented debts as the CRM's billing knows them: invoices, lines, payments and their allocations."""

from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from dunning_pipeline.demo.book import Book
from dunning_pipeline.demo.debts import Debt

STALE_BALANCES = 12


def write_debts(random: Random, book: Book, debts: list[Debt]) -> None:
    """Invoice, InvoiceLine, Payment and PaymentLineInvoice rows; sets `invoice_id` on the debts."""
    for debt in debts:
        _invoice(random, book, debt)
        for paid, amount in debt.payments:
            pay(book, debt, paid, amount)


def pay(book: Book, debt: Debt, paid: date, amount: Decimal, *, item: str = "", allocated: bool = True) -> str:
    """A payment with its allocation to the invoice (or to one instalment); returns the Payment's Id."""
    payment = book.add(
        "Payment",
        {
            "PaymentNumber": f"P-{len(book.rows.get('Payment', [])) + 1:06d}",
            "AccountId": debt.customer.account_id,
            "Amount": amount,
            "CurrencyIsoCode": debt.customer.currency,
            "Date": paid,
            "EffectiveDate": paid,
            "Status": "Processed",
            "Type": "Receive",
        },
    )
    if allocated:
        allocation: dict[str, Any] = {"PaymentId": payment, "InvoiceId": debt.invoice_id, "Amount": amount}
        allocation |= {"AppliedDate": paid, "EffectiveDate": paid, "Type": "Applied", "PaymentScheduleItemId": item}
        book.add("PaymentLineInvoice", allocation)
    return payment


def _invoice(random: Random, book: Book, debt: Debt) -> None:
    customer = debt.customer
    people = [p for p in customer.people if p.contact_id]
    debt.invoice_id = book.add(
        "Invoice",
        {
            "InvoiceNumber": debt.number,
            "BillingAccountId": customer.account_id,
            "BillToContactId": people[0].contact_id if people and random.random() < 0.8 else "",
            "BillGroupId__c": random.choice(customer.bill_groups) if customer.bill_groups else "",
            "Status": debt.status,
            "InvoiceDate": debt.issued,
            "DueDate": debt.due,
            "CurrencyIsoCode": customer.currency,
            "TotalChargeAmount": debt.net,
            "TotalTaxAmount": debt.tax,
            "TotalAmountWithTax": debt.total,
            "Balance": debt.total,
            "CustomerReference__c": f"PO-{40_000 + random.randint(0, 9_999)}",
            "Description": debt.lines[0][0].split(",")[0],
            "Disputed__c": False,
            "PreventDunning__c": False,
            "PostponedDueDate__c": "",
            "SystemModstamp": f"{debt.issued + timedelta(days=1)}T02:00:00.000Z",
        },
    )
    for place, (article, quantity, unit, net) in enumerate(debt.lines, start=1):
        line = {"InvoiceId": debt.invoice_id, "LineNumber__c": place, "Description": article, "Quantity": quantity}
        book.add("InvoiceLine", {**line, "UnitPrice": unit, "ChargeAmount": net, "TaxAmount": ""})


def settle_balances(random: Random, book: Book) -> None:
    """Bring the source's own Balance up to date, except on a few invoices: that field is known to miss payments."""
    rows = {row["Id"]: row for row in book.rows["Invoice"]}
    missed = set(random.sample(sorted(rows), STALE_BALANCES))
    for line in book.rows["PaymentLineInvoice"] + book.rows["CreditMemoInvApplication"]:
        row = rows[line["InvoiceId"]]
        if row["Id"] not in missed:
            sign = -1 if line["Type"] == "Unapplied" else 1
            row["Balance"] = str(Decimal(row["Balance"]) - sign * Decimal(line["Amount"]))
