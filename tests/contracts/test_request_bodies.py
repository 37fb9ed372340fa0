"""Every request body that leaves, against the third party's own contract and the rules that it leaves out."""

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from jsonschema import FormatChecker
from openapi_schema_validator import OAS30Validator, OAS31Validator

from dunning_pipeline.delivery.working.worker import deliver
from tests.contracts.rules import broken_rules, our_promises
from tests.delivery.desk import NOW, Desk
from tests.delivery.provider_server import ProviderServer, Reply


@pytest.fixture(scope="module")
def mail_contract(shared_data: Path) -> OAS31Validator:
    spec = json.loads((shared_data / "contracts/sendgrid/tsg_mail_v3.json").read_text())
    where = "#/components/requestBodies/PostMailSend/content/application~1json/schema"
    return OAS31Validator({**spec, "$ref": where}, format_checker=FormatChecker(["email", "date-time"]))


@pytest.fixture
def sendgrid(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DUNNING_MAIL", "sendgrid")
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.test")
    with ProviderServer() as server:
        monkeypatch.setenv("SENDGRID_HOST", server.url)
        yield server


def test_mails_satisfy_sendgrid(desk: Desk, sendgrid: ProviderServer, mail_contract: OAS31Validator) -> None:
    (desk.ws.inbox / "invoice_pdfs").mkdir()
    (desk.ws.inbox / "invoice_pdfs" / "INV-00001.pdf").write_bytes(b"%PDF-1.7 original")
    desk.invoice("INV-00001", account="acme")
    desk.invoice("INV-00002", account="müller")
    desk.publish()
    hostile = 'Ev\r\nBcc: spy@example.com "; <script>'
    desk.queue(desk.statement("acme", lines={"INV-00001": 10000}, account_name=hostile,
                              recipients={"to": ["A@Example.com"], "cc": ["a@example.com", "b@example.com"],
                                          "bcc": ["B@example.com", "c@example.com"]}))  # fmt: skip
    desk.queue(
        desk.statement("müller", lines={"INV-00002": 10000}, recipients={"to": ["info@müller.example"]}),
        overrides={"subject": "Größe & Ähre\r\nX-Evil: 1 " + "ü" * 300},
    )
    desk.message("plain")

    assert deliver(desk.ws, now=NOW)["sent"] == 3
    assert [request.path for request in sendgrid.requests] == ["/v3/mail/send"] * 3
    for request in sendgrid.requests:
        assert [error.message for error in mail_contract.iter_errors(request.json)] == []
        assert broken_rules(request.json, size=len(request.body)) == []
        assert our_promises(request.json) == []
        assert "\n" not in request.json["subject"] and "\r" not in request.json["subject"]
        assert request.headers["authorization"] == "Bearer SG.test"
    first = next(r.json for r in sendgrid.requests if len(r.json.get("attachments", [])) == 2)
    assert first["personalizations"][0] == {
        "to": [{"email": "a@example.com"}], "cc": [{"email": "b@example.com"}], "bcc": [{"email": "c@example.com"}],
        "custom_args": {"dunning_key": first["personalizations"][0]["custom_args"]["dunning_key"]},
    }  # fmt: skip
    idn = [r.json["personalizations"][0]["to"][0]["email"] for r in sendgrid.requests]
    assert "info@xn--mller-kva.example" in idn


@pytest.mark.parametrize("with_all", [True, False])
def test_a_body_is_what_the_official_client_makes_of_the_message(with_all: bool) -> None:
    from sendgrid.helpers import mail as client

    from dunning_pipeline.delivery.providers.protocol import Attachment, Message
    from dunning_pipeline.delivery.providers.sendgrid import payload

    more: dict[str, Any] = {
        "cc": ("c@example.com",), "bcc": ("d@example.com",), "sender_name": "Us, and they", "reply_to": "r@example.com",
        "attachments": tuple(Attachment(f"{name}.pdf", "application/pdf", b"%PDF") for name in ("D-1", "INV-1")),
        "headers": {"List-Unsubscribe": "<https://example.com/u>"}, "html": "<p>Ä</p>",
    } if with_all else {}  # fmt: skip
    message = Message(key="k", channel="email", to=("a@example.com", "b@example.com"), subject="Größe", text="t",
                      sender="us@example.com", **more)  # fmt: skip
    theirs = client.Mail()
    theirs.from_email = client.Email(message.sender, message.sender_name or None)
    theirs.subject = message.subject
    who = client.Personalization()
    for address in message.to:
        who.add_to(client.Email(address))
    for address in message.cc:
        who.add_cc(client.Email(address))
    for address in message.bcc:
        who.add_bcc(client.Email(address))
    who.add_custom_arg(client.CustomArg("dunning_key", message.key))
    theirs.add_personalization(who)
    if message.reply_to:
        theirs.reply_to = client.Email(message.reply_to)
    theirs.add_content(client.Content("text/plain", message.text))
    if message.html:
        theirs.add_content(client.Content("text/html", message.html))
    for one in reversed(message.attachments):  # it puts the last one first
        content = base64.b64encode(one.content).decode()
        theirs.add_attachment(client.Attachment(content, one.filename, one.mime_type, "attachment"))
    for name, value in message.headers.items():
        theirs.add_header(client.Header(name, value))
    theirs.tracking_settings = client.TrackingSettings(
        client.ClickTracking(False, False), client.OpenTracking(False), client.SubscriptionTracking(False)
    )
    assert payload(message) == json.loads(json.dumps(theirs.get()))
    theirs.mail_settings = client.MailSettings(sandbox_mode=client.SandBoxMode(True))
    assert payload(message, sandbox=True) == json.loads(json.dumps(theirs.get()))


def test_only_mail_that_nobody_must_get_carries_an_unsubscribe(desk: Desk, sendgrid: ProviderServer) -> None:
    desk.invoice("INV-00001", account="acme")
    desk.publish()
    desk.queue(desk.statement("acme", lines={"INV-00001": 10000}))
    desk.message("other")
    deliver(desk.ws, now=NOW)

    headers = [request.json.get("headers", {}) for request in sendgrid.requests]
    carrying = [one for one in headers if "List-Unsubscribe" in one]
    assert len(carrying) == 1
    assert carrying[0]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert carrying[0]["List-Unsubscribe"].startswith("<https://")


_WRONG: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no from": lambda b: b.pop("from"),
    "no personalizations": lambda b: b.pop("personalizations"),
    "bad address": lambda b: b["personalizations"][0]["to"].append({"email": "nope"}),
    "unknown field": lambda b: b.update(extra=1),
    "no subject": lambda b: b.pop("subject"),
    "html first": lambda b: b["content"].reverse(),
    "int custom arg": lambda b: b["personalizations"][0]["custom_args"].update(n=1),
    "reply twice": lambda b: b.update(reply_to_list=[{"email": "x@example.com"}]),
    "to and cc": lambda b: b["personalizations"][0].update(cc=b["personalizations"][0]["to"]),
    "attachment without name": lambda b: b.update(attachments=[{"content": "eA=="}]),
    "eleven categories": lambda b: b.update(categories=[str(n) for n in range(11)]),
}


