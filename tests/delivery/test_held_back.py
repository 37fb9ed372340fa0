"""What did not leave has a time: since when it is held, and when it was cancelled or superseded."""

from datetime import timedelta
from typing import Any

from dunning_pipeline.console.timeline import timeline
from dunning_pipeline.delivery.queue import cancel_send, requeue
from dunning_pipeline.delivery.switches import switch_off, switch_on
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.ledger.reading import details_of
from dunning_pipeline.statements.booking.superseding import supersede_unsent
from dunning_pipeline.statements.voiding import void
from tests.delivery.desk import NOW, Desk

HOUR = timedelta(hours=1)


def told(desk: Desk, key: str) -> Any:
    [row] = [row for row in desk.sends() if row["key"] == key]
    return row["status"], row["held_back_at"]


def test_what_is_held_again_for_the_same_reason_is_held_since_the_first_time(desk: Desk) -> None:
    key = desk.message("acme")
    with desk.engine.begin() as connection:
        switch_on(connection, "campaign:notice", actor="me", reason=None, at=NOW)
    for hours in range(3):
        deliver(desk.ws, now=NOW + hours * HOUR)
    status, since = told(desk, key)
    assert status == "held" and timedelta() <= since - NOW < HOUR
    with desk.engine.begin() as connection:
        switch_off(connection, "campaign:notice", actor="me", at=NOW)
    deliver(desk.ws, now=NOW + 3 * HOUR)
    assert told(desk, key) == ("sent", None)


def test_each_way_of_not_being_sent_has_its_time(desk: Desk) -> None:
    numbers = ("called", "void", "paid", "newer")
    for number in numbers:
        desk.invoice(number, account=number)
    desk.publish()
    keys = {number: desk.queue(desk.statement(number, lines={number: 10000}))[0] for number in numbers}
    with desk.engine.begin() as connection:
        cancel_send(connection, keys["called"], now=NOW + HOUR, actor="me", reason="they called")
    void(desk.ws, desk.send(keys["void"])["statement_id"], reason="wrong", now=NOW + 2 * HOUR, actor="me")
    again = {**desk.statement("newer", lines={"newer": 10000}, status="draft"), "legal_entity": None}
    with desk.engine.begin() as connection:
        details = {again["statement_id"]: details_of(connection, [again["statement_id"]])[again["statement_id"]]}
        supersede_unsent(connection, [again], details, now=NOW + 3 * HOUR, actor="me")
    desk.paid("paid", "100.00")
    desk.publish()
    assert told(desk, keys["paid"]) == ("queued", None)
    deliver(desk.ws, now=NOW + 4 * HOUR, send_now=True)
    found = {number: told(desk, key) for number, key in keys.items()}
    assert {number: (status, (at - NOW) // HOUR) for number, (status, at) in found.items()} == {
        "called": ("cancelled", 1), "void": ("cancelled", 2), "newer": ("superseded", 3), "paid": ("cancelled", 4)
    }  # fmt: skip


def test_a_person_who_queues_it_again_begins_anew(desk: Desk) -> None:
    key = desk.message("acme")
    with desk.engine.begin() as connection:
        switch_on(connection, "campaign:notice", actor="me", reason=None, at=NOW)
    deliver(desk.ws, now=NOW)
    with desk.engine.begin() as connection:
        requeue(connection, key, now=NOW, actor="me")
    assert told(desk, key) == ("queued", None)
    deliver(desk.ws, now=NOW + 2 * HOUR)
    assert told(desk, key)[1] >= NOW + 2 * HOUR


def test_an_accounts_timeline_has_what_was_cancelled_when_it_was() -> None:
    empty = {name: [] for name in ("statements", "notes", "postings", "payments", "blocks", "promises")}
    rows = [
        {"send_key": status, "status": status, "queued_at": NOW, "sent_at": sent, "held_back_at": NOW + HOUR}
        for status, sent in (("cancelled", None), ("queued", None), ("sent", NOW + 2 * HOUR))
    ]
    record = {**empty, "postponements": [], "assignments": [], "sends": rows}
    events = timeline(record, zone=NOW.tzinfo)  # type: ignore[arg-type]
    assert [(event["row"]["status"], (event["at"] - NOW) / HOUR) for event in events] == [
        ("sent", 2), ("cancelled", 1), ("queued", 0)
    ]  # fmt: skip
