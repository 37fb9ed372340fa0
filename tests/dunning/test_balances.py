"""What is owed with charges: principal, what was posted and not cleared, and both, apart from what dunning counts."""

from datetime import date

from dunning_pipeline.dunning.balances import balances
from dunning_pipeline.settings.workspace import Workspace
from tests.dunning.world import World


def owed(world: World, target: str = "acme", on: str = "2026-02-01") -> list[tuple[str | None, str, str, str]]:
    rows = balances(Workspace(world.folder), target, on=date.fromisoformat(on), facts=world.database(), ledger=False)
    return [
        (row["invoice_number"], row["open_amount"], row["charges"], row["open_amount_with_charges"]) for row in rows
    ]


def test_charges_raise_what_is_owed_and_leave_the_principal(world: World) -> None:
    world.process("minimum: {EUR: 105}\nlevels: [{level: 1, when: {days: 1}, template: a}]")
    world.invoice("A", due="2026-01-01", amount="100.00 EUR")
    world.invoice("Y", due="2026-01-01", amount="5000 JPY")
    world.posted("interest", 250, on="2026-01-10", invoice="A")
    world.posted("fee", 500, on="2026-01-10", invoice=None)
    world.posted("fee", 300, on="2026-01-10", invoice="Y", currency="JPY")
    world.posted("fee", 900, on="2026-03-01", invoice="A", statement="later")  # not known on the date

    assert owed(world) == [
        ("A", "100.00", "2.50", "102.50"),
        (None, "0.00", "5.00", "5.00"),  # the statement's fee belongs to no one invoice
        ("Y", "5000", "300", "5300"),
    ]
    assert owed(world, "A") == [("A", "100.00", "2.50", "102.50")]
    assert world.run("2026-02-01").reasons["A"] == "below_minimum"  # minimums count principal only


def test_cleared_charges_are_owed_no_more_and_stay_when_the_principal_is_paid(world: World) -> None:
    world.process("levels: [{level: 1, when: {days: 1}, template: a}]")
    world.invoice("A", due="2026-01-01", amount="100.00 EUR")
    charge = world.posted("interest", 250, on="2026-01-10", invoice="A")
    world.payment("A", on="2026-01-15", amount="100.00 EUR")
    assert owed(world) == [("A", "0.00", "2.50", "2.50")]
    world.posted("payment", -250, on="2026-01-20", invoice="A", reverses=charge, posting="p")
    assert owed(world) == []
