"""The life of one debt: reminded once per level, part paid, paid, disputed, postponed, promised."""

from tests.scenarios.world import World


def test_a_debt_is_reminded_once_per_level_and_forgotten_when_paid(world: World) -> None:
    world.invoice("INV-1", account="acme", due="2026-01-01", amount="120.00 EUR")

    assert world.run("2026-01-07") == []  # six days late: silence
    assert world.run("2026-01-08") == ["acme level 1 120.00 EUR"]
    assert world.run("2026-01-08") == []  # the same day again: nothing twice

    world.payment("INV-1", on="2026-01-10")
    assert world.run("2026-01-29") == []  # paid: never reminded again
