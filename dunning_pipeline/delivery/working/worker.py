"""`dunning send`: takes back what dead workers held, then delivers what is due with as many workers as asked for."""

import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import and_, func, or_, select

from dunning_pipeline.delivery.judging.verdicts import business_day
from dunning_pipeline.delivery.payments import watch_charges
from dunning_pipeline.delivery.providers.protocol import HttpProvider
from dunning_pipeline.delivery.switches import stop_where_away, switched_on
from dunning_pipeline.delivery.working.claims import end_lease, renew_lease
from dunning_pipeline.delivery.working.lane import Lane
from dunning_pipeline.delivery.working.many_hands import ManyHands
from dunning_pipeline.delivery.working.recovery import close_settled_findings, queue_held_again, recover
from dunning_pipeline.delivery.working.session import Session
from dunning_pipeline.dunning.processes import CHANNELS
from dunning_pipeline.errors import InvalidInput, NotThere
from dunning_pipeline.ledger import home
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.ledger.schema import sends
from dunning_pipeline.settings.workspace import Workspace

OUTCOMES = ("sent", "queued", "held", "cancelled", "failed", "unknown")
Progress = Callable[[str, int, int], None]  # text, done, total
WAIT_SECONDS = 120.0  # how long a run goes on only waiting for refused messages
WORTH_A_PROCESS = 100  # due messages; below this, threads of one process are enough


