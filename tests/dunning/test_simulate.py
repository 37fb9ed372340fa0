"""Simulation and back-test play days with the real decision and leave nothing behind."""

from datetime import date
from pathlib import Path

import pytest

from dunning_pipeline.dunning.scope import Scope
from dunning_pipeline.dunning.simulate import backtest, simulate
from dunning_pipeline.errors import InvalidInput, NotThere
from dunning_pipeline.settings.workspace import Workspace
from tests.dunning.world import World

PROCESS = """
min_interval_days: 2
levels:
  - {level: 1, when: {days: 1}, template: a}
  - {level: 2, when: {days: 4}, template: b, fee: {EUR: 5}}
  - {level: 3, when: {days: 1, after: last_statement}, template: c}
"""


@pytest.mark.slow
def test_if_nobody_pays_every_level_comes_on_its_day(world: World) -> None:
    world.process(PROCESS)
    world.invoice("INV", due="2026-01-01")
    con = world.database()

    played = simulate(Workspace(world.folder), start=date(2026, 1, 1), days=9, facts=con, ledger=False)
    assert [(str(one.day), one.level, one.please_pay_minor) for one in played] == [
        ("2026-01-02", 1, 10000),
        ("2026-01-05", 2, 10500),
        ("2026-01-07", 3, 10500),  # the interval of two days, the fee of before carried
    ]
    assert con.execute("select count(*) from ops.item_levels").fetchall() == [(0,)]  # nothing stays
    again = simulate(Workspace(world.folder), start=date(2026, 1, 1), days=9, facts=con, ledger=False)
    assert again == played


def test_if_they_pay_as_late_as_they_are_used_to(world: World) -> None:
    world.process(PROCESS)
    for number in range(3):
        world.invoice(f"OLD{number}", due="2025-11-01")
        world.payment(f"OLD{number}", on="2025-11-04", amount="100.00 EUR")  # three days late, always
    world.invoice("INV", due="2026-01-01")

    played = simulate(
        Workspace(world.folder), start=date(2026, 1, 1), days=9, pays="observed", facts=world.database(), ledger=False
    )
    assert [(str(one.day), one.level) for one in played] == [("2026-01-02", 1)]
    assert played[0].as_json()["channels"] == []  # nobody to write to here


@pytest.mark.slow
def test_a_backtest_shows_what_a_change_would_have_done(world: World, tmp_path: Path) -> None:
    world.process(PROCESS)
    world.invoice("SLOW", due="2026-01-01")
    world.payment("SLOW", on="2026-01-04", amount="100.00 EUR")
    world.invoice("NEVER", due="2026-01-01", account="never")
    changed = tmp_path / "changed.yaml"
    changed.write_text("process: test\nlevels: [{level: 1, when: {days: 5}, template: a}]\n", encoding="utf-8")

    rows = backtest(
        Workspace(world.folder), changed, start=date(2026, 1, 1), end=date(2026, 1, 8), facts=world.database()
    )
    assert [(r["account_id"], r["statements_now"], r["statements_changed"], r["differs"]) for r in rows] == [
        ("acme", 1, 0, True),
        ("never", 3, 1, True),
    ]
    assert [(r["asked_last_now"], r["asked_last_changed"]) for r in rows] == [("100.00", None), ("105.00", "100.00")]


def test_too_many_days_and_unknown_processes_are_refused(world: World, tmp_path: Path) -> None:
    world.process(PROCESS)
    ws, changed = Workspace(world.folder), tmp_path / "changed.yaml"
    changed.write_text("process: another\nlevels: [{level: 1, when: {days: 5}, template: a}]\n", encoding="utf-8")
    with pytest.raises(NotThere, match="no process 'another'"):
        backtest(ws, changed, start=date(2026, 1, 1), end=date(2026, 1, 8), facts=world.database())
    with pytest.raises(NotThere, match="no process 'nope'"):
        simulate(ws, start=date(2026, 1, 1), days=1, scope=Scope(process="nope"), facts=world.database(), ledger=False)
    with pytest.raises(InvalidInput, match="between 1 and 400"):
        simulate(Workspace(world.folder), start=date(2026, 1, 1), days=4000)
