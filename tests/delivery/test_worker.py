"""What is due leaves once, through the outbox; what must not leave does not."""

from datetime import timedelta
from email import message_from_bytes, policy

from dunning_pipeline.delivery.worker import deliver
from tests.delivery.desk import NOW, Desk


def test_a_message_is_written_once_and_recorded(desk: Desk) -> None:
    key = desk.message("acme")

    assert deliver(desk.ws, now=NOW)["sent"] == 1
    assert deliver(desk.ws, now=NOW)["sent"] == 0

    assert desk.outbox() == [key]
    mail = message_from_bytes((desk.ws.outbox / f"{key}.eml").read_bytes(), policy=policy.default)
    assert mail["To"] == "acme@example.com"
    assert mail["X-Dunning-Key"] == key
    assert "Northwind" in mail["From"]
    assert desk.send(key)["status"] == "sent"
    assert desk.attempts(key) == ["sent"]


def test_what_is_not_due_waits_for_its_hour(desk: Desk) -> None:
    key = desk.message("acme", send_now=False, due_at=NOW + timedelta(hours=3))

    assert deliver(desk.ws, now=NOW)["sent"] == 0
    assert desk.send(key)["status"] == "queued"
    assert deliver(desk.ws, now=NOW + timedelta(hours=3))["sent"] == 1


def test_many_workers_deliver_each_message_once(desk: Desk) -> None:
    keys = sorted(desk.message(f"a{number}") for number in range(60))

    assert deliver(desk.ws, now=NOW, workers=4)["sent"] == 60
    assert desk.outbox() == keys
