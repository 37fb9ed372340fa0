"""Properties that hold for any book of debts: sums, order, scale, sequence, and nobody sees another's lines."""

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dunning.world import Outcome, World

PROCESS = """
netting: show
min_interval_days: 5
tolerance: {EUR: 2}
levels:
  - {level: 1, when: {days: 3}, template: a}
  - {level: 2, when: {days: 12}, template: b, fee: {percent: 10}, interest: {annual_percent: 9}}
  - {level: 3, when: {days: 25}, template: c, fee: {EUR: 5}, interest: {annual_percent: 9}}
"""
DAY = date(2026, 3, 1)

debts = st.lists(
    st.fixed_dictionaries(
        {
            "account": st.sampled_from(["a", "b", "c"]),
            "age": st.integers(-10, 60),
            "cents": st.integers(-5_000, 500_000),
            "paid": st.sampled_from([0, 0, 0, 25, 100]),
            "status": st.sampled_from(["posted"] * 6 + ["voided", "draft"]),
            "flag": st.sampled_from([None] * 5 + ["is_disputed", "prevent_dunning"]),
            "level": st.sampled_from([0, 0, 1, 2, 3]),
        }
    ),
    min_size=1,
    max_size=12,
)
credits = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(1, 100_000)), max_size=3)
few = settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


def told(folder: Path, book: list[dict], memos: list[tuple[str, int]], *, scale: int = 1) -> World:
    world = World(folder)
    world.process(PROCESS)
    for number, debt in enumerate(book):
        name, due = f"I{number}", (DAY - timedelta(days=debt["age"])).isoformat()
        amount = Decimal(debt["cents"] * scale) / 100
        more = {debt["flag"]: True} if debt["flag"] else {}
        world.invoice(name, due=due, amount=f"{amount} EUR", account=debt["account"], status=debt["status"], **more)
        if debt["paid"] and debt["cents"] > 0:
            paid = Decimal(debt["cents"] * debt["paid"] // 100 * scale) / 100  # whole cents before they are scaled
            world.payment(name, on="2026-02-20", amount=f"{paid} EUR", account=debt["account"])
        if debt["level"]:
            world.sent(name, debt["level"], on="2026-02-10", deadline="2026-02-17")
    for number, (account, cents) in enumerate(memos):
        world.credit(f"CM{number}", amount=f"{Decimal(cents * scale) / 100} EUR", account=account)
    return world


def run(world: World, **options: bool) -> Outcome:
    return world.run(DAY.isoformat(), **options)


@few
@given(book=debts, memos=credits)
def test_what_holds_for_every_statement(tmp_path_factory, book, memos) -> None:  # type: ignore[no-untyped-def]
    outcome = run(told(tmp_path_factory.mktemp("w") / "w", book, memos))
    sums: dict[str, int] = defaultdict(int)
    for line in outcome.details:
        sums[line["draft_key"]] += line["amount_minor"]
    decided = {row["invoice_key"]: row for row in outcome.decision.decisions.to_pylist()}
    assert len(decided) == len(book)  # every invoice has its decision

    for row in outcome.rows:
        lines = [line for line in outcome.details if line["draft_key"] == row["draft_key"]]
        parts = row["principal_minor"] + row["credits_minor"] + row["interest_minor"] + row["fees_minor"]
        assert sums[row["draft_key"]] == row["please_pay_minor"] == parts > 0
        assert any(line["advances"] for line in lines)
        assert row["level"] == max(line["level"] for line in lines if line["advances"])
        for line in lines:
            if line["type"] != "invoice":
                continue
            debt = book[int(line["invoice_id"][1:])]
            assert debt["account"] == row["account_id"]  # nothing of another account
            assert (debt["status"], debt["flag"]) == ("posted", None)
            assert debt["paid"] < 100 and debt["age"] > 0
            assert line["open_minor"] >= 200  # the tolerance
            assert line["level"] in (debt["level"], debt["level"] + 1)  # never skipped, never lowered
            assert decided[line["invoice_key"]]["included"]


@pytest.mark.slow
@few
@given(book=debts, memos=credits)
def test_the_order_of_rows_changes_nothing(tmp_path_factory, book, memos) -> None:  # type: ignore[no-untyped-def]
    world = told(tmp_path_factory.mktemp("w") / "w", book, memos)

    forwards, backwards = run(world), run(world, reverse=True)
    assert forwards.rows == backwards.rows
    assert forwards.details == backwards.details
    assert forwards.decision.decisions.to_pylist() == backwards.decision.decisions.to_pylist()


@pytest.mark.slow
@few
@given(book=debts.filter(lambda book: all(debt["cents"] >= 1000 or debt["cents"] < 0 for debt in book)), memos=credits)
def test_scaling_all_amounts_scales_what_is_asked(tmp_path_factory, book, memos) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("w")
    once, tenfold = run(told(folder / "1", book, memos)), run(told(folder / "10", book, memos, scale=10))

    def principals(outcome: Outcome, scale: int) -> dict[str, tuple[int, int]]:
        return {r["draft_key"]: (r["principal_minor"] * scale, r["credits_minor"] * scale) for r in outcome.rows}

    if not any(0 < debt["cents"] * (100 - debt["paid"]) / 100 < 200 for debt in book):  # the tolerance does not scale
        assert principals(once, 10) == principals(tenfold, 1)
