"""Two processes close the same drafts at once: each number once, no gap, each posting once; also after a crash."""

import multiprocessing
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dunning_pipeline.ledger.backup import backup, restore
from dunning_pipeline.ledger.engine import dispose, reading
from dunning_pipeline.ledger.schema import postings
from dunning_pipeline.ledger.verifying import verify
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements import closing
from tests.ledger.conftest import ledger_workspace, postgres_server  # noqa: F401
from tests.scenarios.world import World, noon

DEBTS = 12
PROCESS = """
process: standard
levels:
  - {level: 1, when: {days: 7}, template: friendly_reminder, fee: {EUR: 5.00}}
"""


@pytest.fixture
def drafted(ledger_workspace: Workspace) -> Iterator[tuple[World, list[str]]]:  # noqa: F811
    world = World(ledger_workspace)
    world.process(PROCESS)
    for n in range(DEBTS):
        world.invoice(f"INV-{n}", account=f"a{n}", due="2026-01-01", amount="100.00 EUR")
    yield world, world.draft("2026-01-08").statement_ids


def close_in_process(root: str, ids: list[str], dies_after: int | None) -> None:
    closing.CHUNK_STATEMENTS = 2  # type: ignore[misc]
    written = 0

    def progress(what: str, done: int, total: int) -> None:
        nonlocal written
        written = done
        if dies_after is not None and done >= dies_after:
            os._exit(9)

    closing.close(Workspace(Path(root)), ids, now=noon("2026-01-08"), actor="x", progress=progress, pdf=False)


def start(world: World, ids: list[str], dies_after: int | None = None) -> Any:
    process = multiprocessing.get_context("spawn").Process(
        target=close_in_process, args=(str(world.ws.root), ids, dies_after)
    )
    process.start()
    return process


def numbers(world: World) -> list[str]:
    return sorted(one["number"] for one in world.statements(status="closed"))


EXPECTED = [f"D-2026-{n:06d}" for n in range(1, DEBTS + 1)]


@pytest.mark.slow
def test_two_processes_and_a_crash_give_each_number_and_posting_once(
    drafted: tuple[World, list[str]], tmp_path: Path
) -> None:
    world, ids = drafted
    crashing = start(world, ids, dies_after=4)
    crashing.join()
    assert crashing.exitcode == 9 and numbers(world) == EXPECTED[:4]

    both = [start(world, ids), start(world, list(reversed(ids)))]
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert numbers(world) == EXPECTED
    with reading(world.ledger) as connection:
        posted = connection.execute(select(postings.c.statement_id)).all()
    assert len(posted) == len(set(posted)) == DEBTS
    assert not any(verify(world.ws).values())

    if world.ledger.dialect.name == "sqlite":
        copy = backup(world.ws, tmp_path / "copy" / "ledger.backup")
        before = world.statements()
        with world.ledger.begin() as connection:
            connection.exec_driver_sql("update statements set status = 'voided', void_reason = 'x'")
        restore(world.ws, copy, replace=True, now=noon("2026-01-08"), actor="test")
        assert world.statements() == before and date(2026, 1, 8)
        dispose(world.ws.ledger_url)
