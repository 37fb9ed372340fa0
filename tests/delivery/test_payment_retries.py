"""A payment retry charges once: whatever order the answer, the bank's word and the reminder come in."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from dunning_pipeline.delivery.events import stripe as stripe_events
from dunning_pipeline.delivery.events.recording import record_together
from dunning_pipeline.delivery.payments import payment_taken
from dunning_pipeline.delivery.providers.protocol import Message
from dunning_pipeline.delivery.providers.stripe import StripePayments
from dunning_pipeline.delivery.queue import requeue
from dunning_pipeline.delivery.switches import switch_on
from dunning_pipeline.delivery.working.resolving import resolve_by_person
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.errors import Refused
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.naming import FORMER
from dunning_pipeline.ledger.schema import blocks, findings, item_levels, postings
from dunning_pipeline.statements.sending import send_statements
from tests.delivery.desk import NOW, Desk
from tests.delivery.provider_server import ProviderServer, Reply


def says(status: str) -> Any:
    body = json.dumps({"id": "pi_1", "object": "payment_intent", "status": status}).encode()
    return lambda request, number: Reply(200, body=body)


def declines(request: Any, number: int) -> Reply:
    error = {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds", "message": "No."}
    return Reply(402, body=json.dumps({"error": error}).encode())


def by_both(desk: Desk, **more: Any) -> tuple[str, str]:
    """A statement by e-mail and by payment retry, as a level with both channels queues it; their keys."""
    desk.invoice("INV-00001", account="acme")
    desk.means = [("acme", "cus_1", "pm_1")]
    desk.publish()
    statement = desk.statement("acme", lines={"INV-00001": 10000}, attach_invoices=False, **more)
    mail, retry = desk.queue(statement, channels=["email", "payment_retry"])
    return mail, retry


def tell(desk: Desk, name: str, key: str, *, identity: str) -> int:
    told = {
        "id": identity,
        "type": f"payment_intent.{name}",
        "created": 1,
        "data": {"object": {"id": "pi_1", "metadata": {"dunning_key": key}}},
    }
    with desk.engine.begin() as connection:
        events = stripe_events.parse(json.dumps(told).encode())
        return record_together(connection, [(desk.ws, events, NOW, NOW)])[0]


def pauses(desk: Desk) -> list[str]:
    with reading(desk.engine) as connection:
        found = connection.scalars(select(blocks.c.block_id).where(blocks.c.ended_at.is_(None)))
        return sorted(block_id.partition(":")[0] for block_id in found)


@pytest.mark.parametrize("way_out", ["outbox", "sendgrid"])
def test_nobody_is_asked_for_what_the_same_round_charges(
    desk: Desk, stripe: ProviderServer, monkeypatch: pytest.MonkeyPatch, way_out: str
) -> None:
    stripe.behaviour = says("succeeded")
    with ProviderServer() as post:
        monkeypatch.setenv("DUNNING_MAIL", way_out)
        monkeypatch.setenv("SENDGRID_API_KEY", "SG.x")
        monkeypatch.setenv("SENDGRID_HOST", post.url)
        mail, retry = by_both(desk)
        deliver(desk.ws, now=NOW)
    assert desk.send(retry)["delivery"] == "succeeded"
    assert (desk.send(mail)["status"], desk.send(mail)["reason"]) == ("cancelled", "paid_by_retry")
    assert post.requests == [] and desk.outbox() == []


def test_a_declined_card_lets_the_reminder_leave_in_the_same_round(desk: Desk, stripe: ProviderServer) -> None:
    stripe.behaviour = declines
    mail, retry = by_both(desk)
    deliver(desk.ws, now=NOW)
    assert (desk.send(retry)["status"], desk.send(mail)["status"]) == ("failed", "sent")


def test_a_decline_says_which_reminder_it_was_about(desk: Desk, stripe: ProviderServer) -> None:
    stripe.behaviour = declines
    by_both(desk, number="D-2025-000007")
    deliver(desk.ws, now=NOW)
    with reading(desk.engine) as connection:
        said = connection.scalar(select(findings.c.message).where(findings.c.kind == "payment_declined"))
    assert said == "the payment retry of D-2025-000007 was declined: insufficient_funds"


def test_while_nobody_knows_whether_it_was_charged_nobody_is_asked(desk: Desk, stripe: ProviderServer) -> None:
    stripe.behaviour = lambda request, number: Reply(200, delay=2)
    mail, retry = by_both(desk)
    deliver(desk.ws, now=NOW)
    assert (desk.send(retry)["status"], desk.send(mail)["status"]) == ("unknown", "queued")

    resolve_by_person(desk.ws, retry, was_sent=True, now=NOW, actor="clerk")
    assert desk.send(mail)["reason"] == "paid_by_retry"
    assert pauses(desk) == ["payment"]


def test_a_charge_that_a_reminder_overtook_waits_for_a_person(desk: Desk, stripe: ProviderServer) -> None:
    """The provider was away, the reminder left and was perhaps paid by transfer: nobody pays twice."""
    stripe.behaviour = lambda request, number: Reply(503)
    mail, retry = by_both(desk)
    with desk.engine.begin() as connection:
        switch_on(connection, "circuit:stripe", actor="delivery", reason="down", at=NOW)
    deliver(desk.ws, now=NOW)
    assert (desk.send(mail)["status"], desk.send(retry)["status"]) == ("sent", "queued")

    stripe.behaviour, tried = says("succeeded"), len(stripe.requests)
    desk.set(retry, next_attempt_at=None)
    deliver(desk.ws, now=NOW + timedelta(hours=1))
    assert (desk.send(retry)["status"], desk.send(retry)["reason"]) == ("held", "reminder_left")
    assert len(stripe.requests) == tried

    number, later = desk.send(mail)["statement_id"], NOW + timedelta(hours=2)
    asked = {"channels": ["payment_retry"], "again": True, "send_now": True}
    [again] = send_statements(desk.ws, [number], now=later, actor="clerk", **asked).keys
    deliver(desk.ws, now=later)
    assert desk.send(again)["delivery"] == "succeeded" and len(stripe.requests) == tried + 1


def test_a_debit_that_takes_days_is_not_charged_again_meanwhile(desk: Desk, stripe: ProviderServer) -> None:
    stripe.behaviour = says("processing")
    mail, retry = by_both(desk)
    deliver(desk.ws, now=NOW)
    assert (desk.send(retry)["delivery"], desk.send(mail)["reason"]) == ("processing", "block")

    next_day = desk.statement("acme", lines={"INV-00001": 10000}, attach_invoices=False)
    assert desk.queue(next_day, channels=["payment_retry"]) == []
    [other_mail] = desk.queue(next_day, channels=["email"])
    deliver(desk.ws, now=NOW)
    assert desk.send(other_mail)["reason"] == "block" and len(stripe.requests) == 1

    stripe.behaviour = says("succeeded")
    assert tell(desk, "payment_failed", retry, identity="e1") == 1
    assert pauses(desk) == [] and "payment_declined" in desk.findings()
    [again] = desk.queue(next_day, channels=["payment_retry"])
    deliver(desk.ws, now=NOW)
    assert desk.send(again)["delivery"] == "succeeded"


def test_a_debit_that_succeeds_days_later_stops_the_dunning(desk: Desk, stripe: ProviderServer) -> None:
    stripe.behaviour = says("processing")
    mail, retry = by_both(desk)
    deliver(desk.ws, now=NOW)
    assert tell(desk, "succeeded", retry, identity="e1") == 1
    assert pauses(desk) == ["payment"] and desk.send(mail)["reason"] == "paid_by_retry"
    assert tell(desk, "succeeded", retry, identity="e1") == 0  # told twice
    assert tell(desk, "payment_failed", retry, identity="e0") == 1  # an older word, told late
    assert pauses(desk) == ["payment"] and desk.findings().count("payment_declined") == 0
    assert desk.send(retry)["delivery"] == "succeeded"


def test_a_debit_that_is_called_off_lets_the_reminder_go_on(desk: Desk, stripe: ProviderServer) -> None:
    stripe.behaviour = says("processing")
    mail, retry = by_both(desk)
    deliver(desk.ws, now=NOW)
    assert tell(desk, "canceled", retry, identity="e1") == 1
    deliver(desk.ws, now=NOW)
    assert pauses(desk) == [] and desk.send(mail)["status"] == "sent"


def reached(desk: Desk) -> list[str]:
    with reading(desk.engine) as connection:
        return list(connection.scalars(select(item_levels.c.event)))


@pytest.mark.parametrize("means", [[("acme", "cus_1", "pm_1")], []], ids=["declined", "no card"])
def test_a_level_that_only_charges_is_reached_by_having_tried(
    desk: Desk, stripe: ProviderServer, means: list[tuple[str, str, str]]
) -> None:
    """Otherwise every day's run would close another statement, charge again and never come to the next level."""
    stripe.behaviour = declines
    desk.invoice("INV-00001", account="acme")
    desk.means = means
    desk.publish()
    only = desk.statement("acme", lines={"INV-00001": 10000}, channels=("payment_retry",))
    [retry] = desk.queue(only)
    deliver(desk.ws, now=NOW)
    assert (desk.send(retry)["status"], reached(desk)) == ("failed", ["reached"])
    assert desk.findings() == ["payment_declined"]


