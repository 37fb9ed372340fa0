"""The other ways out: SMTP, Twilio, Stripe and tasks; what each says, and what becomes of the message."""

import json
import resource
import socket
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from dunning_pipeline.delivery.mime import build_mime, encoded_words, mailbox
from dunning_pipeline.delivery.providers.outbox import Outbox
from dunning_pipeline.delivery.providers.protocol import Attachment, Message
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.errors import InvalidInput
from tests.delivery.desk import NOW, Desk
from tests.delivery.provider_server import ProviderServer, Reply


class Mailbox:
    """An SMTP server's handler: keeps what it takes, refuses as told."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.refuse_rcpt: dict[str, str] = {}
        self.after_data = "250 ok"
        self.messages_per_connection: int | None = None
        self.connections: dict[str, int] = {}  # peer → messages that it began

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list) -> str:
        begun = self.connections[str(session.peer)] = self.connections.get(str(session.peer), 0) + 1
        if self.messages_per_connection is not None and begun > self.messages_per_connection:
            server.transport.abort()
        envelope.mail_from = address
        return "250 ok"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list) -> str:
        if address in self.refuse_rcpt:
            return self.refuse_rcpt[address]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.after_data == "reset":
            server.transport.abort()
            return "250 ok"
        if self.after_data.startswith("250"):
            self.taken.append(envelope)
        return self.after_data


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def smtp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    handler, port = Mailbox(), free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    monkeypatch.setenv("DUNNING_MAIL", "smtp")
    monkeypatch.setenv("DUNNING_SMTP_URL", f"smtp://127.0.0.1:{port}")
    monkeypatch.setenv("DUNNING_HTTP_TIMEOUT_SECONDS", "3")
    monkeypatch.setattr("dunning_pipeline.delivery.working.outcomes.FIRST_BACKOFF_SECONDS", 0.02)
    monkeypatch.setattr("dunning_pipeline.delivery.working.worker.WAIT_SECONDS", 1.0)
    yield handler
    controller.stop()


def test_smtp_takes_each_message_once_over_one_connection(desk: Desk, smtp: Mailbox) -> None:
    keys = {desk.message(f"a{number}", bcc=["archive@example.com"]) for number in range(5)}

    assert deliver(desk.ws, now=NOW)["sent"] == 5
    mails = [message_from_bytes(one.content, policy=policy.default) for one in smtp.taken]
    assert {mail["X-Dunning-Key"] for mail in mails} == keys
    assert all("Bcc" not in mail for mail in mails)
    assert all("archive@example.com" in one.rcpt_tos for one in smtp.taken)
    assert list(smtp.connections.values()) == [5]


def test_a_connection_that_the_server_closed_meanwhile_is_made_anew(desk: Desk, smtp: Mailbox) -> None:
    smtp.messages_per_connection = 2
    keys = {desk.message(f"a{number}") for number in range(5)}

    assert deliver(desk.ws, now=NOW)["sent"] == 5
    assert {message_from_bytes(one.content)["X-Dunning-Key"] for one in smtp.taken} == keys
    assert len(smtp.taken) == 5 and all(desk.attempts(key) == ["sent"] for key in keys)


def test_a_server_that_closes_at_every_message_is_tried_again_later(desk: Desk, smtp: Mailbox) -> None:
    smtp.messages_per_connection = 0
    key = desk.message("acme")
    assert deliver(desk.ws, now=NOW)["sent"] == 0
    assert desk.send(key)["status"] == "queued" and smtp.taken == []


def test_a_server_that_goes_away_at_data_has_taken_nothing(
    desk: Desk, smtp: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def going_away(server: SMTP, arg: str) -> None:
        await server.push("421 going down for maintenance")
        server.transport.close()

    with monkeypatch.context() as maintenance:
        maintenance.setattr(SMTP, "smtp_DATA", going_away)
        key = desk.message("acme")
        assert deliver(desk.ws, now=NOW)["unknown"] == 0
        assert desk.send(key)["status"] == "queued"
    desk.set(key, next_attempt_at=None)
    assert deliver(desk.ws, now=NOW)["sent"] == 1


def test_a_mailbox_that_is_not_there_fails_and_is_suppressed(desk: Desk, smtp: Mailbox) -> None:
    smtp.refuse_rcpt = {"acme@example.com": "550 no such user"}
    key = desk.message("acme")

    assert deliver(desk.ws, now=NOW)["failed"] == 1
    assert "no such user" in desk.send(key)["reason"]
    again = desk.message("acme", occurrence="next")
    deliver(desk.ws, now=NOW)
    assert desk.send(again)["reason"] == "suppressed"


def test_a_copy_that_is_refused_stops_nobody_else(desk: Desk, smtp: Mailbox) -> None:
    smtp.refuse_rcpt = {"gone@example.com": "550 no such user"}
    desk.message("acme", cc=["gone@example.com"])
    assert deliver(desk.ws, now=NOW)["sent"] == 1


def test_greylisting_is_tried_again(desk: Desk, smtp: Mailbox) -> None:
    smtp.refuse_rcpt = {"acme@example.com": "451 later"}
    key = desk.message("acme")
    counts = deliver(desk.ws, now=NOW)
    assert counts["sent"] == 0 and desk.send(key)["status"] == "queued"
    smtp.refuse_rcpt = {}
    desk.set(key, next_attempt_at=None)
    assert deliver(desk.ws, now=NOW)["sent"] == 1


def test_a_reset_after_the_data_is_unknown(desk: Desk, smtp: Mailbox) -> None:
    smtp.after_data = "reset"
    key = desk.message("acme")
    assert deliver(desk.ws, now=NOW)["unknown"] == 1
    assert desk.send(key)["status"] == "unknown"


def test_a_refusal_after_the_data_fails(desk: Desk, smtp: Mailbox) -> None:
    smtp.after_data = "554 looks like spam"
    desk.message("acme")
    assert deliver(desk.ws, now=NOW)["failed"] == 1


# -- Twilio -------------------------------------------------------------------------------------------------------
@pytest.fixture
def twilio(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProviderServer]:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC" + "0" * 32)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "t")
    monkeypatch.setenv("TWILIO_FROM", "+4930123456")
    monkeypatch.setenv("DUNNING_HTTP_TIMEOUT_SECONDS", "0.5")
    monkeypatch.setattr("dunning_pipeline.delivery.working.worker.WAIT_SECONDS", 0.0)
    with ProviderServer() as server:
        monkeypatch.setenv("TWILIO_HOST", server.url)
        yield server


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply(201, body=b'{"sid": "SM1"}'), "sent"),
        (Reply(400, body=b'{"code": 21610, "message": "unsubscribed", "status": 400}'), "failed"),
        (Reply(429, body=b'{"code": 20429, "message": "slow down", "status": 429}'), "queued"),
        (Reply(401, body=b'{"code": 20003, "message": "who?", "status": 401}'), "queued"),
        (Reply(500, body=b'{"code": 20500, "message": "oops", "status": 500}'), "unknown"),
        (Reply(201, body=b'{"sid": "SM1"}', delay=2), "unknown"),
        (Reply(reset="after"), "unknown"),
    ],
    ids=["taken", "opted out", "too many", "locked out", "broken", "slow", "reset"],
)
def test_text_messages(desk: Desk, twilio: ProviderServer, reply: Reply, status: str) -> None:
    twilio.behaviour = lambda request, number: reply
    key = desk.message("acme", channel="sms", to="+4915112345678")

    deliver(desk.ws, now=NOW)
    assert desk.send(key)["status"] == status
    assert len(twilio.requests) == 1
    if b"21610" in reply.body:
        again = desk.message("acme", channel="sms", to="+4915112345678", occurrence="next")
        deliver(desk.ws, now=NOW)
        assert desk.send(again)["reason"] == "suppressed"


# -- Stripe -------------------------------------------------------------------------------------------------------
def charged(desk: Desk) -> tuple[str, str]:
    """A statement by payment retry (now) and by e-mail (later); their keys."""
    desk.invoice("INV-00001", account="acme")
    desk.means = [("acme", "cus_1", "pm_1")]
    desk.publish()
    statement = desk.statement("acme", lines={"INV-00001": 10000})
    [retry] = desk.queue(statement, channels=["payment_retry"])
    [mail] = desk.queue(statement, channels=["email"], send_now=False)
    return retry, mail


def test_a_payment_that_succeeds_stops_the_dunning(desk: Desk, stripe: ProviderServer) -> None:
    stripe.behaviour = lambda request, number: Reply(
        200, body=b'{"id": "pi_1", "object": "payment_intent", "status": "succeeded"}'
    )
    retry, mail = charged(desk)

    deliver(desk.ws, now=NOW)
    assert (desk.send(retry)["status"], desk.send(retry)["delivery"]) == ("sent", "succeeded")
    assert (desk.send(mail)["status"], desk.send(mail)["reason"]) == ("cancelled", "paid_by_retry")
    later = desk.statement("acme", lines={"INV-00001": 10000})
    [again] = desk.queue(later)
    deliver(desk.ws, now=NOW)
    assert desk.send(again)["reason"] == "block"  # waits for the source's own payment


def test_a_declined_card_is_recorded_and_the_reminder_goes_on(desk: Desk, stripe: ProviderServer) -> None:
    body = {"error": {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
                      "message": "Your card has insufficient funds."}}  # fmt: skip
    stripe.behaviour = lambda request, number: Reply(402, body=json.dumps(body).encode())
    retry, mail = charged(desk)

    deliver(desk.ws, now=NOW)
    assert desk.send(retry)["status"] == "failed"
    assert "insufficient_funds" in desk.send(retry)["reason"]
    assert desk.send(mail)["status"] == "queued"
    assert "payment_declined" in desk.findings()


def test_the_balance_is_read_again_before_charging(desk: Desk, stripe: ProviderServer) -> None:
    retry, _ = charged(desk)
    desk.paid("INV-00001", "60.00")
    desk.publish()

    deliver(desk.ws, now=NOW)
    assert desk.send(retry)["status"] == "cancelled"
    assert stripe.requests == []


def test_a_charge_without_an_answer_is_unknown(desk: Desk, stripe: ProviderServer) -> None:
    stripe.behaviour = lambda request, number: Reply(200, delay=2)
    retry, _ = charged(desk)
    deliver(desk.ws, now=NOW)
    assert desk.send(retry)["status"] == "unknown"


def test_without_a_payment_provider_the_retry_is_held(desk: Desk) -> None:
    retry, _ = charged(desk)
    deliver(desk.ws, now=NOW)
    assert desk.send(retry)["reason"] == "not_configured"
    assert "channel_not_configured" in desk.findings()


# -- tasks --------------------------------------------------------------------------------------------------------
def test_a_task_is_handed_over_under_our_key(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.invoice("INV-00001", account="acme")
    desk.publish()
    statement = desk.statement("acme", lines={"INV-00001": 10000})
    [key] = desk.queue(statement, channels=["task"])
    with ProviderServer() as server:
        monkeypatch.setenv("DUNNING_TASK_URL", f"{server.url}/calls")
        assert deliver(desk.ws, now=NOW)["sent"] == 1
    assert server.requests[0].headers["idempotency-key"] == key
    assert server.requests[0].json["amount_minor"] == 10000


# -- MIME ---------------------------------------------------------------------------------------------------------
def test_a_message_reads_as_it_was_written() -> None:
    message = Message(
        key="k-1", channel="email", to=("a@example.com",), cc=("b@example.com",), sender="us@example.com",
        sender_name='Müller, "Ä" & Söhne', subject="Zahlungserinnerung " + "größer " * 40, html="<p>ß .\n.\n</p>" * 900,
        text="Zeile eins\n.\nFrom here\n  end  \n" + "x" * 2000 + "€",
        attachments=(Attachment("a.pdf", "application/pdf", bytes(range(256)) * 300),),
    )  # fmt: skip
    raw = build_mime(message, date=NOW)
    mail = message_from_bytes(raw, policy=policy.default)

    assert mail["Subject"] == message.subject.strip()
    assert mail["From"].addresses[0].display_name == message.sender_name
    assert mail.get_body(("plain",)).get_content().replace("\r\n", "\n").rstrip("\n") == message.text
    assert mail.get_body(("html",)).get_content().replace("\r\n", "\n").rstrip("\n") == message.html.rstrip("\n")
    [attached] = mail.iter_attachments()
    assert attached.get_payload(decode=True) == message.attachments[0].content
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert build_mime(message, date=NOW) == raw


def test_nothing_can_add_a_header() -> None:
    evil = "Hello\r\nBcc: spy@example.com\r\n\r\nbody"
    assert "\n" not in encoded_words(evil) and "\r" not in mailbox(evil, "a@example.com")
    with pytest.raises(InvalidInput, match="line break"):
        build_mime(
            Message(key="k", channel="email", to=("a@example.com\r\nBcc: spy@example.com",), sender="us@example.com"),
            date=NOW,
        )


def test_a_malformed_address_never_leaves_and_says_so(desk: Desk) -> None:
    for number, address in enumerate(["nope", "a@b\r\nBcc: x@y.z", "a b@example.com"]):
        key = desk.message(f"bad{number}", to=address)
        deliver(desk.ws, now=NOW)
        assert desk.send(key)["status"] == "held", address
    assert desk.outbox() == []


@pytest.fixture
def full_disk():
    """Files take their first 1,000 bytes and then no more, as on a disk that is nearly full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_message_that_only_begins_to_fit_on_the_disk_is_not_called_sent(tmp_path: Path, full_disk: None) -> None:
    outbox = Outbox(tmp_path)
    long, short = (Message(key=f"m{n}", channel="sms", to=("+491511",), text="x" * n) for n in (1_500, 10))
    assert [answer.kind for answer in outbox.send_batch([long, short])] == ["refused", "sent"]
    assert (outbox.has("m1500"), outbox.has("m10")) == (False, True)


