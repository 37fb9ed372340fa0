"""Two processes that want the same row: one comes first, and the other sees what it did; on both databases."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, select, text, update

from dunning_pipeline.delivery.working.outcomes import leave_together
from dunning_pipeline.errors import Refused
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.ledger.schema import findings, postings, sends, statements
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.booking.charges import list_charges, pay
from dunning_pipeline.statements.drafting.drafts import remove_drafts
from dunning_pipeline.statements.voiding import void, void_statement
from tests.ledger.test_opening import put_statement

NOW = datetime(2026, 1, 10, 9, 30, tzinfo=UTC)


@pytest.fixture
def engine(ledger_workspace: Workspace) -> Engine:
    engine = open_ledger(ledger_workspace)
    with engine.begin() as connection:
        put_statement(connection)
    return engine


def meanwhile(engine: Engine, first: Callable[[Connection], Any], second: Callable[[], Any]) -> "Future[Any]":
    """Begin `second` while the transaction of `first` is open, which ends when `second` waits for it, or is done."""
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            first(connection)
            later = pool.submit(second)
            until = time.monotonic() + 30
            while engine.dialect.name != "sqlite" and not later.done() and not _somebody_waits(engine):
                assert time.monotonic() < until
        later.exception()
    return later


def _somebody_waits(engine: Engine) -> bool:
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    with reading(engine) as connection:
        return bool(connection.scalar(text(waiting)))


def close(connection: Connection) -> None:
    connection.execute(update(statements).values(status="closed", number="R-1", draft_key=None))


def put_leaving(engine: Engine) -> dict[str, Any]:
    """A claimed message of the closed statement, as its worker knows it."""
    with engine.begin() as connection:
        close(connection)
        connection.execute(
            insert(sends).values(
                send_key="k", kind="dunning", channel="email", statement_id="s1", account_key="s:1", recipients={},
                content_sha256="c", status="in_flight", phase="claimed", claimed_by="w", due_at=NOW, send_now=False,
                attempts=0, queued_at=NOW, created_by="t",
            )
        )  # fmt: skip
    return {"send_key": "k", "statement_id": "s1", "claimed_by": "w"}


def test_a_draft_that_is_closed_this_moment_is_not_removed(engine: Engine) -> None:
    def remove() -> int:
        return remove_drafts(engine, ["s1"], now=NOW, actor="t", reason="no longer proposed")

    assert meanwhile(engine, close, remove).result() == 0
    with reading(engine) as connection:
        assert connection.scalar(select(statements.c.status)) == "closed"


def test_a_message_does_not_leave_while_its_statement_is_voided(engine: Engine, ledger_workspace: Workspace) -> None:
    row = put_leaving(engine)

    def voided_by_a_person(connection: Connection) -> None:
        # what a void does to the statement, without the look at messages that are under way
        connection.execute(update(statements).values(status="voided", void_reason="wrong"))

    def leave() -> Any:
        with engine.begin() as connection:
            return leave_together(connection, [([row], "outbox", 0)])

    assert meanwhile(engine, voided_by_a_person, leave).result() == [set()]


def test_a_statement_whose_message_leaves_this_moment_is_not_voided(
    engine: Engine, ledger_workspace: Workspace
) -> None:
    row = put_leaving(engine)
    later = meanwhile(
        engine,
        lambda connection: leave_together(connection, [([row], "outbox", 0)]),
        lambda: void(ledger_workspace, "s1", reason="wrong", now=NOW, actor="t"),
    )
    assert isinstance(later.exception(), Refused)


def test_two_who_void_a_statement_reverse_its_charges_once(engine: Engine, ledger_workspace: Workspace) -> None:
    with engine.begin() as connection:
        close(connection)
        put_charge(connection)
    later = meanwhile(
        engine,
        lambda connection: void_statement(connection, ledger_workspace, "s1", reason="wrong", now=NOW, actor="a"),
        lambda: void(ledger_workspace, "s1", reason="wrong", now=NOW, actor="b"),
    )
    assert later.result() is False
    with reading(engine) as connection:
        assert sorted(connection.scalars(select(postings.c.amount_minor))) == [-1000, 1000]


def test_two_payments_of_one_charge_cannot_pay_more_than_is_owed(engine: Engine) -> None:
    with engine.begin() as connection:
        put_charge(connection)

    def pay_as(reference: str, connection: Connection) -> int:
        return pay(connection, "p", amount_minor=700, reference=reference, on=NOW.date(), actor="t", now=NOW)

    def second() -> int:
        with engine.begin() as connection:
            return pay_as("second", connection)

    assert isinstance(meanwhile(engine, lambda connection: pay_as("first", connection), second).exception(), Refused)
    with reading(engine) as connection:
        assert [charge.owed_minor for charge in list_charges(connection)] == [300]


def test_two_who_find_the_same_raise_it_once(engine: Engine) -> None:
    def found(connection: Connection, message: str) -> str:
        said = {"kind": "k", "object_kind": "account", "object_id": "a", "severity": "warning", "message": message}
        return raise_finding(connection, **said, at=NOW)

    def second() -> str:
        with engine.begin() as connection:
            return found(connection, "two")

    meanwhile(engine, lambda connection: found(connection, "one"), second).result()
    with reading(engine) as connection:
        assert connection.scalars(select(findings.c.message)).all() == ["two"]


def put_charge(connection: Connection) -> None:
    connection.execute(
        insert(postings).values(
            posting_id="p", posting_key="s1:2", type="fee", statement_id="s1", account_key="s:1", currency="EUR",
            amount_minor=1000, posted_on=NOW.date(), created_at=NOW, created_by="t",
        )
    )  # fmt: skip
