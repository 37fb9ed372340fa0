"""Each answer of a provider means exactly one thing for the message (domain §8)."""

import pytest

from dunning_pipeline.delivery.queue import requeue
from dunning_pipeline.delivery.switches import switch_on
from dunning_pipeline.delivery.working.worker import deliver
from tests.delivery.desk import NOW, Desk
from tests.delivery.provider_server import ProviderServer, Reply, first_replies, resets_before_reading


@pytest.fixture
def sendgrid(sendgrid: ProviderServer, monkeypatch: pytest.MonkeyPatch) -> ProviderServer:
    monkeypatch.setenv("DUNNING_HTTP_TIMEOUT_SECONDS", "0.4")
    monkeypatch.setattr("dunning_pipeline.delivery.working.outcomes.FIRST_BACKOFF_SECONDS", 0.02)
    return sendgrid


def test_accepted_is_202_and_the_message_id_is_kept(desk: Desk, sendgrid: ProviderServer) -> None:
    key = desk.message("acme")

    assert deliver(desk.ws, now=NOW)["sent"] == 1
    row = desk.send(key)
    assert (row["status"], row["provider"], row["provider_message_id"]) == ("sent", "sendgrid", "m1")
    assert sendgrid.counts == {key: 1}


def test_too_many_requests_waits_as_long_as_asked_and_tries_again(desk: Desk, sendgrid: ProviderServer) -> None:
    sendgrid.behaviour = first_replies(Reply(429, {"Retry-After": "1"}))
    key = desk.message("acme")

    counts = deliver(desk.ws, now=NOW)
    assert (counts["sent"], counts["queued"]) == (1, 1)
    assert desk.attempts(key) == ["refused", "sent"]
    assert sendgrid.counts == {key: 1}


def test_service_unavailable_is_tried_again(desk: Desk, sendgrid: ProviderServer) -> None:
    sendgrid.behaviour = first_replies(Reply(503), Reply(503))
    key = desk.message("acme")

    assert deliver(desk.ws, now=NOW)["sent"] == 1
    assert desk.attempts(key) == ["refused", "refused", "sent"]


def test_a_long_retry_after_is_left_for_the_next_run(desk: Desk, sendgrid: ProviderServer) -> None:
    sendgrid.behaviour = first_replies(then=Reply(429, {"Retry-After": "3600"}))
    keys = [desk.message(f"a{n}") for n in range(3)]

    deliver(desk.ws, now=NOW)
    assert len(sendgrid.requests) == 1
    assert {desk.send(key)["status"] for key in keys} == {"queued"}


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_other_refusals_fail_for_good(desk: Desk, sendgrid: ProviderServer, status: int) -> None:
    body = b'{"errors": [{"message": "Does not contain a valid address.", "field": "personalizations.0.to.0.email"}]}'
    sendgrid.behaviour = first_replies(then=Reply(status, body=body))
    key = desk.message("acme")

    assert deliver(desk.ws, now=NOW)["failed"] == 1
    deliver(desk.ws, now=NOW)
    row = desk.send(key)
    assert row["status"] == "failed"
    assert "valid address" in row["reason"]
    assert len(sendgrid.requests) == 1
    assert "send_failed" in desk.findings()


@pytest.mark.parametrize(
    "reply", [Reply(500), Reply(502), Reply(504), Reply(200), Reply(delay=2.0), Reply(reset="after")], ids=str
)
def test_what_may_have_left_is_unknown_and_never_tried_again(
    desk: Desk, sendgrid: ProviderServer, reply: Reply
) -> None:
    sendgrid.behaviour = first_replies(then=reply)
    key = desk.message("acme")

    assert deliver(desk.ws, now=NOW)["unknown"] == 1
    assert deliver(desk.ws, now=NOW)["unknown"] == 0
    assert desk.send(key)["status"] == "unknown"
    assert len(sendgrid.requests) == 1
    assert "send_unknown" in desk.findings()


def test_a_reset_before_the_body_was_read_is_unknown_too(desk: Desk, sendgrid: ProviderServer) -> None:
    sendgrid.behaviour = resets_before_reading
    key = desk.message("acme")

    assert deliver(desk.ws, now=NOW)["unknown"] == 1
    assert desk.send(key)["status"] == "unknown"


