"""Random books of debts live under random processes; every statement is what a second model says, to the cent."""

from dataclasses import asdict
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from sqlalchemy import func, select

from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.reading import details_of
from dunning_pipeline.ledger.schema import postings, statements
from dunning_pipeline.statements import cases
from dunning_pipeline.statements.booking.charges import pay
from dunning_pipeline.statements.voiding import void
from tests.scenarios.second_model import Charge, Item, SecondModel, Statement
from tests.scenarios.world import World, noon

START = date(2026, 1, 5)
SHOWN = ("account", "level", "lines", "carried_interest", "interest", "fee", "carried_fee", "credit", "please_pay")


# Chosen for many statements with charges: claimed and netted, and left below an amount.
@pytest.mark.parametrize("seed", [0, pytest.param(25, marks=pytest.mark.slow)])
def test_every_statement_is_what_a_second_model_says(world: World, seed: int) -> None:
    life = Life(world, Random(seed))
    assert sum(life.next_run() for _ in range(9)) > 5


class Life:
    """One world and its second model, to which the same things happen."""

    def __init__(self, world: World, random: Random) -> None:
        self.world, self.random, self.today = world, random, START
        self.model = SecondModel(_process(random))
        self.ids: dict[int, str] = {}  # number in the model → statement id
        world.process(_written(self.model.process))
        for account in "abc":
            self._found(account)

    def next_run(self) -> int:
        """Some days later: things happen, then a run; how many statements were closed. Most of them leave."""
        self.today += timedelta(days=self.random.choice([1, 1, 3, 5, 8, 10]))
        for _ in range(self.random.choice([0, 1, 1, 2])):
            happens = self.random.choices(
                [self._pay, self._credit, self._postpone, self._promise, self._void, self._pay_charge, self._dispute,
                 self._block], [11, 1, 2, 1, 1, 1, 1, 1],
            )[0]  # fmt: skip
            happens(self.random.choice(list(self.model.items.values())))
        expected = self.model.run(self.today)
        proposed = self.world.draft(self._on).statement_ids
        closed = self.world.close(self._on, proposed).closed
        found = self._found_in_ledger(closed)
        assert len(closed) == len(proposed)
        told = [{name: value for name, value in one.items() if name in SHOWN} for one in found]
        assert _sorted(told) == _sorted([_shown(one) for one in expected]), _written(self.model.process)
        for one in expected:
            mine = next(row for row in found if {name: row[name] for name in SHOWN} == _shown(one))
            self.model.close(one, on=self.today, deadline=mine["deadline"])
            self.ids[one.number] = mine["id"]
            if not one.lines or self.random.random() > 0.15:
                self.world.send(self._on, [mine["id"]])
                self.model.send(one, on=self.today)
        return len(closed)

    # -- what happens ------------------------------------------------------------------------------------------------
    def _pay(self, item: Item) -> None:
        parts = [one.amount for one in self.model.items.values() if one.invoice == item.invoice]
        rest = sum(parts) - sum(amount for invoice, _, amount in self.model.payments if invoice == item.invoice)
        if rest > 0:
            amount = rest if self.random.random() < 0.5 else self.random.randint(1, rest)
            day = self.today - timedelta(days=self.random.choice([0, 0, 1, 2]))
            self.world.payment(item.invoice, on=day.isoformat(), amount=_euros(amount))
            self.model.payments.append((item.invoice, day, amount))

    def _credit(self, item: Item) -> None:
        amount, number = self.random.randrange(100, 50_000), f"C{len(self.world.facts.rows['credit_memos'])}"
        self.world.credit(number, account=item.account, amount=f"{_euros(amount)} EUR", on=self._on)
        self.model.credits[item.account] = self.model.credits.get(item.account, 0) + amount

    def _postpone(self, item: Item) -> None:
        until = self.today + timedelta(days=self.random.randrange(1, 25))
        if item.anchor < until:
            with self.world.ledger.begin() as connection:
                cases.postpone(
                    connection, invoice_key=_key(item.invoice), postponed_to=until, created_on=self.today,
                    reason="they asked", actor="clerk", now=noon(self._on),
                )  # fmt: skip
            for one in self._parts(item):
                one.postponed = until

    def _promise(self, item: Item) -> None:
        until = self.today + timedelta(days=self.random.randrange(12))
        with self.world.ledger.begin() as connection:
            cases.promise(
                connection, account_key=_key(item.account), invoice_key=_key(item.invoice), promised_for=until,
                promised_on=self.today, actor="clerk", now=noon(self._on),
            )  # fmt: skip
        for one in self._parts(item):
            one.promised = max(one.promised or until, until)

    def _void(self, _: Item) -> None:
        paid = [charge.statement for charge in self.model.charges if charge.paid]
        able = [one for one in self.model.closed if not one.is_void and one not in paid]
        if able:
            one = self.random.choice(able)
            void(self.world.ws, self.ids[one.number], reason="a mistake", now=noon(self._on), actor="clerk")
            self.model.void(one)

    def _pay_charge(self, _: Item) -> None:
        owed = [one for one in self.model.charges if one.unpaid > 0 and one.statement not in self.model.unsent]
        if owed:
            charge = self.random.choice(owed)
            amount = self.random.randint(1, charge.unpaid)
            charge.paid += amount
            with self.world.ledger.begin() as connection:
                posting = connection.scalar(self._posting(charge))
                reference = f"{posting} {charge.paid}"
                pay(
                    connection, posting, amount_minor=amount, reference=reference, on=self.today, actor="clerk",
                    now=noon(self._on),
                )  # fmt: skip

    def _dispute(self, item: Item) -> None:
        is_disputed = not item.is_disputed
        self.world.facts.put("invoices", invoice_key=_key(item.invoice), is_disputed=is_disputed)
        for one in self._parts(item):
            one.is_disputed = is_disputed

    def _block(self, item: Item) -> None:
        until = self.today + timedelta(days=self.random.randrange(1, 20))
        self.world.block(item.account, on=self._on, until=until.isoformat())
        self.model.blocks.append((item.account, self.today, until))

    # -- the world ---------------------------------------------------------------------------------------------------
    @property
    def _on(self) -> str:
        return self.today.isoformat()

    def _found(self, account: str) -> None:
        """An account with one to four invoices, some in instalments, in one or two bill groups."""
        random, groups = self.random, [account]
        self.world.account(account, party_type="business")
        if random.random() < 0.5:
            groups = [f"{account}-1", f"{account}-2"]
            for group in groups:
                self.world.bill_group(group, account)
        for n in range(random.randint(1, 4)):
            invoice, group, amount = f"{account}{n}", random.choice(groups), random.randrange(100, 300_000)
            count = random.choice([1, 1, 1, 2, 3])
            dues = [START + timedelta(days=day) for day in sorted(random.sample(range(-60, 90), count))]
            amounts = [amount // count] * (count - 1)
            parts = list(zip(dues, [*amounts, amount - sum(amounts)], strict=True))
            self.world.invoice(
                invoice, account=account, due=dues[-1].isoformat(), amount=f"{_euros(amount)} EUR", dated="2025-10-01",
                group=None if group == account else group,
            )  # fmt: skip
            if count > 1:
                self.world.instalments(invoice, *((due.isoformat(), _euros(part)) for due, part in parts))
            for number, (due, part) in enumerate(parts, 1):
                self.model.items[invoice, number] = Item(invoice, number, account, group, due, part)

    def _parts(self, item: Item) -> list[Item]:
        return [one for one in self.model.items.values() if one.invoice == item.invoice]

    def _posting(self, charge: Charge) -> Any:
        p = postings.c
        mine = select(p.posting_id).where(p.statement_id == self.ids[charge.statement.number])
        if charge.item is None:
            return mine.where(p.type == "fee")
        is_item = (p.invoice_key == _key(charge.item[0])) & (func.coalesce(p.instalment, 1) == charge.item[1])
        return mine.where(p.type == "interest", is_item)

    def _found_in_ledger(self, ids: list[str]) -> list[dict[str, Any]]:
        with reading(self.world.ledger) as connection:
            rows = connection.execute(select(statements).where(statements.c.statement_id.in_(ids))).mappings().all()
            details = details_of(connection, ids)
        return [_read(row, details[row["statement_id"]]) for row in rows]


def _read(row: Any, details: Any) -> dict[str, Any]:
    """A statement of the ledger in the words of the second model."""
    read: dict[str, Any] = {
        "id": row["statement_id"], "deadline": row["due_date"], "account": _name(row["account_key"]),
        "level": row["level"], "please_pay": row["please_pay_minor"], "lines": {}, "carried_interest": {},
        "interest": {}, "fee": 0, "carried_fee": 0, "credit": 0,
    }  # fmt: skip
    for line in details:
        key, kind = (_name(line["invoice_key"] or ""), line["instalment"] or 1), line["type"]
        if kind == "invoice":
            read["lines"][key] = line["open_minor"], line["days_overdue"], line["level"]
        elif kind in ("interest", "carried_interest"):
            read[kind][key] = read[kind].get(key, 0) + line["amount_minor"]
        else:
            read[kind] += line["amount_minor"]
    return read


def _shown(one: Statement) -> dict[str, Any]:
    return {**{name: value for name, value in asdict(one).items() if name in SHOWN}, "please_pay": one.please_pay}


def _sorted(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(told, key=lambda one: (one["account"], one["level"], one["please_pay"], str(one["lines"])))


def _process(random: Random) -> dict[str, Any]:
    days, percent = sorted(random.sample(range(1, 70), random.choice([2, 3, 4]))), random.choice([5, 9, 12])
    levels = []
    for number, day in enumerate(days, 1):
        fee, fee_percent = random.choice([(0, 0), (0, 0), (250, 0), (4000, 0), (0, 1), (0, 10)])
        after_last = number > 1 and random.random() < 0.25
        levels.append(
            {
                "level": number,
                "days": random.choice([5, 10]) if after_last else day,
                "after_last": after_last,
                "fee": fee,
                "fee_percent": fee_percent,
                "percent": percent if random.random() < 0.6 else 0,
                "minimum": random.choice([0, 0, 0, 5_000, 100_000]) if number > 1 else 0,
            }
        )
    return {
        "unit": random.choice(["account", "bill_group", "invoice"]),
        "grouping": random.choice(["aggregate", "per_level"]),
        "escalation": random.choice(["sequential", "catch_up"]),
        "netting": random.choice(["show", "show", "ignore", "block"]),
        "grace_days": random.choice([0, 0, 3]),
        "minimum_days": random.choice([0, 0, 6]),
        "min_interval_days": random.choice([0, 5, 7, 14]),
        "tolerance": random.choice([0, 0, 500]),
        "minimum": random.choice([0, 0, 2_000, 10_000]),
        "charges_only": random.choice(["waive", "claim", 1_000]),  # an amount: ignored below it
        "levels": levels,
    }


def _written(process: dict[str, Any]) -> str:
    """The process as an analyst writes it."""
    lines = ["process: standard"]
    for name in ("unit", "grouping", "escalation", "netting", "grace_days", "minimum_days", "min_interval_days"):
        lines.append(f"{name}: {process[name]}")
    lines += [f"{name}: {{EUR: {_euros(process[name])}}}" for name in ("tolerance", "minimum") if process[name]]
    limit = process["charges_only"]
    lines.append(
        f"charges_only: {{ignore_below: {{EUR: {_euros(limit)}}}}}"
        if isinstance(limit, int)
        else f"charges_only: {limit}"
    )
    lines.append("levels:")
    for one in process["levels"]:
        after = ", after: last_statement" if one["after_last"] else ""
        more = [f"level: {one['level']}", f"when: {{days: {one['days']}{after}}}", "template: friendly_reminder"]
        more += [f"fee: {{EUR: {_euros(one['fee'])}}}"] if one["fee"] else []
        more += [f"fee: {{percent: {one['fee_percent']}, base: open_principal}}"] if one["fee_percent"] else []
        more += [f"interest: {{annual_percent: {one['percent']}}}"] if one["percent"] else []
        more += [f"minimum: {{EUR: {_euros(one['minimum'])}}}"] if one["minimum"] else []
        lines.append(f"  - {{{', '.join(more)}}}")
    return "\n".join(lines) + "\n"


def _euros(minor: int) -> str:
    return str(Decimal(minor) / 100)


def _key(name: str) -> str:
    return f"salesforce:{name}"


def _name(key: str) -> str:
    return key.removeprefix("salesforce:")