def test_letters_that_cannot_be_written_hold_up_no_mail(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dunning_pipeline.delivery.working.worker.WAIT_SECONDS", 0.0)
    desk.invoice("INV-00001", account="acme")
    desk.publish()
    in_the_way = []
    for number in range(6):
        [key] = desk.queue(desk.statement("acme", lines={"INV-00001": 10000}, channels=("letter",)))
        in_the_way.append(desk.ws.outbox / f"{key}.pdf")
        in_the_way[-1].mkdir(parents=True)
        desk.message(f"a{number}")

    counts = deliver(desk.ws, now=NOW)
    assert (counts["sent"], counts["queued"]) == (6, 6)
    assert any("cannot be written" in error for error in counts["errors"])
    assert desk.statuses() == {"sent": 6, "queued": 6}

    for folder in in_the_way:
        folder.rmdir()
    for row in desk.sends():
        desk.set(row["key"], next_attempt_at=None)
    assert deliver(desk.ws, now=NOW)["sent"] == 6
    assert desk.findings() == []


@pytest.mark.parametrize(
    ("channel", "environment"),
    [
        ("email", {"DUNNING_MAIL": "sendgrid", "SENDGRID_API_KEY": "SG.key"}),
        ("email", {"DUNNING_MAIL": "smtp", "DUNNING_SMTP_URL": "smtp://mail.northwind.com"}),
        ("sms", {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "token", "TWILIO_FROM": "+4930123"}),
    ],
)
def test_the_shipped_example_writes_to_nobody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, channel: str, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert desk.ws.company.is_shipped_example
    key = desk.message("acme", channel=channel, **({"to": "+4915112345678"} if channel == "sms" else {}))
    with pytest.raises(InvalidInput, match="shipped example company"):
        deliver(desk.ws, now=NOW)
    monkeypatch.undo()
    assert deliver(desk.ws, now=NOW)["sent"] == 1  # into the outbox: it was not lost
    assert desk.send(key)["status"] == "sent"
