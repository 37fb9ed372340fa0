"""Generates the demo's inbox: the same seed and date give the same bytes, in files as real exports have them."""

import csv
import io
import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from random import Random

from dunning_pipeline.demo.book import Book
from dunning_pipeline.demo.crm_cases import write_cases
from dunning_pipeline.demo.crm_debts import settle_balances, write_debts
from dunning_pipeline.demo.crm_parties import write_parties
from dunning_pipeline.demo.customers import Customer, invent_customers
from dunning_pipeline.demo.debts import Debt, invent_debts
from dunning_pipeline.demo.erp import COLUMNS, write_erp
from dunning_pipeline.demo.mistakes import spoil_crm, spoil_erp
from dunning_pipeline.demo.pdf import one_page
from dunning_pipeline.demo.vocabulary import PER_EURO
from dunning_pipeline.errors import Refused

MARKER = ".demo"
CRM_CUSTOMERS, SHARED_CUSTOMERS, ERP_ONLY = 228, 62, 10
CRM_INVOICES, ERP_INVOICES = 1600, 400


def write_inbox(inbox: Path, *, today: date, seed: int = 7) -> None:
    """Fill an empty or demo-made `inbox`; a demo-made one is replaced unless it is of the same date and seed.

    Raises Refused where the inbox holds files that the demo did not make.
    """
    made = {"date": str(today), "seed": seed, "version": 1}
    marker = inbox / MARKER
    if marker.exists():
        if json.loads(marker.read_text(encoding="utf-8")) == made:
            return
        for folder in ("salesforce", "erp", "fx", "consent", "invoice_pdfs"):
            shutil.rmtree(inbox / folder, ignore_errors=True)
        marker.unlink()
    if inbox.is_dir() and any(p.is_file() for p in inbox.rglob("*")):
        raise Refused(
            f"{inbox} holds files that the demo did not make; they are left alone",
            remedy="try the demo elsewhere: `dunning init DIR`, then `dunning demo --workspace DIR`",
        )
    for name, content in generate(today=today, seed=seed).items():
        file = inbox / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    marker.write_text(json.dumps(made), encoding="utf-8")


def generate(*, today: date, seed: int) -> dict[str, bytes]:
    """Path below the inbox → content. Pure: only `today` and `seed` decide."""
    random = Random(f"dunning demo {seed} {today}")  # noqa: S311 (invented data, no secret)
    everybody = invent_customers(random, CRM_CUSTOMERS + ERP_ONLY)
    in_crm, only_in_erp = everybody[ERP_ONLY:], everybody[:ERP_ONLY]
    in_erp = only_in_erp + sorted(random.sample(in_crm[:-3], SHARED_CUSTOMERS), key=lambda c: c.number)
    crm, erp = Book(), Book()
    write_parties(random, crm, in_crm, today)
    debts = invent_debts(random, in_crm, CRM_INVOICES, today, "INV-{year}-{n:05d}")
    write_debts(random, crm, debts)
    write_cases(random, crm, debts, today)
    settle_balances(random, crm)
    erp_debts = invent_debts(random, in_erp, ERP_INVOICES, today, "R{year}{n:05d}")
    _known_to_both(debts, erp_debts, today)
    write_erp(random, erp, in_erp, erp_debts, today)
    files = {f"salesforce/{name}.csv": _csv(rows) for name, rows in crm.rows.items()}
    files |= {f"erp/{name}.csv": _csv(erp.rows[name], columns, ";", "cp1252") for name, columns in COLUMNS.items()}
    spoil_crm(files)
    spoil_erp(files)
    files["fx/rates.csv"] = _rates(random, today)
    files |= _consents(random, in_crm, today)
    files |= _invoice_pdfs(debts, today)
    return files


def _known_to_both(crm: list[Debt], erp: list[Debt], today: date) -> None:
    """Two overdue invoices were booked in both systems: the product has to notice and hold them."""
    overdue = [d for d in crm if d.is_overdue(today, 8)]
    for here in (d for d in erp if d.is_overdue(today, 8)):
        twin = next((d for d in overdue if d.customer is here.customer), None)
        if twin is not None:
            here.number = twin.number
            overdue.remove(twin)
            if sum(1 for d in erp if d.number.startswith("INV")) == 2:
                return


def _csv(
    rows: list[dict[str, str]], columns: list[str] | None = None, delimiter: str = ",", encoding: str = "utf-8"
) -> bytes:
    columns = columns or list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding, errors="replace")


def _rates(random: Random, today: date) -> bytes:
    rows = []
    for back in range(400, -1, -1):
        day = today - timedelta(days=back)
        for currency, rate in PER_EURO.items():
            if currency != "EUR" and day.weekday() < 5:
                wave = 1 + random.gauss(0, 0.004)
                rows.append({"date": str(day), "base": "EUR", "quote": currency, "rate": f"{rate * wave:.6f}"})
    return _csv(rows)


def _consents(random: Random, customers: list[Customer], today: date) -> dict[str, bytes]:
    """One file per channel, subscription and status; the second column is the date in the notations that occur."""
    emails = [p.email for c in customers for p in c.people if p.email]
    mobiles = [p.mobile for c in customers for p in c.people if p.mobile]
    out = random.sample(emails, 9)
    opt_in = random.sample(emails, 60)
    agreed = random.sample(mobiles, len(mobiles) // 2)

    def lines(points: list[str], pattern: str, head: str) -> bytes:
        days = [today - timedelta(days=random.randint(5, 300)) for _ in points]
        body = [f"{point},{day.strftime(pattern)}" for point, day in zip(points, days, strict=True)]
        return ("\n".join([head, *body]) + "\n").encode()

    unknown = [*out, "nobody@unknown.example", "not-an-address"]
    return {
        "consent/dunning_email_opt_out.csv": lines(unknown, "%Y-%m-%d 10:15:00.000+0000", "email,date"),
        "consent/dunning_email_opt_in.csv": lines(opt_in, "%m/%d/%Y", "email,date"),
        "consent/dunning_sms_opt_in.csv": lines(agreed, "%Y-%m-%d", "phone,date"),
    }


def _invoice_pdfs(debts: list[Debt], today: date) -> dict[str, bytes]:
    overdue = [d for d in debts if d.is_overdue(today, 7)][-24:]
    return {f"invoice_pdfs/{d.number}.pdf": one_page(_printed(d)) for d in overdue}


def _printed(debt: Debt) -> list[str]:
    customer = debt.customer
    lines = [f"Invoice {debt.number}", "Northwind Supplies GmbH, Hafenstraße 12, 20457 Hamburg", "", customer.name]
    lines += [
        f"{customer.street}, {customer.postal_code} {customer.town}",
        "",
        f"Date {debt.issued}   Due {debt.due}",
        "",
    ]
    lines += [f"{quantity} x {article}: {net} {customer.currency}" for article, quantity, _, net in debt.lines]
    return [*lines, "", f"Tax {debt.tax}   Total {debt.total} {customer.currency}"]