@pytest.mark.parametrize("status", [401, 403, 302])
def test_wrong_credentials_open_the_circuit_and_lose_nothing(desk: Desk, sendgrid: ProviderServer, status: int) -> None:
    sendgrid.behaviour = first_replies(then=Reply(status, {"Location": "http://127.0.0.1:1/"}))
    keys = [desk.message(f"a{n}") for n in range(20)]

    counts = deliver(desk.ws, now=NOW)
    assert counts["errors"]
    assert len(sendgrid.requests) == 1
    assert {desk.send(key)["status"] for key in keys} == {"queued"}
    assert "circuit_open" in desk.findings()

    deliver(desk.ws, now=NOW)
    assert len(sendgrid.requests) == 2  # one probe, not twenty

    sendgrid.behaviour = first_replies()
    assert deliver(desk.ws, now=NOW)["sent"] == 20
    assert sum(sendgrid.counts.values()) == 20
    assert desk.findings() == []  # what is over is nobody's task


@pytest.mark.parametrize("reply", [Reply(500), Reply(reset="after")], ids=str)
def test_an_outage_that_leaves_messages_unknown_opens_the_circuit_too(
    desk: Desk, sendgrid: ProviderServer, reply: Reply
) -> None:
    sendgrid.behaviour = first_replies(then=reply)
    for number in range(20):
        desk.message(f"a{number}")

    assert deliver(desk.ws, now=NOW)["errors"]
    assert desk.statuses() == {"unknown": 5, "queued": 15}
    deliver(desk.ws, now=NOW)
    assert desk.statuses() == {"unknown": 6, "queued": 14}  # one probe per run

    sendgrid.behaviour = first_replies()
    assert deliver(desk.ws, now=NOW)["sent"] == 14
    assert desk.findings() == ["send_unknown"] * 6


def test_who_names_a_time_or_is_down_is_asked_again_as_often_as_need_be(
    desk: Desk, sendgrid: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dunning_pipeline.delivery.working.outcomes.MAX_ATTEMPTS", 2)
    monkeypatch.setattr("dunning_pipeline.delivery.working.session.LONGEST_WAIT_SECONDS", 0.0)
    monkeypatch.setattr("dunning_pipeline.delivery.working.worker.WAIT_SECONDS", 0.0)
    sendgrid.behaviour = first_replies(then=Reply(429, {"Retry-After": "1"}))
    key = desk.message("acme")
    for _ in range(3):
        desk.set(key, next_attempt_at=None)
        deliver(desk.ws, now=NOW)
    assert desk.attempts(key) == ["refused"] * 3

    with desk.engine.begin() as connection:
        switch_on(connection, "circuit:sendgrid", actor="delivery", reason="down", at=NOW)
    sendgrid.behaviour = first_replies(then=Reply(503))
    for _ in range(3):
        desk.set(key, next_attempt_at=None)
        deliver(desk.ws, now=NOW)
    assert desk.send(key)["status"] == "queued"
    assert len(sendgrid.requests) == 6


def test_what_failed_and_left_later_is_nobodys_task_any_more(desk: Desk, sendgrid: ProviderServer) -> None:
    sendgrid.behaviour = first_replies(Reply(400))
    key = desk.message("acme")
    deliver(desk.ws, now=NOW)
    assert desk.findings() == ["send_failed"]

    with desk.engine.begin() as connection:
        requeue(connection, key, now=NOW, actor="me")
    assert deliver(desk.ws, now=NOW)["sent"] == 1
    assert desk.findings() == []


def test_a_provider_that_is_not_there_is_tried_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_MAIL", "sendgrid")
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.test")
    monkeypatch.setenv("SENDGRID_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr("dunning_pipeline.delivery.working.worker.WAIT_SECONDS", 0.5)
    keys = [desk.message(f"a{n}") for n in range(12)]

    counts = deliver(desk.ws, now=NOW)
    assert counts["sent"] == 0
    assert counts["errors"]  # the circuit opened after a few
    assert {desk.send(key)["status"] for key in keys} == {"queued"}


def test_in_the_sandbox_nothing_counts_as_sent(
    desk: Desk, sendgrid: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDGRID_SANDBOX", "1")
    sendgrid.behaviour = first_replies(then=Reply(200))
    key = desk.message("acme")

    assert deliver(desk.ws, now=NOW)["held"] == 1
    assert desk.send(key)["reason"] == "sandbox"
    assert sendgrid.requests[0].json["mail_settings"]["sandbox_mode"]["enable"] is True


def test_connections_are_kept_open(desk: Desk, sendgrid: ProviderServer) -> None:
    for number in range(30):
        desk.message(f"a{number}")
    assert deliver(desk.ws, now=NOW)["sent"] == 30
    assert sendgrid.connections == 1


def test_plain_http_is_for_loopback_only(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from dunning_pipeline.errors import InvalidInput

    monkeypatch.setenv("DUNNING_MAIL", "sendgrid")
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.test")
    monkeypatch.setenv("SENDGRID_HOST", "http://mail.example.com")
    desk.message("acme")
    with pytest.raises(InvalidInput, match="https"):
        deliver(desk.ws, now=NOW)