@pytest.mark.parametrize(("channels", "expected"), [(("task",), ["reached"]), (("email", "task"), [])])
def test_a_level_that_only_gives_a_task_is_reached_by_it(
    desk: Desk, channels: tuple[str, ...], expected: list[str]
) -> None:
    """Otherwise every day's run would give the same task, with another fee."""
    desk.invoice("INV-00001", account="acme")
    desk.publish()
    statement = desk.statement("acme", lines={"INV-00001": 10000}, channels=channels)
    [task] = desk.queue(statement, channels=["task"])
    deliver(desk.ws, now=NOW)
    assert (desk.send(task)["status"], reached(desk)) == ("sent", expected)


def fee(desk: Desk, statement_id: str, *, day: int, cents: int = 500) -> None:
    with desk.engine.begin() as connection:
        connection.execute(
            postings.insert().values(
                posting_id=f"p-{statement_id}", posting_key=f"{statement_id}:2", type="fee", statement_id=statement_id,
                account_key="salesforce:acme", bill_group_key="salesforce:acme", level=2, currency="EUR",
                amount_minor=cents, posted_on=(NOW - timedelta(days=day)).date(), created_at=NOW, created_by="test",
            )
        )  # fmt: skip


def test_a_payment_pays_the_charges_that_its_statement_claims_once(desk: Desk, stripe: ProviderServer) -> None:
    """The word of the bank may overtake the answer; another statement's older charge is not what was paid."""
    _, retry = by_both(desk, fees_minor=500)
    fee(desk, "another", day=60)
    fee(desk, desk.send(retry)["statement_id"], day=1)
    tell(desk, "succeeded", retry, identity="e1")
    with desk.engine.begin() as connection:
        payment_taken(connection, desk.ws, desk.send(retry), state="succeeded", now=NOW)
    with reading(desk.engine) as connection:
        paid = connection.execute(
            select(postings.c.reverses, postings.c.amount_minor).where(postings.c.type == "payment")
        )
        assert paid.tuples().all() == [(f"p-{desk.send(retry)['statement_id']}", -500)]


