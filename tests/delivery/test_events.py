"""Signed events come back: once, in any order, about sends that we know or do not know."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from dunning_pipeline.delivery.events import sendgrid
from dunning_pipeline.delivery.events.recording import record_together
from dunning_pipeline.delivery.webhook import webhook_app
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.errors import Refused
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import item_levels, provider_events, suppressions
from tests.delivery.desk import NOW, Desk
from tests.delivery.provider_server import ProviderServer, Reply, Request
from tests.delivery.signing import Signer, body_of, event


class Hook:
    def __init__(self, desk: Desk, signer: Signer) -> None:
        self.app, self.signer = webhook_app(desk.ws), signer

    def post(self, body: bytes, headers: dict[str, str] | None = None, path: str = "/webhooks/sendgrid") -> Any:
        import anyio

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.post(
                    path, content=body, headers=self.signer.headers(body) if headers is None else headers
                )

        return anyio.run(send)

    def tell(self, *events: dict[str, Any]) -> int:
        answer = self.post(body_of(*events))
        assert answer.status_code == 200, answer.text
        return answer.json()["new"]


@pytest.fixture
def hook(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Hook:
    signer = Signer()
    monkeypatch.setenv("SENDGRID_WEBHOOK_PUBLIC_KEY", signer.public_key)
    return Hook(desk, signer)


def stored(desk: Desk) -> int:
    with reading(desk.engine) as connection:
        return connection.scalar(select(func.count()).select_from(provider_events)) or 0


def suppressed(desk: Desk) -> list[tuple[str, str]]:
    with reading(desk.engine) as connection:
        rows = connection.execute(select(suppressions.c.contact_point, suppressions.c.reason))
        return [(row.contact_point, row.reason) for row in rows]


def test_an_event_is_stored_once_and_moves_the_send(desk: Desk, hook: Hook) -> None:
    key = desk.message("acme")
    deliver(desk.ws, now=NOW)

    assert hook.tell(event("processed", key), event("delivered", key)) == 2
    assert hook.tell(event("delivered", key)) == 0  # told again
    assert desk.send(key)["delivery"] == "delivered"
    assert stored(desk) == 2


def test_order_of_arrival_does_not_matter(desk: Desk, hook: Hook) -> None:
    key = desk.message("acme")
    deliver(desk.ws, now=NOW)

    hook.tell(event("open", key))
    hook.tell(event("processed", key), event("delivered", key))
    assert desk.send(key)["delivery"] == "opened"


def test_an_event_settles_an_unknown_send(desk: Desk, hook: Hook) -> None:
    key = desk.message("acme")
    desk.set(key, status="unknown", provider="sendgrid", attempts=1)

    hook.tell(event("processed", key))
    assert desk.send(key)["status"] == "sent"
    assert desk.attempts(key) == ["resolved"]


@pytest.mark.parametrize(
    ("told", "status", "delivery", "levels"),
    [
        (["processed", "delivered"], "sent", "delivered", ["reached"]),
        (["bounce"], "sent", "bounced", ["reached", "revoked"]),
        ([], "unknown", None, []),
    ],
)
def test_an_event_that_comes_before_our_request_gives_up_settles_it(
    desk: Desk,
    hook: Hook,
    monkeypatch: pytest.MonkeyPatch,
    told: list[str],
    status: str,
    delivery: str | None,
    levels: list[str],
) -> None:
    monkeypatch.setenv("DUNNING_MAIL", "sendgrid")
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.test")
    desk.invoice("INV-1", account="acme")
    desk.publish()
    [key] = desk.queue(desk.statement("acme", lines={"INV-1": 10000}, attach_invoices=False))

    def takes_it_and_breaks_off(request: Request, number: int) -> Reply:
        for name in told:
            events, _ = sendgrid.parse(body_of(event(name, key)))
            hook.app.state.recorder.together(record_together, (desk.ws, events, NOW, NOW)).result()
        return Reply(reset="after")

    with ProviderServer(takes_it_and_breaks_off) as server:
        monkeypatch.setenv("SENDGRID_HOST", server.url)
        deliver(desk.ws, now=NOW)
    assert (desk.send(key)["status"], desk.send(key)["delivery"]) == (status, delivery)
    with reading(desk.engine) as connection:
        assert sorted(connection.scalars(select(item_levels.c.event))) == levels
    assert ("send_unknown" in desk.findings()) is (status == "unknown")


@pytest.mark.parametrize("status", ["queued", "held"])
def test_what_waits_in_a_restored_ledger_and_has_left_does_not_leave_again(desk: Desk, hook: Hook, status: str) -> None:
    key = desk.message("acme")
    desk.set(key, status=status)
    hook.tell(event("delivered", key))
    assert (desk.send(key)["status"], desk.send(key)["delivery"]) == ("sent", "delivered")
    assert deliver(desk.ws, now=NOW)["sent"] == 0 and desk.outbox() == []


def test_what_was_cancelled_and_has_left_is_told(desk: Desk, hook: Hook) -> None:
    key = desk.message("acme")
    desk.set(key, status="cancelled", reason="by hand")
    hook.tell(event("processed", key), event("delivered", key))
    assert desk.send(key)["status"] == "cancelled" and desk.findings() == ["left_though_cancelled"]


def test_many_events_in_one_request_all_count(desk: Desk, hook: Hook) -> None:
    keys = [desk.message(f"a{number}") for number in range(30)]
    for key in keys[:10]:
        desk.set(key, status="unknown", provider="sendgrid", attempts=1)

    assert hook.tell(*(event(name, key) for key in keys for name in ("delivered", "processed"))) == 60
    assert {desk.send(key)["delivery"] for key in keys} == {"delivered"}
    assert {desk.send(key)["status"] for key in keys[:10]} == {"sent"}


def test_an_event_for_a_key_that_nobody_knows_is_kept_and_harmless(desk: Desk, hook: Hook) -> None:
    assert hook.tell(event("delivered", "not-ours"), event("delivered", None, identity="x")) == 2
    assert stored(desk) == 2


def test_bounces_and_complaints_suppress_the_address(desk: Desk, hook: Hook) -> None:
    for name, more, reason in (
        ("bounce", {"type": "bounce", "status": "5.1.1"}, "hard_bounce"),
        ("spamreport", {}, "complaint"),
        ("dropped", {"reason": "Invalid"}, "invalid"),
    ):
        hook.tell(event(name, f"k-{name}", email=f"{name}@example.com", **more))
        assert (f"{name}@example.com", reason) in suppressed(desk)
    hook.tell(event("bounce", "soft", email="soft@example.com", type="blocked"))
    assert "soft@example.com" not in [point for point, _ in suppressed(desk)]


def test_an_unsubscribe_is_a_no_from_then_on(desk: Desk, hook: Hook) -> None:
    hook.tell(event("unsubscribe", "any", email="acme@example.com"))
    key = desk.message("acme")

    assert deliver(desk.ws, now=NOW)["held"] == 1
    assert desk.send(key)["reason"] == "consent"


def test_what_is_dropped_because_of_an_unsubscribe_is_a_no_too(desk: Desk, hook: Hook) -> None:
    hook.tell(event("dropped", "any", email="acme@example.com", reason="Unsubscribed Address"))
    key = desk.message("acme", kind="dunning")

    assert deliver(desk.ws, now=NOW)["held"] == 1
    assert desk.send(key)["reason"] == "consent"


@pytest.mark.parametrize(
    ("case", "status"),
    [("unsigned", 403), ("other_key", 403), ("tampered", 403), ("old", 403), ("garbage", 403), ("no_list", 400)],
)
def test_what_is_not_surely_from_the_provider_is_refused(desk: Desk, hook: Hook, case: str, status: int) -> None:
    body = b'{"no": "list"}' if case == "no_list" else body_of(event("delivered", "k"))
    headers = {
        "unsigned": {},
        "other_key": Signer().headers(body),
        "tampered": hook.signer.headers(body + b" "),
        "old": hook.signer.headers(body, age_seconds=3600),
        "garbage": {sendgrid.SIGNATURE: "%%%", sendgrid.TIMESTAMP: "1"},
        "no_list": hook.signer.headers(body),
    }[case]
    assert hook.post(body, headers).status_code == status
    assert stored(desk) == 0


def test_without_a_public_key_nothing_is_taken(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SENDGRID_WEBHOOK_PUBLIC_KEY", raising=False)
    hook = Hook(desk, Signer())
    assert hook.post(body_of(event("delivered", "k"))).status_code == 503


def test_a_bad_entry_does_not_take_its_neighbours_with_it(desk: Desk, hook: Hook) -> None:
    answer = hook.post(body_of({"event": "delivered"}, event("delivered", "k"), {"timestamp": "x", "event": 3}))
    assert answer.json() == {"events": 1, "new": 1, "skipped": 2}


def test_a_huge_body_is_refused(desk: Desk, hook: Hook) -> None:
    body = b"[" + b" " * 9_000_000 + b"]"
    assert hook.post(body).status_code == 413


def test_the_official_signature_vector(shared_data: Path) -> None:
    vector = json.loads((shared_data / "contracts/sendgrid/webhook_vector_single.json").read_text())

    def verify(**changed: str) -> None:
        said = {name: vector[name] for name in ("public_key", "payload", "signature", "timestamp")} | changed
        sendgrid.verify(
            said["public_key"], body=said["payload"].encode(), signature=said["signature"],
            timestamp=said["timestamp"], fresh_seconds=600, now=float(vector["timestamp"]) + 5,
        )  # fmt: skip

    verify()
    for tampered in vector["tampered"]:
        with pytest.raises(Refused):
            verify(**{tampered["change"]: tampered["value"]})
    with pytest.raises(Refused):
        verify(payload=vector["payload"].strip())


def test_real_shapes_of_events_are_read(shared_data: Path) -> None:
    samples = json.loads((shared_data / "contracts/sendgrid/sendgrid_event_samples_anymail.json").read_text())
    events, skipped = sendgrid.parse(json.dumps(samples["events"]).encode())

    assert skipped == 0
    told = {entry["sg_event_id"]: entry for entry in samples["events"]}
    assert {one.event_id for one in events} == set(told)
    by_event = {one.event for one in events}
    assert {"processed", "delivered", "dropped", "bounced", "deferred", "opened", "clicked"} <= by_event
