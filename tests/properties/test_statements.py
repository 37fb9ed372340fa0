"""What holds for any book of debts: sums, repetition, order of rows, scale, and accounts that never mix."""

import random
import shutil
import tempfile
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dunning_pipeline.dunning.decision import decide
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.voiding import void
from tests.conftest import copy_shipped
from tests.scenarios.world import World, noon

DAY = "2026-02-01"
PROCESS = """
process: standard
levels:
  - {level: 1, when: {days: 7}, template: friendly_reminder, interest: {annual_percent: 9}}
  - {level: 2, when: {days: 21}, template: second_reminder}
"""

invoices = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.integers(min_value=-5, max_value=60),  # days overdue
        st.integers(min_value=0, max_value=250_000).map(lambda half: 2 * half),  # minor units, half of them is exact
        st.sampled_from(["EUR", "USD", "JPY"]),
        st.sampled_from(["posted", "posted", "posted", "draft", "voided"]),
        st.sampled_from([0, 0, 50, 100]),  # per cent paid
        st.booleans(),  # disputed
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture(scope="module")
def folder() -> Any:
    path = Path(tempfile.mkdtemp(prefix="properties-"))
    copy_shipped(path)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def book(folder: Path, rows: list[Any], *, scale: int = 1, seed: int | None = None) -> World:
    """A world with these debts and an empty ledger."""
    shutil.rmtree(folder / ".dunning", ignore_errors=True)
    world = World(Workspace(folder))
    world.process(PROCESS)
    order = list(enumerate(rows))
    if seed is not None:
        random.Random(seed).shuffle(order)
    for n, (account, days, minor, currency, status, paid, disputed) in order:
        due = date.fromisoformat(DAY) - timedelta(days=days)
        amount = Decimal(minor * scale) / (1 if currency == "JPY" else 100)
        world.invoice(
            f"I{n}", account=account, due=due.isoformat(), amount=f"{amount} {currency}", status=status,
            is_disputed=disputed, dated="2025-11-01",
        )  # fmt: skip
        if paid:
            world.payment(f"I{n}", on="2026-01-01", amount=str(amount * paid / 100))
    return world


def proposals(world: World) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    world.publish()
    decision = decide(world.ws, dunning_date=date.fromisoformat(DAY), ledger=False)
    return decision.statements.to_pylist(), decision.details.to_pylist()


@pytest.mark.slow
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=invoices, seed=st.integers(0, 99))
def test_any_book_of_debts(folder: Path, rows: list[Any], seed: int) -> None:
    world = book(folder, rows)
    statements, details = proposals(world)
    open_items = {
        f"salesforce:I{n}": account
        for n, (account, days, minor, _, status, paid, disputed) in enumerate(rows)
        if status == "posted" and paid < 100 and minor > 0 and days > 0 and not disputed
    }
    by_key = {row["draft_key"]: row for row in statements}
    for key, row in by_key.items():
        mine = [d for d in details if d["draft_key"] == key]
        assert sum(d["amount_minor"] for d in mine) == row["please_pay_minor"] > 0
        for detail in mine:
            if detail["type"] == "invoice":  # nothing paid, voided, disputed or of another account
                assert f"salesforce:{open_items[detail['invoice_key']]}" == row["account_key"]

    shuffled, lines = proposals(book(folder, rows, seed=seed))
    assert (shuffled, lines) == (statements, details)  # the order of rows means nothing

    bigger, _ = proposals(book(folder, rows, scale=3))
    tripled = {row["draft_key"]: row["principal_minor"] for row in bigger}
    assert tripled == {key: 3 * row["principal_minor"] for key, row in by_key.items()}

    world = book(folder, rows)
    drafted = world.draft(DAY)
    before = world.statements()
    again = world.draft(DAY)
    assert again.counts["unchanged"] == len(drafted.statement_ids) and world.statements() == before
    report = world.close(DAY, random.Random(seed).sample(drafted.statement_ids, len(drafted.statement_ids)))
    assert sorted(report.closed) == sorted(drafted.statement_ids)
    numbers = sorted(one["number"] for one in world.statements(status="closed"))
    assert numbers == [f"D-2026-{n:06d}" for n in range(1, len(numbers) + 1)]
    charges = {row["account_key"]: 0 for row in statements}
    for row in statements:
        charges[row["account_key"]] += row["interest_minor"] + row["fees_minor"]
    accounts = [key.removeprefix("salesforce:") for key in charges]
    assert {f"salesforce:{a}": sum(world.charges(a).values()) for a in accounts} == charges

    assert world.close(DAY, drafted.statement_ids).closed == []  # once more: no number, no posting
    assert {f"salesforce:{a}": sum(world.charges(a).values()) for a in accounts} == charges
    for statement_id in report.closed:
        void(world.ws, statement_id, reason="a mistake", now=noon(DAY), actor="clerk")
    assert all(world.charges(account) == {} for account in accounts)
