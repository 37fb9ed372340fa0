"""Interest against a second, slow calculation: every day by itself in fractions, over random books of debts."""

from datetime import date, timedelta
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from dunning_pipeline.law.packs import load_laws
from dunning_pipeline.money import amount_text, minor_unit
from dunning_pipeline.settings.workspace import Workspace
from tests.dunning.world import World

RUN = date(2025, 8, 31)
DAY = timedelta(days=1)
PROCESS = """
netting: ignore
escalation: catch_up
levels: [{level: 1, when: {days: 1}, template: a, interest: {law: DE, party: business}}]
"""


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_interest_is_what_every_single_day_adds_up_to(world: World, seed: int) -> None:
    world.process(PROCESS)
    debts = [_debt(world, Random(f"{seed}/{n}"), n) for n in range(40)]
    rates = load_laws(Workspace(world.folder))["DE"].pack

    outcome = world.run(RUN.isoformat())
    charged = {
        (d["invoice_id"], d["instalment"]): d["amount_minor"] for d in outcome.details if d["type"] == "interest"
    }
    listed = {(d["invoice_id"], d["instalment"]): d["open_minor"] for d in outcome.details if d["type"] == "invoice"}
    expected, still_open = {}, {}
    for debt in debts:
        for number, (due, _, _) in enumerate(debt["parts"], 1):
            owed = _open(debt, RUN + DAY)[number - 1]
            if due < RUN and owed:
                still_open[debt["name"], number] = owed
                if interest := _interest(debt, number, rates):
                    expected[debt["name"], number] = interest
    assert listed == still_open
    assert charged == expected
    assert len(expected) > 25  # the books are not empty


def _debt(world: World, random: Random, n: int) -> dict[str, Any]:
    """An invoice in one to four parts with up to four payments, in the world and as plain numbers."""
    name, currency = f"I{n}", random.choice(["EUR", "EUR", "JPY", "KWD"])
    first = date(2024, 10, 1) + timedelta(days=random.randrange(330))
    amounts = [random.randrange(1, 1_000_000) for _ in range(random.choice([1, 1, 1, 2, 4]))]
    dues = sorted(first + timedelta(days=random.randrange(120)) for _ in amounts)
    parts = [(due, amount, f"{name}-{i}") for i, (due, amount) in enumerate(zip(dues, amounts, strict=True), 1)]
    if len(parts) > 1 and len(set(dues)) < len(dues):
        return _debt(world, random, n)  # the order of two parts of one day would be by name
    total = f"{amount_text(sum(amounts), currency)} {currency}"
    world.invoice(name, account=f"a{n}", due=dues[-1].isoformat(), amount=total, issued="2024-09-01")
    if len(parts) > 1:
        world.instalments(name, [(due.isoformat(), amount_text(amount, currency)) for due, amount, _ in parts])
    payments = []
    left = {item: amount for _, amount, item in parts}
    for _ in range(random.randrange(5)):
        item = random.choice(list(left)) if len(parts) > 1 and random.random() < 0.4 else None
        most = left[item] if item else sum(left.values()) // 3
        if most < 2 or (item is None and any(p[2] for p in payments)):
            continue
        paid = random.randrange(1, most)
        value = first + timedelta(days=random.randrange(-20, 300))
        booked = value + timedelta(days=random.randrange(4))
        if booked > RUN:
            continue
        world.payment(
            name, account=f"a{n}", on=booked.isoformat(), value=value.isoformat(), item=item,
            amount=f"{amount_text(paid, currency)} {currency}",
        )  # fmt: skip
        if item:
            left[item] -= paid
        else:
            left = {key: amount * 2 // 3 for key, amount in left.items()}
        payments.append((value, paid, item))
    return {"name": name, "parts": parts, "payments": payments, "digits": minor_unit(currency)}


def _open(debt: dict[str, Any], on: date) -> list[int]:
    """What is open of each part at the beginning of a day: a payment counts from the day after its value date."""
    paid = [(amount, item) for value, amount, item in debt["payments"] if value < on]
    found = [amount - sum(p for p, item in paid if item == name) for _, amount, name in debt["parts"]]
    pool = sum(p for p, item in paid if item is None)
    for place, amount in enumerate(found):
        used = min(pool, amount)
        found[place], pool = amount - used, pool - used
    return found


def _interest(debt: dict[str, Any], number: int, law: Any) -> int:
    day, total = debt["parts"][number - 1][0] + DAY, Fraction(0)
    while day <= RUN:
        base = max((rate for rate in law.rates if rate.valid_from <= day), key=lambda rate: rate.valid_from)
        percent = Fraction(base.percent) + Fraction(law.margins["business"])
        total += _open(debt, day)[number - 1] * percent / 100 / 365
        day += DAY
    return int(total + Fraction(1, 2))
