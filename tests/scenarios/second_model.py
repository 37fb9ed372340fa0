"""The rules of reminding a second time, in plain Python: one invoice after the other, day by day, in fractions.

Written from the rules (levels, units, netting, interest, fees, charges of earlier statements), not from the SQL that
the product decides with, so that a mistake in one of the two shows as a difference. One currency; minor units.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

Key = tuple[str, int]  # invoice, instalment
DAY = timedelta(days=1)


@dataclass
class Item:
    """An invoice, or one of its instalments; `sent` has what reached it: statement → level, day, deadline."""

    invoice: str
    part: int
    account: str
    group: str
    due: date
    amount: int
    is_disputed: bool = False
    promised: date | None = None
    postponed: date | None = None
    sent: dict[int, tuple[int, date, date]] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return self.invoice, self.part

    @property
    def anchor(self) -> date:
        return max(self.due, self.postponed or self.due)

    @property
    def level(self) -> int:
        return max((level for level, _, _ in self.sent.values()), default=0)

    @property
    def last_sent(self) -> date | None:
        return max((day for _, day, _ in self.sent.values()), default=None)

    @property
    def deadline(self) -> date | None:
        return max((deadline for _, _, deadline in self.sent.values()), default=None)


@dataclass
class Statement:
    unit: str
    account: str
    group: str
    level: int
    lines: dict[Key, tuple[int, int, int]] = field(default_factory=dict)  # open, days overdue, level
    carried_interest: dict[Key, int] = field(default_factory=dict)
    interest: dict[Key, int] = field(default_factory=dict)
    fee: int = 0
    carried_fee: int = 0
    credit: int = 0  # 0 or below
    number: int = 0
    closed_on: date = date.min
    deadline: date = date.max
    is_void: bool = False

    @property
    def charges(self) -> int:
        carried = sum(self.carried_interest.values()) + self.carried_fee
        return sum(self.interest.values()) + self.fee + carried

    @property
    def please_pay(self) -> int:
        return sum(amount for amount, _, _ in self.lines.values()) + self.charges + self.credit


@dataclass
class Charge:
    statement: Statement
    amount: int
    items: frozenset[Key]  # whose principal it goes with
    item: Key | None = None  # of interest; None: a fee
    is_gone: bool = False  # reversed or waived
    paid: int = 0

    @property
    def unpaid(self) -> int:
        return 0 if self.is_gone else self.amount - self.paid


class SecondModel:
    """A book of debts under one process, which is a dict of the keys of its YAML with amounts in minor units."""

    def __init__(self, process: dict[str, Any]) -> None:
        self.process = process
        self.items: dict[Key, Item] = {}
        self.payments: list[tuple[str, date, int]] = []  # invoice, value date, amount
        self.credits: dict[str, int] = {}  # account → amount
        self.blocks: list[tuple[str, date, date]] = []  # account, first and last day
        self.charges: list[Charge] = []
        self.closed: list[Statement] = []
        self.unsent: list[Statement] = []

    # -- what is owed ------------------------------------------------------------------------------------------------
    def principal(self, item: Item, day: date) -> int:
        """Open at the end of a day; cash closes the earliest instalment first."""
        cash = sum(amount for invoice, on, amount in self.payments if invoice == item.invoice and on <= day)
        before = sum(one.amount for one in self.items.values() if one.invoice == item.invoice and one.part < item.part)
        return item.amount - min(item.amount, max(cash - before, 0))

    def interest(self, item: Item, percent: int, on: date) -> int:
        """From the day after the due date; a payment lowers the principal from the day after its value date."""
        days = (item.anchor + n * DAY for n in range(1, (on - item.anchor).days + 1))
        return half_up(sum((Fraction(self.principal(item, day - DAY) * percent, 36500) for day in days), Fraction(0)))

    def is_settled(self, charge: Charge, on: date) -> bool:
        return all(self.principal(self.items[key], on) <= 0 for key in charge.items)

    def is_owed(self, charge: Charge, on: date) -> bool:
        """Charges of what never left do not count; those of paid items not where they are too small to ask for."""
        if charge.unpaid <= 0 or charge.statement in self.unsent:
            return False
        limit = self.process["charges_only"]
        if not isinstance(limit, int) or not self.is_settled(charge, on):
            return True
        alike = [one for one in self.charges if one.statement.group == charge.statement.group]
        settled = [one for one in alike if one.statement not in self.unsent and self.is_settled(one, on)]
        return sum(one.unpaid for one in settled) >= limit

    # -- a run -------------------------------------------------------------------------------------------------------
    def run(self, on: date) -> list[Statement]:
        """The statements that a run proposes; charges that it waives are gone."""
        if self.process["charges_only"] == "waive":
            for charge in self.charges:
                charge.is_gone |= charge.statement not in self.unsent and self.is_settled(charge, on)
        units: dict[str, list[Item]] = {}
        for item in self.items.values():
            if self._is_dunnable(item, on):
                units.setdefault(self._unit(item), []).append(item)
        left, proposed = dict(self.credits), []
        for unit, items in sorted(units.items(), key=lambda one: (min(item.anchor for item in one[1]), one[0])):
            account, dunnable = items[0].account, sum(self.principal(item, on) for item in items)
            credit = min(dunnable, left.get(account, 0)) if self.process["netting"] == "show" else 0
            left[account] = left.get(account, 0) - credit
            proposed += self._of_unit(unit, items, dunnable, credit, on)
        return proposed + self._of_charges_alone({one.unit for one in proposed}, on)

    def _is_dunnable(self, item: Item, on: date) -> bool:
        amount, days = self.principal(item, on), (on - item.anchor).days
        if amount <= 0 or days <= self.process["grace_days"] or self._is_blocked(item.account, on) or item.is_disputed:
            return False
        return not (item.promised and item.promised >= on) and amount >= self.process["tolerance"]

    def _is_blocked(self, account: str, on: date) -> bool:
        return any(account == blocked and first <= on <= last for blocked, first, last in self.blocks)

    def _unit(self, item: Item) -> str:
        return {"account": item.account, "bill_group": item.group, "invoice": item.invoice}[self.process["unit"]]

    def _of_unit(self, unit: str, items: list[Item], dunnable: int, credit: int, on: date) -> list[Statement]:
        process = self.process
        if process["netting"] == "block" and self.credits.get(items[0].account, 0):
            return []
        oldest = max((on - item.anchor).days for item in items)
        if credit >= dunnable or dunnable - credit < process["minimum"] or oldest < process["minimum_days"]:
            return []
        advancing: dict[Key, int] = {}
        repeating: dict[Key, int] = {}
        for item in items:
            if item.last_sent and item.last_sent + process["min_interval_days"] * DAY > on:
                continue
            level, is_short = self._next_level(item, dunnable - credit, on)
            if level:
                advancing[item.key] = level
            elif is_short and item.deadline and item.deadline <= on:
                repeating[item.key] = item.level
        if process["grouping"] == "aggregate":
            if not (levels := advancing or repeating):
                return []
            listed = [item for item in items if item.key in advancing or item.level]
            groups = {max(levels.values()): {item.key: advancing.get(item.key, item.level) for item in listed}}
        else:
            levels = repeating | advancing
            groups = {n: {key: n for key in levels if levels[key] == n} for n in set(levels.values())}
        proposed: list[Statement] = []
        for level in sorted(groups, reverse=True):
            principal = sum(self.principal(self.items[key], on) for key in groups[level])
            deducted = min(principal, credit)
            credit -= deducted
            if principal > deducted:
                one = Statement(unit, items[0].account, items[0].group, level, credit=-deducted)
                proposed.append(self._filled(one, groups[level], on, is_main=not proposed))
        return proposed

    def _next_level(self, item: Item, net: int, on: date) -> tuple[int, bool]:
        """The level that is reached, 0 if none; and whether only its minimum keeps the next one back."""
        above = [one for one in self.process["levels"] if one["level"] > item.level]
        reached, is_short = 0, False
        for number, one in enumerate(above):
            if number and (self.process["escalation"] == "sequential" or one["after_last"]):
                continue
            since = item.last_sent if one["after_last"] else item.anchor
            if since is None or since + one["days"] * DAY > on:
                continue
            if net < one["minimum"]:
                is_short |= number == 0
            else:
                reached = one["level"]
        return reached, is_short

    def _filled(self, one: Statement, levels: dict[Key, int], on: date, *, is_main: bool) -> Statement:
        rules = {rule["level"]: rule for rule in self.process["levels"]}
        for key, level in levels.items():
            item = self.items[key]
            one.lines[key] = self.principal(item, on), (on - item.anchor).days, level
            billed = [c for c in self.charges if c.item == key and not c.is_gone and c.statement not in self.unsent]
            _add(one.carried_interest, key, sum(charge.unpaid for charge in billed))
            if percent := rules[level]["percent"]:
                new = self.interest(item, percent, on) - sum(charge.amount for charge in billed)
                _add(one.interest, key, max(new, 0))
        principal = sum(amount for amount, _, _ in one.lines.values())
        one.fee = rules[one.level]["fee"] or half_up(Fraction(principal * rules[one.level]["fee_percent"], 100))
        for charge in self.charges if is_main else ():  # what belongs to the unit is asked for once
            if charge.statement.unit == one.unit and self.is_owed(charge, on):
                if charge.item is None:
                    one.carried_fee += charge.unpaid
                elif charge.item not in one.lines and self.is_settled(charge, on):
                    _add(one.carried_interest, charge.item, charge.unpaid)
        return one

    def _of_charges_alone(self, reminded: Iterable[str], on: date) -> list[Statement]:
        """Where the principal is paid and no reminder of the unit asks for its charges: once, after the deadline."""
        units: dict[str, list[Charge]] = {}
        for charge in self.charges if self.process["charges_only"] != "waive" else ():
            if self.is_settled(charge, on) and self.is_owed(charge, on):
                units.setdefault(charge.statement.unit, []).append(charge)
        proposed = []
        for unit, owed in units.items():
            earlier = [one for one in self.closed if one.unit == unit and not one.lines and not one.is_void]
            asked = max((one.closed_on for one in earlier), default=date.min)
            claims = [one for one in self.closed if one.unit == unit and one.lines and one.charges and not one.is_void]
            if any(one.deadline >= on for one in claims):
                continue  # a reminder asks for them, and its deadline is still running
            fresh = [c for c in owed if c.statement.deadline < on and c.statement.closed_on > asked]
            if unit in reminded or not fresh or self._is_blocked(owed[0].statement.account, on):
                continue
            newest = max((c.statement for c in fresh), key=lambda statement: (statement.closed_on, statement.level))
            one = Statement(unit, newest.account, newest.group, newest.level)
            for charge in owed:
                if charge.item is None:
                    one.carried_fee += charge.unpaid
                else:
                    _add(one.carried_interest, charge.item, charge.unpaid)
            proposed.append(one)
        return proposed

    # -- what becomes of statements ----------------------------------------------------------------------------------
    def close(self, one: Statement, *, on: date, deadline: date) -> None:
        """Post its charges; what it replaces and never left is taken back."""
        for old in [old for old in self.unsent if old.unit == one.unit and old.lines.keys() & one.lines.keys()]:
            self.void(old)
        one.number, one.closed_on, one.deadline = len(self.closed) + 1, on, deadline
        self.closed.append(one)
        self.unsent.append(one)
        if one.fee:
            self.charges.append(Charge(one, one.fee, frozenset(one.lines)))
        self.charges += [Charge(one, amount, frozenset([key]), key) for key, amount in one.interest.items()]

    def send(self, one: Statement, *, on: date) -> None:
        self.unsent.remove(one)
        for key, (_, _, level) in one.lines.items():
            self.items[key].sent[one.number] = level, on, one.deadline

    def void(self, one: Statement) -> None:
        one.is_void = True
        if one in self.unsent:
            self.unsent.remove(one)
        for charge in self.charges:
            charge.is_gone |= charge.statement is one
        for item in self.items.values():
            item.sent.pop(one.number, None)


def half_up(amount: Fraction) -> int:
    return int((2 * amount + 1) // 2)


def _add(amounts: dict[Key, int], key: Key, amount: int) -> None:
    if amount:
        amounts[key] = amounts.get(key, 0) + amount
