"""What accounts owe as campaign messages tell it: open items less credits, and whose debt is not to be spoken of."""

from collections.abc import Iterator
from datetime import date
from functools import cached_property
from typing import Any

from sqlalchemy import Engine

from dunning_pipeline.delivery.judging.gate_facts import blocks_in_force
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.reading import read_query

# As in account statements, what two sources carry is left out until somebody has said whose it is.
_OPEN_ITEMS = """
select * from dunning.open_items
where invoice_key not in (select invoice_key from dunning.duplicate_invoices)
order by account_key, effective_due_date, invoice_key, instalment
"""
_CREDITS = "select * from dunning.open_credits order by account_key, booked_on, reference, credit_key"
_HELD_BACK = ("is_account_blocked", "is_bill_group_blocked", "is_invoice_blocked", "is_disputed", "prevent_dunning")

Rows = list[dict[str, Any]]


def rows_of(ws: Workspace, query: str) -> Iterator[dict[str, Any]]:
    yield from read_query(ws, query).rows()


class Debts:
    """The open items and credits of all accounts, read once; blocks are those of the ledger on `today`."""

    def __init__(self, ws: Workspace, ledger: Engine, today: date) -> None:
        self._ledger, self._today = ledger, today
        self.items: dict[str, Rows] = {}
        for item in rows_of(ws, _OPEN_ITEMS):
            self.items.setdefault(item["account_key"], []).append(item)
        self._credits: dict[tuple[str, str], Rows] = {}
        for credit in rows_of(ws, _CREDITS):
            self._credits.setdefault((credit["account_key"], credit["currency"]), []).append(credit)

    def of(self, account_key: str) -> tuple[Rows, Rows]:
        """An account's open items and credits, without the currencies in which its credits pay for all that is open."""
        items: Rows = []
        credits: Rows = []
        listed = self.items.get(account_key, [])
        for currency in dict.fromkeys(item["currency"] for item in listed):
            own = [item for item in listed if item["currency"] == currency]
            deducted = self._credits.get((account_key, currency), [])
            if sum(item["open_amount"] for item in own) > sum(credit["amount"] for credit in deducted):
                items, credits = [*items, *own], [*credits, *deducted]
        return items, credits

    def nothing_owed(self, account_key: str) -> str:
        """The outcome of an account of which `of` tells nothing."""
        return "covered_by_credit" if self.items.get(account_key) else "nothing_open"

    @cached_property
    def blocked(self) -> set[str]:
        """Accounts of whose open items anything is blocked or disputed, by the source or by people."""
        things = {
            key: {key, *(one["invoice_key"] for one in listed), *(one["bill_group_key"] for one in listed)}
            for key, listed in self.items.items()
        }
        with reading(self._ledger) as connection:
            blocks = blocks_in_force(connection, set().union(*things.values()), on=self._today)
        return {
            key
            for key, listed in self.items.items()
            if not things[key].isdisjoint(blocks) or any(one[flag] for one in listed for flag in _HELD_BACK)
        }
