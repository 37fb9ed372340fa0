"""Many requests on their way from one thread: every kind of HTTP answer is understood, and none holds up another."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select

from dunning_pipeline.delivery.providers.answers import Response
from dunning_pipeline.delivery.providers.flights import Flights
from dunning_pipeline.delivery.providers.protocol import Answer
from dunning_pipeline.delivery.providers.wire import Request, Wire
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import sends
from tests.delivery.desk import NOW, Desk
from tests.delivery.provider_server import ProviderServer, Reply

ANSWERS = {
    "of a length": (b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nX-Message-Id: m1\r\n\r\nok", 202, b"ok"),
    "in chunks": (
        b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\n3\r\n ok\r\n0\r\n\r\n", 400, b"not ok"),
    "until the end": (b"HTTP/1.0 503 Later\r\nRetry-After: 7\r\n\r\nlater", 503, b"later"),
    "after a provisional one": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 202, b""),
    "without a body": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
}  # fmt: skip
BROKEN = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 202 Acc",
    "half a body": b"HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\nok",
    "no HTTP": b"220 mail.example.com ESMTP\r\n\r\n",
}


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """A server that gives one raw answer per connection, byte by byte, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    while b"BODY" not in connection.recv(65_536):
                        pass
                    for byte in answer:
                        connection.sendall(bytes([byte]))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        thread.join(5)


def the_answer(url: str) -> Response | Answer:
    flights = Flights(Wire())
    flights.depart("k", Request("POST", url, b"BODY", {}))
    while not (landed := flights.landed(1.0)):
        pass
    assert flights.aloft == 0
    flights.close()
    [(tag, told)] = landed
    assert tag == "k"
    return told


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_is_understood_however_it_is_written(kind: str) -> None:
    raw, status, body = ANSWERS[kind]
    with answering(raw) as url:
        told = the_answer(url)
    assert isinstance(told, Response)
    assert (told.status, told.data) == (status, body)
    assert told.headers.get("retry-AFTER") == ("7" if status == 503 else None)


@pytest.mark.parametrize("kind", BROKEN)
def test_an_answer_that_breaks_off_leaves_unknown_whether_it_was_taken(kind: str) -> None:
    with answering(BROKEN[kind]) as url:
        told = the_answer(url)
    assert isinstance(told, Answer)
    assert told.kind == "unknown"


def test_a_request_larger_than_what_the_system_takes_at_once_arrives_whole() -> None:
    large = bytes(range(256)) * 80_000  # 20 MB
    with ProviderServer() as server:
        flights = Flights(Wire())
        for tag, body in (("large", large), ("small", b"small")):
            flights.depart(tag, Request("POST", f"{server.url}/", body, {}))
        answers = {}
        while len(answers) < 2:
            answers.update(flights.landed(1.0))
        flights.close()
    assert {tag: answer.status for tag, answer in answers.items()} == {"large": 202, "small": 202}
    assert sorted(request.body for request in server.requests) == sorted((large, b"small"))


def test_one_slow_answer_holds_up_nothing_else(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is answered when all others were taken; did they wait for it, it would never be."""
    monkeypatch.setenv("DUNNING_MAIL", "sendgrid")
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.test")
    monkeypatch.setenv("DUNNING_HTTP_TIMEOUT_SECONDS", "10")
    all_taken = asyncio.Event()

    def behave(request: object, number: int) -> Reply:
        if number == 40:
            all_taken.set()
        return Reply(after=all_taken if number == 1 else None)

    with ProviderServer(behave) as server:
        monkeypatch.setenv("SENDGRID_HOST", server.url)
        slow = min([desk.message(f"a{number}") for number in range(40)])
        assert deliver(desk.ws, now=NOW, workers=4)["sent"] == 40
        assert set(server.counts.values()) == {1} and len(server.counts) == 40
        assert server.connections <= 4
    ends = {row["key"]: row["sent_at"] for row in desk.sends()}
    assert ends[slow] > sorted(ends.values())[20]


def test_one_worker_has_one_request_in_flight(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kill leaves in doubt is one message per worker at most: no other is marked as leaving meanwhile."""
    monkeypatch.setenv("DUNNING_MAIL", "sendgrid")
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.test")
    leaving: list[int] = []

    def behave(request: object, number: int) -> Reply:
        with reading(desk.engine) as connection:
            leaving.append(connection.scalar(select(func.count()).where(sends.c.phase == "leaving")))
        return Reply()

    with ProviderServer(behave) as server:
        monkeypatch.setenv("SENDGRID_HOST", server.url)
        for workers in (1, 3):
            for number in range(9):
                desk.message(f"a{number}", occurrence=str(workers))
            leaving.clear()
            assert deliver(desk.ws, now=NOW, workers=workers)["sent"] == 9
            assert max(leaving) == workers


def test_what_does_not_fit_into_memory_leaves_later_in_the_same_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUNNING_MAIL", "sendgrid")
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.test")
    monkeypatch.setattr("dunning_pipeline.delivery.working.preparing.MAX_HELD_BYTES", 1)
    for number in range(4):
        desk.invoice(f"INV-0000{number}", account=f"a{number}")
    desk.publish()
    for number in range(4):
        desk.queue(desk.statement(f"a{number}", lines={f"INV-0000{number}": 10000}))
    with ProviderServer() as server:
        monkeypatch.setenv("SENDGRID_HOST", server.url)
        assert deliver(desk.ws, now=NOW, workers=2)["sent"] == 4
        assert sorted(server.counts.values()) == [1, 1, 1, 1]


def test_a_rate_limit_does_not_wait_for_answers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pace says when one leaves, not the one before it."""
    monkeypatch.setenv("DUNNING_MAIL", "sendgrid")
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.test")
    monkeypatch.setenv("DUNNING_RATE_PER_SECOND", "1000")
    monkeypatch.setenv("DUNNING_HTTP_TIMEOUT_SECONDS", "3")
    with ProviderServer(lambda request, number: Reply(delay=0.8)) as server:
        monkeypatch.setenv("SENDGRID_HOST", server.url)
        for number in range(5):
            desk.message(f"a{number}")
        assert deliver(desk.ws, now=NOW, workers=5)["sent"] == 5
        assert server.connections == 5
