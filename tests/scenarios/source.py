"""A world whose facts come from a source's extracts: files are written, read and built before each day is decided."""

import csv
from datetime import date
from typing import Any

from dunning_pipeline.data_streams import ingest
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.building import build
from tests.scenarios.world import World, noon

# object → the columns of other objects that name it
NAMED = {
    "Account": {"AccountId", "BillingAccountId"},
    "Invoice": {"InvoiceId", "ReferenceEntityId"},
    "BillGroup": {"BillGroupId__c"},
}
COLUMNS = {
    "Account": "Id Name BillingStreet BillingCity BillingPostalCode BillingCountry",
    "Contact": "Id AccountId LastName Email",
    "BillGroup": "Id AccountId Name",
    "Invoice": "Id InvoiceNumber BillingAccountId BillGroupId__c Status InvoiceDate DueDate CurrencyIsoCode "
    "TotalAmountWithTax",
    "PaymentSchedule": "Id ReferenceEntityId Status UsageType",
    "PaymentScheduleItem": "Id PaymentScheduleId RequestedAmount TargetPaymentProcessingDate",
    "Payment": "Id AccountId Amount CurrencyIsoCode Date Status Type",
    "PaymentLineInvoice": "Id PaymentId InvoiceId Amount AppliedDate Type",
}


class Source(World):
    """Accounts and invoices by the ids that the source gives them now; "I-1" has the number INV-1."""

    def __init__(self, ws: Workspace) -> None:
        super().__init__(ws)
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}

    def account(self, account: str, /, name: str | None = None, **values: Any) -> None:
        self._put("Account", Id=account, Name=name or f"{account} GmbH", BillingStreet="Weg 1", BillingCity="Bonn",
                  BillingPostalCode="53111", BillingCountry="DE", **values)  # fmt: skip
        self._put("Contact", Id=f"C-{account}", AccountId=account, LastName="Doe", Email=f"{account}@example.com")

    def group(self, group: str, account: str) -> None:
        self._put("BillGroup", Id=group, AccountId=account, Name="Machines")

    def bill(
        self, invoice: str, account: str, amount: str, *, due: str = "2025-06-01", dated: str = "2025-05-01",
        group: str = "", number: str | None = None,
    ) -> None:  # fmt: skip
        number = number or "INV" + invoice.removeprefix("I")
        self._put("Invoice", Id=invoice, InvoiceNumber=number, BillingAccountId=account, BillGroupId__c=group,
                  Status="Posted", InvoiceDate=dated, DueDate=due, CurrencyIsoCode="EUR",
                  TotalAmountWithTax=amount)  # fmt: skip

    def split(self, invoice: str, *parts: tuple[str, str]) -> None:
        """Agree on instalments: ("2025-06-01", "250.00"), …"""
        self._put("PaymentSchedule", Id=f"S-{invoice}", ReferenceEntityId=invoice, Status="Active",
                  UsageType="Installment")  # fmt: skip
        for n, (due, amount) in enumerate(parts):
            self._put("PaymentScheduleItem", Id=f"S-{invoice}-{n}", PaymentScheduleId=f"S-{invoice}",
                      RequestedAmount=amount, TargetPaymentProcessingDate=due)  # fmt: skip

    def pay(self, invoice: str, amount: str, *, on: str) -> None:
        account = next(row["BillingAccountId"] for row in self.rows["Invoice"] if row["Id"] == invoice)
        self._put("Payment", Id=f"P-{invoice}", AccountId=account, Amount=amount, CurrencyIsoCode="EUR", Date=on,
                  Status="Processed", Type="Receive")  # fmt: skip
        self._put("PaymentLineInvoice", Id=f"L-{invoice}", PaymentId=f"P-{invoice}", InvoiceId=invoice, Amount=amount,
                  AppliedDate=on, Type="Applied")  # fmt: skip

    def rename(self, kind: str, **names: str) -> None:
        """Give objects other ids, everywhere the source names them; dashes are written as underscores."""
        ids = {old.replace("_", "-"): new for old, new in names.items()}
        for name, rows in self.rows.items():
            for row in rows:
                for column in row:
                    if column in NAMED[kind] or (name, column) == (kind, "Id"):
                        row[column] = ids.get(row[column], row[column])

    def remove(self, kind: str, id_: str) -> dict[str, Any]:
        """Take a row out of the extract."""
        row = next(row for row in self.rows[kind] if row["Id"] == id_)
        self.rows[kind].remove(row)
        return row

    def build(self, on: str) -> None:
        """The day's extract is read and built."""
        folder = self.ws.inbox / "salesforce"
        folder.mkdir(exist_ok=True)
        for name, columns in COLUMNS.items():
            with (folder / f"{name}.csv").open("w", newline="") as out:
                writer = csv.DictWriter(out, columns.split(), lineterminator="\n")
                writer.writeheader()
                writer.writerows(self.rows[name])
        ingest(self.ws, now=noon(on))
        report = build(self.ws, run_date=date.fromisoformat(on), now=noon(on), select="data_model")
        assert report.withheld is None, report.withheld

    def draft(self, on: str, **scope: Any) -> Any:
        self.build(on)
        return super().draft(on, **scope)

    def publish(self) -> Any:
        """`build` has published."""

    def _put(self, kind: str, **values: Any) -> None:
        self.rows[kind].append(values)
