"""Invents what the customers bought and when they paid, before any source writes it down."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from dunning_pipeline.demo.book import money
from dunning_pipeline.demo.customers import Customer
from dunning_pipeline.demo.vocabulary import ARTICLES, PER_EURO

VAT_PERCENT = {"DE": 19, "FR": 20, "ES": 21}


@dataclass
class Debt:
    """One invoice with its lines and what was paid on it up to the demo date; amounts in major units."""

    number: str
    customer: Customer
    issued: date
    due: date
    lines: list[tuple[str, int, Decimal, Decimal]]  # article, quantity, unit price, net
    net: Decimal
    tax: Decimal
    payments: list[tuple[date, Decimal]] = field(default_factory=list)
    status: str = "Posted"
    invoice_id: str = ""
    cases: set[str] = field(default_factory=set)  # what a special case has already used it for

    @property
    def total(self) -> Decimal:
        return self.net + self.tax

    @property
    def open_amount(self) -> Decimal:
        return self.total - sum((amount for _, amount in self.payments), Decimal(0))

    def is_overdue(self, today: date, days: int = 1) -> bool:
        return self.status == "Posted" and self.open_amount > 0 and (today - self.due).days >= days


def invent_debts(random: Random, customers: list[Customer], count: int, today: date, pattern: str) -> list[Debt]:
    """`count` invoices spread over the customers, oldest first; `pattern` is a format with {year} and {n}."""
    weights = [random.choice((1, 2, 2, 3, 5)) if not c.is_consumer else 1 for c in customers]
    buyers = customers + random.choices(customers, weights, k=max(0, count - len(customers)))
    bought = sorted(
        ((today - timedelta(days=_age(random)), c) for c in buyers[:count]), key=lambda x: (x[0], x[1].number)
    )
    debts = []
    for n, (issued, customer) in enumerate(bought, start=1):
        debt = _debt(random, customer, issued, pattern.format(year=issued.year, n=n))
        debt.payments = _paid(random, debt, today)
        debts.append(debt)
    return debts


def _age(random: Random) -> int:
    return min(340, int(random.triangular(0, 340, 40)))


def _debt(random: Random, customer: Customer, issued: date, number: str) -> Debt:
    lines = []
    for article, euros in random.sample(ARTICLES, random.choice((1, 1, 2, 2, 3))):
        quantity = random.choice((1, 1, 2, 3, 5, 8, 12)) if not customer.is_consumer else 1
        unit = money(euros * PER_EURO[customer.currency], customer.currency)
        lines.append((article, quantity, unit, unit * quantity))
    net = sum((line[3] for line in lines), Decimal(0))
    rate = VAT_PERCENT["DE"] if customer.land.country == "DE" else 0  # exports carry none
    tax = money(net * rate / 100, customer.currency)
    return Debt(number, customer, issued, issued + timedelta(days=customer.terms_days), lines, net, tax)


def _paid(random: Random, debt: Debt, today: date) -> list[tuple[date, Decimal]]:
    habit = debt.customer.habit
    if habit == "prompt":
        paid = debt.due + timedelta(days=round(random.gauss(-3, 4)))
    elif habit == "slow":
        paid = debt.due + timedelta(days=random.randint(2, 30))
    elif habit == "chronic":
        paid = debt.due + timedelta(days=random.randint(15, 80))
    else:  # pays until, some months ago, nothing comes any more
        silence = today - timedelta(days=50 + debt.customer.number * 7 % 80)
        paid = debt.due + timedelta(days=random.randint(0, 20))
        if paid > silence:
            return []
    paid = max(paid, debt.issued + timedelta(days=1))
    return [(paid, debt.total)] if paid <= today else []
