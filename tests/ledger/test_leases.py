"""A lease is kept while its holder works, also where the ledger is away for a moment."""

from collections.abc import Callable

from sqlalchemy import Engine, select, text, update

from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.leases import _renew, hold
from dunning_pipeline.ledger.schema import leases
from dunning_pipeline.settings.workspace import Workspace
from tests.ledger.test_opening import NOW


class Turns:
    """Instead of waiting for the next turn: does what happens before it; ends after the last one."""

    def __init__(self, *before: Callable[[], None]) -> None:
        self._before = iter(before)

    def wait(self, timeout: float) -> bool:
        happens = next(self._before, None)
        if happens is not None:
            happens()
        return happens is None


def test_a_turn_that_cannot_be_written_does_not_end_the_renewals(ledger_workspace: Workspace) -> None:
    engine = open_ledger(ledger_workspace)
    with hold(engine, "run") as holder:
        with engine.begin() as connection:
            connection.execute(update(leases).values(expires_at=NOW))
        away, back = "alter table leases rename to away", "alter table away rename to leases"
        _renew(engine, "run", holder, 60, Turns(lambda: do(engine, away), lambda: do(engine, back)))
        with reading(engine) as connection:
            assert (connection.scalar(select(leases.c.expires_at)) or NOW) > NOW


def do(engine: Engine, sql: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(sql))
