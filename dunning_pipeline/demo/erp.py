"""Writes the part of the customers that an older ERP keeps too: other spellings, semicolons, cp1252, decimal commas."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from dunning_pipeline.demo.book import Book
from dunning_pipeline.demo.customers import Customer, Person
from dunning_pipeline.demo.debts import Debt
from dunning_pipeline.demo.vocabulary import plain

# file → its columns, in their order
COLUMNS = {
    "customers": ["customer_no", "name", "street", "zip", "city", "country", "tax_id", "phone", "email", "language"],
    "people": ["person_no", "customer_no", "first_name", "last_name", "email", "phone", "role"],
    "invoices": ["invoice_no", "customer_no", "company_code", "date", "due", "currency", "amount", "status"],
    "payments": ["payment_no", "customer_no", "invoice_no", "amount", "currency", "date"],
}


def write_erp(random: Random, book: Book, customers: list[Customer], debts: list[Debt], today: date) -> None:
    """Rows of the four ERP files; every sixth overdue invoice is partly paid."""
    numbers = {customer.number: f"{70000 + n * 7}" for n, customer in enumerate(customers, start=1)}
    for customer in customers:
        _customer(random, book, customer, numbers[customer.number])
    payments = 0
    for place, debt in enumerate(debts):
        customer_no = numbers[debt.customer.number]
        paid = list(debt.payments)
        if not paid and place % 6 == 0 and debt.is_overdue(today):
            paid = [(today - timedelta(days=5), (debt.total / 2).quantize(debt.total))]
        _invoice(book, debt, customer_no, place)
        for day, amount in paid:
            payments += 1
            fields = {"payment_no": f"Z{payments:06d}", "customer_no": customer_no, "invoice_no": debt.number}
            book.append(
                "payments", {**fields, "amount": comma(amount), "currency": debt.customer.currency, "date": dotted(day)}
            )


def _customer(random: Random, book: Book, customer: Customer, number: str) -> None:
    book.append(
        "customers",
        {
            "customer_no": number,
            "name": customer.name_elsewhere.replace("ı", "i"),  # cp1252 has no dotless i
            "street": _short_street(customer.street),
            "zip": customer.postal_code,
            "city": customer.town,
            "country": customer.land.country,
            "tax_id": customer.vat if random.random() < 0.8 else "",
            "phone": customer.phone_local,
            "email": f"rechnung@{customer.domain}" if random.random() < 0.4 else "",
            "language": customer.language,
        },
    )
    for place, person in enumerate(customer.people):
        book.append("people", _person(random, person, number, place))


def _person(random: Random, person: Person, number: str, place: int) -> Mapping[str, str]:
    given = random.choice((person.given, plain(person.given), f"{person.given[0]}.", person.given.upper()))
    email = random.choice((person.email, person.email.upper(), f" {person.email} ", person.email))
    return {
        "person_no": f"{number}-{place + 1}",
        "customer_no": number,
        "first_name": given,
        "last_name": random.choice((person.family, plain(person.family))).replace("ı", "i"),
        "email": email,
        "phone": person.mobile_local or person.phone_local,
        "role": ("Dunning Contact", "Invoice Contact", "", "")[place],
    }


def _invoice(book: Book, debt: Debt, customer_no: str, place: int) -> None:
    book.append(
        "invoices",
        {
            "invoice_no": debt.number,
            "customer_no": customer_no,
            "company_code": "",
            "date": dotted(debt.issued),
            "due": dotted(debt.due),
            "currency": debt.customer.currency,
            "amount": comma(debt.total),
            "status": "cancelled" if place % 97 == 50 else "paid" if debt.payments else "open",
        },
    )


def _short_street(street: str) -> str:
    for long, short in (("straße", "str."), ("Street", "St"), ("Avenue", "Ave"), ("Road", "Rd"), ("avenue", "av.")):
        street = street.replace(long, short)
    return street


def comma(amount: Decimal) -> str:
    """1234.50 → 1.234,50"""
    return f"{amount:,}".replace(",", "|").replace(".", ",").replace("|", ".")


def dotted(day: date) -> str:
    return day.strftime("%d.%m.%Y")