@pytest.mark.parametrize(
    ("currency", "minor", "charged"),
    [
        ("EUR", 1234, 1234),
        ("JPY", 500, 500),
        ("KWD", 5120, 5120),
        ("KWD", 5124, None),
        ("ISK", 500, 50000),
        ("UGX", 500, 50000),
        ("MGA", 500000, 5000),
        ("MGA", 500020, None),
    ],
)
def test_stripe_counts_some_currencies_in_other_units(
    desk: Desk, stripe: ProviderServer, currency: str, minor: int, charged: int | None
) -> None:
    """500 ISK are not 5.00 ISK, and 5,000.00 MGA not 500,000; what it cannot charge is refused before it is asked."""
    stripe.behaviour = says("succeeded")
    provider = StripePayments("sk_test_1", host=stripe.url)
    facts = {"amount_minor": minor, "currency": currency, "customer": "cus_1", "payment_method": "pm_1"}
    answer = provider.send(Message(key="k", channel="payment_retry", to=(), facts=facts))
    if charged is None:
        assert (answer.kind, answer.status, stripe.requests) == ("failed", "amount", [])
    else:
        assert (answer.kind, stripe.requests[0].form["amount"]) == ("sent", str(charged))


def test_a_mailed_draft_charges_nobody(desk: Desk, stripe: ProviderServer) -> None:
    desk.invoice("INV-00001", account="acme")
    desk.means = [("acme", "cus_1", "pm_1")]
    desk.publish()
    draft = desk.statement("acme", lines={"INV-00001": 10000}, status="draft", channels=("email", "payment_retry"))
    assert len(desk.queue(draft, kind="draft")) == 1
    deliver(desk.ws, now=NOW)
    assert [row["channel"] for row in desk.sends()] == ["email"] and stripe.requests == []


