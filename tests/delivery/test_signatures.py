"""Twilio's and Stripe's callbacks count only with their signature over what was really sent."""

import base64
import hashlib
import hmac
import time
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
import yaml

from dunning_pipeline.delivery.permission.suppressions import suppress
from dunning_pipeline.delivery.permission.suppressions import suppressed as suppressed_now
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.settings.workspace import Workspace
from tests.delivery.desk import NOW, Desk
from tests.delivery.signing import Signer
from tests.delivery.test_events import Hook, stored, suppressed

SECRET, TOKEN = "whsec_test", "twilio-token"
URL = "https://dunning.example/webhooks/twilio"


def stripe_headers(body: bytes, *, secret: str = SECRET, age: int = 0) -> dict[str, str]:
    stamp = str(int(time.time()) - age)
    code = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={stamp},v1={'0' * 64},v1={code}", "Content-Type": "application/json"}


def stripe_event(kind: str = "payment_intent.succeeded", key: str = "k1", **more: Any) -> bytes:
    about = {"id": "pi_1", "metadata": {"dunning_key": key}, **more}
    return orjson.dumps({"id": "evt_1", "type": kind, "created": int(time.time()), "data": {"object": about}})


def twilio_headers(form: dict[str, str], url: str, *, token: str = TOKEN) -> dict[str, str]:
    """As Twilio documents it: HMAC-SHA1 over the address and the sorted parameters, written without a gap."""
    told = url + "".join(f"{name}{form[name]}" for name in sorted(form))
    code = base64.b64encode(hmac.new(token.encode(), told.encode(), hashlib.sha1).digest()).decode()
    return {"X-Twilio-Signature": code, "Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def hook(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> tuple[Desk, Hook]:
    company = workspace.root / "policies" / "company.yaml"
    facts = yaml.safe_load(company.read_text())
    company.write_text(yaml.safe_dump({**facts, "public_url": "https://dunning.example/"}, allow_unicode=True))
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", TOKEN)
    desk = Desk(workspace)
    return desk, Hook(desk, Signer())


def test_a_signed_payment_event_is_taken_once(hook: tuple[Desk, Hook]) -> None:
    desk, hooks = hook
    body = stripe_event()
    answer = hooks.post(body, stripe_headers(body), path="/webhooks/stripe")
    assert (answer.status_code, answer.json()["new"]) == (200, 1)
    assert hooks.post(body, stripe_headers(body), path="/webhooks/stripe").json()["new"] == 0
    assert stored(desk) == 1


@pytest.mark.parametrize("case", ["unsigned", "other_secret", "tampered", "old", "no_stamp", "garbage"])
def test_a_payment_event_that_is_not_surely_stripes_is_refused(hook: tuple[Desk, Hook], case: str) -> None:
    desk, hooks = hook
    body = stripe_event()
    headers = {
        "unsigned": {},
        "other_secret": stripe_headers(body, secret="whsec_other"),
        "tampered": stripe_headers(body.replace(b"k1", b"k2")),
        "old": stripe_headers(body, age=3600),
        "no_stamp": {"Stripe-Signature": stripe_headers(body)["Stripe-Signature"].partition(",")[2]},
        "garbage": {"Stripe-Signature": "t=,v1=,=,,"},
    }[case]
    assert hooks.post(body, headers, path="/webhooks/stripe").status_code == 403
    assert stored(desk) == 0


def test_a_signed_stop_opts_out_and_its_answer_says_nothing(hook: tuple[Desk, Hook]) -> None:
    desk, hooks = hook
    form = {"MessageSid": "SM1", "From": "+4915112345678", "To": "+491701", "Body": " Stop ", "SmsStatus": "received"}
    body = urlencode(form).encode()
    answer = hooks.post(body, twilio_headers(form, URL), path="/webhooks/twilio")
    assert (answer.status_code, answer.text) == (200, "<Response/>")
    assert suppressed(desk) == [("+4915112345678", "stop_word")]


def answer_by_text(hooks: Hook, text: str, sid: str) -> None:
    form = {"MessageSid": sid, "From": "+4915112345678", "To": "+491701", "Body": text, "SmsStatus": "received"}
    assert hooks.post(urlencode(form).encode(), twilio_headers(form, URL), path="/webhooks/twilio").status_code == 200


@pytest.mark.parametrize(
    ("text", "is_no"),
    [
        ("STOP!", True),
        ("Stop.", True),
        ("opt-out", True),
        ("stop all", True),
        ("Stop sending me this", True),
        ("Stopp", True),
        ("abmelden", True),
        ("Arrêt", True),
        ("ARRETEZ svp", True),
        ("Désabonner", True),
        ("¡Baja!", True),
        ("parar", True),
        ("I pay at the end of the week", False),
        ("bezahlt", False),
        ("👍", False),
    ],
)
def test_a_no_is_understood_in_the_languages_of_the_texts(hook: tuple[Desk, Hook], text: str, is_no: bool) -> None:
    desk, hooks = hook
    answer_by_text(hooks, text, "SM1")
    assert suppressed(desk) == ([("+4915112345678", "stop_word")] if is_no else [])


@pytest.mark.parametrize(("before", "is_lifted"), [("stop_word", True), ("invalid", True), ("manual", False)])
def test_a_yes_ends_the_recipients_own_no_and_nobody_elses(
    hook: tuple[Desk, Hook], before: str, is_lifted: bool
) -> None:
    desk, hooks = hook
    with desk.engine.begin() as connection:
        suppress(connection, "+4915112345678", channel="sms", reason=before, origin="test", at=NOW)
    answer_by_text(hooks, "Start", "SM1")
    with reading(desk.engine) as connection:
        assert bool(suppressed_now(connection, ["+4915112345678"], channel="sms")) is not is_lifted


def test_a_phone_that_is_switched_off_is_not_given_up(hook: tuple[Desk, Hook]) -> None:
    desk, hooks = hook
    form = {"MessageSid": "SM1", "To": "+4915112345678", "MessageStatus": "undelivered", "ErrorCode": "30003"}
    assert hooks.post(urlencode(form).encode(), twilio_headers(form, URL), path="/webhooks/twilio").status_code == 200
    assert (stored(desk), suppressed(desk)) == (1, [])


@pytest.mark.parametrize(
    ("before", "told", "status", "delivery"),
    [
        ("sent", ["delivered", "sent", "queued", "delivered"], "sent", "delivered"),  # in any order, and again
        ("sent", ["sent", "undelivered", "sent"], "sent", "bounced"),
        ("unknown", ["sent"], "sent", "processed"),
        ("unknown", ["delivered"], "sent", "delivered"),
        ("unknown", ["failed"], "sent", "bounced"),
        ("cancelled", ["delivered"], "cancelled", "delivered"),
    ],
)
def test_states_of_a_text_come_in_any_order_and_settle_what_is_unknown(
    hook: tuple[Desk, Hook], before: str, told: list[str], status: str, delivery: str
) -> None:
    desk, hooks = hook
    key = desk.message("acme", channel="sms", to="+4915112345678")
    desk.set(key, status=before, provider="twilio", attempts=1)
    for state in told:
        for query in (f"?key={key}", "?key=nobody-knows-it"):
            form = {"MessageSid": f"SM{query[5]}", "To": "+4915112345678", "MessageStatus": state}
            answer = hooks.post(
                urlencode(form).encode(), twilio_headers(form, URL + query), path=f"/webhooks/twilio{query}"
            )
            assert answer.status_code == 200
    assert (desk.send(key)["status"], desk.send(key)["delivery"]) == (status, delivery)
    assert stored(desk) == 2 * len(set(told))


def test_the_key_in_the_callbacks_address_is_signed_too(hook: tuple[Desk, Hook]) -> None:
    desk, hooks = hook
    form = {"MessageSid": "SM2", "To": "+4915112345678", "MessageStatus": "delivered"}
    body, path = urlencode(form).encode(), "/webhooks/twilio?key=k1"
    headers = twilio_headers(form, f"{URL}?key=k1")
    assert hooks.post(body, headers, path="/webhooks/twilio?key=k2").status_code == 403
    assert hooks.post(body, headers, path=path).status_code == 200
    assert stored(desk) == 1


@pytest.mark.parametrize("case", ["unsigned", "other_token", "tampered", "other_address"])
def test_a_callback_that_is_not_surely_twilios_is_refused(hook: tuple[Desk, Hook], case: str) -> None:
    desk, hooks = hook
    form = {"MessageSid": "SM3", "From": "+4915112345678", "Body": "STOP"}
    headers = {
        "unsigned": {"Content-Type": "application/x-www-form-urlencoded"},
        "other_token": twilio_headers(form, URL, token="another"),
        "tampered": twilio_headers({**form, "From": "+49170999"}, URL),
        "other_address": twilio_headers(form, "https://elsewhere.example/webhooks/twilio"),
    }[case]
    assert hooks.post(urlencode(form).encode(), headers, path="/webhooks/twilio").status_code == 403
    assert (stored(desk), suppressed(desk)) == (0, [])


@pytest.mark.parametrize(("path", "name"), [("stripe", "STRIPE_WEBHOOK_SECRET"), ("twilio", "TWILIO_AUTH_TOKEN")])
def test_without_its_secret_an_endpoint_takes_nothing(
    hook: tuple[Desk, Hook], monkeypatch: pytest.MonkeyPatch, path: str, name: str
) -> None:
    desk, hooks = hook
    monkeypatch.delenv(name)
    body = stripe_event()
    answer = hooks.post(body, stripe_headers(body), path=f"/webhooks/{path}")
    assert answer.status_code == 503 and name in answer.text
    assert stored(desk) == 0