def deliver(
    ws: Workspace,
    *,
    now: datetime,
    workers: int = 1,
    send_now: bool = False,
    progress: Progress | None = None,
    processes: int | None = None,
) -> dict[str, Any]:
    """Deliver what is due at `now`: counts per outcome, with `errors` where a way out is closed.

    `workers` messages at most are in flight at once, spread over `processes` (default: as many as there are cores).
    `send_now` overrides the hour, weekend and holiday. `recovered` and `left_behind` tell what dead workers left.
    """
    if workers < 1:
        raise InvalidInput("at least one worker is needed", value=workers)
    session = Session(ws, now=now, send_now=send_now, progress=None)
    try:
        has_home = _look_around(session, now)
        counts = _begin(session, now)
        total = count_due(ws, now=now, send_now=send_now)
        switches = _switches(session)
        if "stop" not in switches:
            if total and not has_home:
                with session.engine.begin() as connection:
                    home.settle(connection, actor="delivery", at=now)
            _probe(session, switches)
        wanted = processes or min(workers, os.cpu_count() or 1)
        if wanted > 1 and total >= WORTH_A_PROCESS and not session.stopping.is_set():
            from dunning_pipeline.delivery.working.processes import run_processes

            shares = [workers // wanted + (number < workers % wanted) for number in range(wanted)]
            told = run_processes(ws, now=now, send_now=send_now, threads=shares, total=total, progress=progress)
            with session.engine.begin() as connection:
                recover(connection, ws, now=now, was_written=session.outlets.was_written)
        else:
            told = run_threads(session, workers, total=total, progress=progress)
        return _summary(counts, session, told)
    finally:
        session.close()
        with session.engine.begin() as connection:
            end_lease(connection)
            close_settled_findings(connection, now=now)


def run_threads(session: Session, workers: int, *, total: int = 0, progress: Progress | None = None) -> dict[str, Any]:
    """Deliver with `workers` threads of this process; counts of what they did. Ends gently when told to."""
    if progress is not None:
        session._progress = lambda _: progress("sending", sum(session.counts.values()), total)
    deadline = time.monotonic() + WAIT_SECONDS
    failures: list[BaseException] = []

    def work(lane: Lane) -> None:
        try:
            lane.run(deadline=deadline)
        except BaseException as error:
            failures.append(error)
            session.stopping.set()

    with _ends_gently(session):
        for made in (_charging, _lanes):
            lanes = made(session, workers)
            threads = [threading.Thread(target=work, args=(lane,), name=lane.name) for lane in lanes[1:]]
            for thread in threads:
                thread.start()
            for lane in lanes[:1]:
                work(lane)
            for thread in threads:
                thread.join()
    if failures:
        raise failures[0]
    return {**session.counts, "errors": list(session.errors)}


def _charging(session: Session, workers: int) -> list[Lane]:
    """Payment retries first: messages of what they pay do not leave."""
    waiting = count_due(session.ws, now=session.now(), send_now=session.send_now, channels=["payment_retry"])
    return [Lane(session, number, channels=["payment_retry"]) for number in range(min(workers, waiting))]


def _lanes(session: Session, workers: int) -> list[Lane]:
    """A lane per worker; where mail goes out by HTTP, one lane with a hand per worker for all mail, and as many for
    what else is due."""
    provider = session.outlets.of("email")
    if not isinstance(provider, HttpProvider):
        return [Lane(session, number) for number in range(workers)]
    others = [channel for channel in CHANNELS if channel != "email"]
    waiting = count_due(session.ws, now=session.now(), send_now=session.send_now, channels=others)
    mail = ManyHands(session, 0, channel="email", provider=provider, hands=workers)
    # one at least: a mail that cannot arrive may become a letter meanwhile
    return [mail, *(Lane(session, number + 1, channels=others) for number in range(max(1, min(workers, waiting))))]


def count_due(ws: Workspace, *, now: datetime, send_now: bool, channels: Sequence[str] = CHANNELS) -> int:
    """How many sends a worker could claim now."""
    due = and_(sends.c.status == "queued", sends.c.channel.in_(channels))
    if not send_now:
        due = and_(due, or_(sends.c.due_at <= now, sends.c.send_now))
    with reading(open_ledger(ws)) as connection:
        return connection.scalar(select(func.count()).select_from(sends).where(due)) or 0


def _look_around(session: Session, now: datetime) -> bool:
    """Press the stop button where the ledger is a copy; whether it has a home already."""
    with reading(session.engine) as connection:
        is_away, has_home = home.away(connection) is not None, home.has_home(connection)
    if is_away:
        with session.engine.begin() as connection:
            stop_where_away(connection, actor="delivery", at=now)
    return has_home


def _begin(session: Session, now: datetime) -> dict[str, int]:
    with suppress(NotThere):  # nothing is published yet
        watch_charges(
            session.engine, partial(session.facts.items, as_of=business_day(now, session.ws.company)), now=now
        )
    with session.engine.begin() as connection:
        renew_lease(connection)
        recovered = recover(connection, session.ws, now=now, was_written=session.outlets.was_written)
        queue_held_again(connection, now=now, send_now=session.send_now)
        _note_missing_payments(connection, now)
    return recovered


def _switches(session: Session) -> dict[str, str | None]:
    """What is switched on; a pressed stop button ends the session."""
    with reading(session.engine) as connection:
        switches = switched_on(connection)
    if "stop" in switches:
        session.stopping.set()
        session.errors.append(f"sending is stopped: {switches['stop'] or 'no reason given'}")
    return switches


def _probe(session: Session, switches: Collection[str]) -> None:
    """One message first through each way out whose circuit is open."""
    for channel in CHANNELS:
        if f"circuit:{session.outlets.name_of(channel)}" not in switches:
            continue
        if Lane(session, 0).probe(channel):
            session.close_circuit(channel)
        elif channel not in session.closed_channels:
            session.closed_channels.add(channel)
            session.errors.append(f"{session.outlets.name_of(channel)} is still not there")


def _note_missing_payments(connection: Any, now: datetime) -> None:
    from dunning_pipeline.delivery.judging.gate_facts import payments_loaded_at

    if payments_loaded_at(connection) is None and connection.scalar(
        select(func.count()).select_from(sends).where(sends.c.statement_id.is_not(None), sends.c.status == "queued")
    ):
        raise_finding(
            connection,
            kind="no_payment_stream",
            object_kind="workspace",
            object_id="payments",
            severity="warning",
            message="no payments were ever read: nobody can tell whether what is reminded was paid",
            at=now,
        )


@contextmanager
def _ends_gently(session: Session) -> Iterator[None]:
    """SIGTERM, Ctrl-C and Dagster's "Terminate": what is in flight gets its answer; a second Ctrl-C ends it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        if number == signal.SIGINT and session.stopping.is_set():
            raise KeyboardInterrupt
        session.stopping.set()

    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _summary(recovered: dict[str, int], session: Session, told: dict[str, Any]) -> dict[str, Any]:
    counts: dict[str, Any] = {
        name: told.get(name, 0) + (session.counts.get(name, 0) if told.get("apart") else 0) for name in OUTCOMES
    }
    counts["recovered"] = recovered
    errors = list(dict.fromkeys([*session.errors, *told.get("errors", [])]))
    if errors:
        counts["errors"] = errors
    return counts