def test_what_was_charged_is_not_charged_again_while_the_source_shows_it_open(
    desk: Desk, stripe: ProviderServer
) -> None:
    stripe.behaviour = says("succeeded")
    by_both(desk)
    deliver(desk.ws, now=NOW)
    later = desk.statement("acme", lines={"INV-00001": 10000}, attach_invoices=False)
    assert desk.queue(later, channels=["payment_retry"]) == []
    assert "charged_before" in desk.findings()
    rest = desk.statement("acme", lines={"INV-00001": 4000}, attach_invoices=False)  # another amount is another debt
    assert len(desk.queue(rest, channels=["payment_retry"])) == 1


def test_who_was_charged_is_let_alone_until_the_source_has_booked_it(desk: Desk, stripe: ProviderServer) -> None:
    stripe.behaviour = says("succeeded")
    by_both(desk)
    deliver(desk.ws, now=NOW)
    deliver(desk.ws, now=NOW + timedelta(days=9))
    assert (pauses(desk), desk.findings()) == (["payment"], [])

    deliver(desk.ws, now=NOW + timedelta(days=11))
    assert (pauses(desk), desk.findings()) == (["payment"], ["charge_not_booked"])

    desk.paid("INV-00001", "100.00")
    desk.publish()
    deliver(desk.ws, now=NOW + timedelta(days=12))
    assert (pauses(desk), desk.findings()) == ([], [])


def test_a_charged_invoice_that_may_have_another_name_is_let_alone_until_somebody_knows(
    desk: Desk, stripe: ProviderServer
) -> None:
    stripe.behaviour = says("succeeded")
    by_both(desk)
    deliver(desk.ws, now=NOW)
    del desk.invoices["salesforce:INV-00001"]  # gone: as if paid, unless something else may be it
    desk.invoice("J1", account="acme", invoice_number="INV-00001", total_amount="99.00")
    desk.publish()
    asked = {"block_id": "renamed:invoice:1", "scope": "invoice", "target_key": "salesforce:J1", "kind": "pause"}
    with desk.engine.begin() as connection:
        reason = FORMER.format("salesforce:INV-00001") + "another amount"
        told = {"reason": reason, "valid_from": NOW.date(), "created_at": NOW, "created_by": "build"}
        connection.execute(blocks.insert().values(**asked, **told))
    deliver(desk.ws, now=NOW + timedelta(days=11))
    assert (pauses(desk), desk.findings()) == (["payment", "renamed"], [])
    with desk.engine.begin() as connection:
        connection.execute(blocks.update().where(blocks.c.created_by == "build").values(ended_at=NOW))
    deliver(desk.ws, now=NOW + timedelta(days=12))
    assert pauses(desk) == []


def test_a_copy_of_a_reminder_is_no_second_charge(desk: Desk, stripe: ProviderServer) -> None:
    stripe.behaviour = declines
    mail, retry = by_both(desk, channels=("email", "payment_retry"))
    deliver(desk.ws, now=NOW)
    number = desk.send(mail)["statement_id"]
    [copy] = send_statements(desk.ws, [number], again=True, now=NOW, actor="clerk").keys
    assert desk.send(copy)["channel"] == "email"

    stripe.behaviour = says("succeeded")
    with pytest.raises(Refused) as refused, desk.engine.begin() as connection:
        requeue(connection, retry, now=NOW, actor="clerk")  # the provider would repeat its answer
    assert "--again --channel payment_retry" in str(refused.value)
    [anew] = send_statements(
        desk.ws, [number], again=True, channels=["payment_retry"], send_now=True, now=NOW, actor="clerk"
    ).keys
    deliver(desk.ws, now=NOW)
    assert desk.send(anew)["delivery"] == "succeeded" and anew != retry
