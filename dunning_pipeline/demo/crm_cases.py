"""Works the special cases into the CRM's debts: instalments, promises, part payments, credits, disputes, plans."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from dunning_pipeline.demo.book import Book, money
from dunning_pipeline.demo.crm_debts import pay
from dunning_pipeline.demo.debts import Debt


def write_cases(random: Random, book: Book, debts: list[Debt], today: date) -> None:
    """Each case takes overdue debts that no other case has used, so that every one can be seen by itself."""
    cases = Cases(random, book, debts, today)
    cases.instalments(12)
    cases.promises(kept=6, broken=6, pending=5)
    cases.part_payments(24)
    cases.small_rests(5)
    cases.credits(applied=14, unapplied=9)
    cases.disputes(8)
    cases.invoice_blocks(3)
    cases.postponed(4)
    cases.loose_cash(6)
    cases.returned_payments(3)
    cases.unposted(drafts=12, voided=8)
    cases.collection_plans(18)


class Cases:
    """Hands out overdue debts and changes the written rows."""

    def __init__(self, random: Random, book: Book, debts: list[Debt], today: date) -> None:
        self.random, self.book, self.debts, self.today = random, book, debts, today
        self.invoices = {row["Id"]: row for row in book.rows["Invoice"]}
        overdue = [d for d in debts if d.is_overdue(today)]
        random.shuffle(overdue)
        self._overdue = iter(overdue)

    def _take(self, count: int, *, days: int = 1) -> Iterator[Debt]:
        taken = 0
        while taken < count:
            debt = next(self._overdue, None)
            if debt is None:
                return
            if debt.is_overdue(self.today, days):
                taken += 1
                yield debt

    def _row(self, debt: Debt) -> dict[str, str]:
        return self.invoices[debt.invoice_id]

    def instalments(self, count: int) -> None:
        """Four monthly parts, one or two of them due; on every third the first part is paid."""
        for n, debt in enumerate(self._take(count)):
            schedule = {"ReferenceEntityId": debt.invoice_id, "Status": "Processing", "UsageType": "Installment"}
            schedule_id = self.book.add("PaymentSchedule", {**schedule, "CreatedDate": f"{debt.issued}T09:00:00.000Z"})
            part = money(debt.total / 4, debt.customer.currency)
            first = self.today - timedelta(days=38 if n % 2 else 16)
            for place in range(4):
                amount = part if place < 3 else debt.total - 3 * part
                item = {"PaymentScheduleId": schedule_id, "RequestedAmount": amount, "Status": "Ready For Processing"}
                due = first + timedelta(days=30 * place)
                item_id = self.book.add("PaymentScheduleItem", {**item, "TargetPaymentProcessingDate": due})
                if place == 0 and n % 3 == 0:
                    pay(self.book, debt, due + timedelta(days=2), amount, item=item_id)

    def promises(self, *, kept: int, broken: int, pending: int) -> None:
        for outcome, count, days in (("kept", kept, -5), ("broken", broken, -6), ("pending", pending, 9)):
            for debt in self._take(count, days=8):
                promised = self.today + timedelta(days=days)
                made = self.today - timedelta(days=14)
                schedule = {"ReferenceEntityId": debt.invoice_id, "Status": "Processing", "UsageType": "Promise to Pay"}
                schedule_id = self.book.add("PaymentSchedule", {**schedule, "CreatedDate": f"{made}T11:30:00.000Z"})
                item = {
                    "PaymentScheduleId": schedule_id,
                    "RequestedAmount": debt.total,
                    "Status": "Ready For Processing",
                }
                self.book.add("PaymentScheduleItem", {**item, "TargetPaymentProcessingDate": promised})
                if outcome == "kept":
                    pay(self.book, debt, promised - timedelta(days=1), debt.total)

    def part_payments(self, count: int) -> None:
        for debt in self._take(count):
            share = money(debt.total * self.random.choice((25, 40, 50, 75)) / 100, debt.customer.currency)
            paid = self.today - timedelta(days=self.random.randint(1, 20))
            pay(self.book, debt, max(paid, debt.issued), share)

    def small_rests(self, count: int) -> None:
        """A bank fee was held back: what is left is below the tolerance."""
        for debt in self._take(count):
            rest = money(Decimal("0.09") if debt.customer.currency != "JPY" else 9, debt.customer.currency)
            pay(self.book, debt, self.today - timedelta(days=3), debt.total - rest)

    def credits(self, *, applied: int, unapplied: int) -> None:
        for n, debt in enumerate(self._take(applied + unapplied)):
            amount = money(debt.total * self.random.choice((10, 15, 30)) / 100, debt.customer.currency)
            given = self.today - timedelta(days=self.random.randint(2, 25))
            memo = {
                "CreditMemoNumber": f"CM-{n + 1:05d}",
                "BillingAccountId": debt.customer.account_id,
                "Status": "Posted",
            }
            memo |= {"CurrencyIsoCode": debt.customer.currency, "CreditDate": str(given), "EffectiveDate": str(given)}
            memo |= {"TotalAmountWithTax": str(amount), "Balance": "0" if n < applied else str(amount)}
            memo_id = self.book.add("CreditMemo", memo)
            if n < applied:
                use = {"CreditMemoId": memo_id, "InvoiceId": debt.invoice_id, "Amount": amount, "Type": "Applied"}
                self.book.add("CreditMemoInvApplication", {**use, "EffectiveDate": given, "AppliedDate": given})

    def disputes(self, count: int) -> None:
        for debt in self._take(count):
            self._row(debt)["Disputed__c"] = "true"

    def invoice_blocks(self, count: int) -> None:
        for debt in self._take(count):
            self._row(debt)["PreventDunning__c"] = "true"

    def postponed(self, count: int) -> None:
        for debt in self._take(count):
            self._row(debt)["PostponedDueDate__c"] = str(self.today + timedelta(days=12))

    def loose_cash(self, count: int) -> None:
        """Money came without saying what for."""
        for debt in self._take(count):
            part = money(debt.total / 3, debt.customer.currency)
            pay(self.book, debt, self.today - timedelta(days=2), part, allocated=False)

    def returned_payments(self, count: int) -> None:
        """A direct debit was paid, and taken back by the customer's bank."""
        for debt in self._take(count):
            paid, back = self.today - timedelta(days=12), self.today - timedelta(days=4)
            payment = pay(self.book, debt, paid, debt.total)
            line = {"PaymentId": payment, "InvoiceId": debt.invoice_id, "Amount": debt.total, "AppliedDate": back}
            line |= {"EffectiveDate": str(back), "Type": "Unapplied", "PaymentScheduleItemId": ""}
            self.book.add("PaymentLineInvoice", line)
            self.book.rows["Payment"][-1]["Status"] = "Processed"

    def unposted(self, *, drafts: int, voided: int) -> None:
        for status, count in (("Draft", drafts), ("Voided", voided)):
            for debt in [d for d in self.debts if not d.payments and not d.cases][: count * 9 : 9]:
                debt.cases.add(status)
                self._row(debt)["Status"] = status

    def collection_plans(self, count: int) -> None:
        """Accounts with much overdue are worked by a person along a plan."""
        by_account: dict[str, list[Debt]] = {}
        for debt in self.debts:
            if debt.is_overdue(self.today, 20):
                by_account.setdefault(debt.customer.account_id, []).append(debt)
        chosen = sorted(by_account.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:count]
        for n, (account_id, debts) in enumerate(chosen):
            customer = debts[0].customer
            plan = {
                "AccountId": account_id,
                "Name": f"Plan {customer.name}",
                "CollectionPlanStatus": "In Progress" if n % 5 else "Closed",
                "OverdueRiskIndicator": ("High", "Medium", "Low")[n % 3],
                "DueDate": self.today + timedelta(days=7 + n),
                "CurrentDueAmount": sum((d.open_amount for d in debts), Decimal(0)),
                "CurrencyIsoCode": customer.currency,
                "ContactId": customer.people[0].contact_id if customer.people else "",
                "OwnerId": ("Lena Fischer", "Marc Dupont", "Grace Lee")[n % 3],
                "CreatedDate": f"{self.today - timedelta(days=20)}T10:00:00.000Z",
            }
            plan_id = self.book.add("CollectionPlan", plan)
            for debt in debts:
                item = {"CollectionPlanId": plan_id, "InvoiceId": debt.invoice_id, "Amount": debt.open_amount}
                self.book.add("CollectionPlanItem", item)