@pytest.mark.parametrize("name", _WRONG)
def test_the_checks_would_see_a_wrong_body(name: str, mail_contract: OAS31Validator) -> None:
    from dunning_pipeline.delivery.providers.protocol import Message
    from dunning_pipeline.delivery.providers.sendgrid import payload

    good = payload(
        Message(key="k", channel="email", to=("a@example.com",), subject="s", html="<p>h</p>", text="t",
                sender="us@example.com", sender_name="Us", reply_to="r@example.com")
    )  # fmt: skip
    assert not list(mail_contract.iter_errors(good)) and not broken_rules(good, size=1)
    wrong = copy.deepcopy(good)
    _WRONG[name](wrong)
    found = [error.message for error in mail_contract.iter_errors(wrong)]
    if "personalizations" in wrong and "from" in wrong and name != "attachment without name":
        found += broken_rules(wrong, size=1)
    assert found


def test_text_messages_satisfy_twilio(desk: Desk, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = json.loads((shared_data / "contracts/twilio/twilio_api_v2010.json").read_text())
    body = spec["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]["post"]["requestBody"]
    schema = body["content"]["application/x-www-form-urlencoded"]["schema"]
    account = "AC" + "0" * 32
    for name, value in {
        "TWILIO_ACCOUNT_SID": account, "TWILIO_AUTH_TOKEN": "t", "TWILIO_FROM": "+4930123456",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with ProviderServer(lambda request, number: Reply(201, body=b'{"sid": "SM1", "status": "queued"}')) as server:
        monkeypatch.setenv("TWILIO_HOST", server.url)
        key = desk.message("acme", channel="sms", to="+4915112345678")
        assert deliver(desk.ws, now=NOW)["sent"] == 1

    [request] = server.requests
    assert request.path == f"/2010-04-01/Accounts/{account}/Messages.json"
    assert set(request.form) <= set(schema["properties"])
    validator = OAS30Validator({**schema, "components": spec["components"]})
    assert [error.message for error in validator.iter_errors(request.form)] == []
    assert len(request.form["Body"]) <= 1600
    assert key in request.form["StatusCallback"]
    assert desk.send(key)["provider_message_id"] == "SM1"


def test_payment_retries_satisfy_stripe(desk: Desk, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = json.loads((shared_data / "contracts/stripe/spec3_2020-03-02.json").read_text())
    body = spec["paths"]["/v1/payment_intents"]["post"]["requestBody"]
    schema = body["content"]["application/x-www-form-urlencoded"]["schema"]
    fixture = json.loads((shared_data / "contracts/stripe/fixtures3_2026.json").read_text())["resources"]
    answer = json.dumps({**fixture["payment_intent"], "id": "pi_1", "status": "succeeded"}).encode()
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_1")
    with ProviderServer(lambda request, number: Reply(200, body=answer)) as server:
        monkeypatch.setenv("STRIPE_HOST", server.url)
        desk.invoice("INV-00001", account="acme")
        desk.means = [("acme", "cus_1", "pm_1")]
        desk.publish()
        [key] = desk.queue(desk.statement("acme", lines={"INV-00001": 10000}), channels=["payment_retry"])
        assert deliver(desk.ws, now=NOW)["sent"] == 1

    [request] = server.requests
    assert urlsplit(request.path).path == "/v1/payment_intents"
    assert request.headers["idempotency-key"] == key
    told = nested(request.body.decode())
    assert set(told) <= set(schema["properties"])
    validator = OAS30Validator({**schema, "components": spec["components"]})
    assert [error.message for error in validator.iter_errors(told)] == []
    assert told["amount"] == 10000 and told["currency"] == "eur" and told["metadata"] == {"dunning_key": key}


def nested(form: str) -> dict[str, Any]:
    """A Stripe form body as the object that it stands for; numbers and booleans typed."""
    told: dict[str, Any] = {}
    for name, value in parse_qsl(form):
        typed: Any = int(value) if value.isdigit() else {"true": True, "false": False}.get(value.lower(), value)
        outer, _, inner = name.partition("[")
        if inner:
            told.setdefault(outer, {})[inner.rstrip("]")] = value
        else:
            told[outer] = typed
    return told
