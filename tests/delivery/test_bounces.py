"""A message that does not arrive looks for another way: the next recipient, a letter, or a person."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from dunning_pipeline.daily import daily
from dunning_pipeline.delivery.permission.suppressions import suppress
from dunning_pipeline.delivery.providers.protocol import Answer
from dunning_pipeline.delivery.working.claims import claim
from dunning_pipeline.delivery.working.outcomes import record
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.schema import item_levels, sends, statements
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.voiding import void
from tests.campaigns.conftest import NOW as MORNING
from tests.campaigns.conftest import TODAY, built_company, company
from tests.delivery.desk import NOW, Desk
from tests.delivery.signing import Signer, event
from tests.delivery.test_events import Hook

__all__ = ["built_company", "company"]


@pytest.fixture
def hook(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Hook:
    signer = Signer()
    monkeypatch.setenv("SENDGRID_WEBHOOK_PUBLIC_KEY", signer.public_key)
    return Hook(desk, signer)


def choice(step: int, address: str | None, outcome: str, **more: Any) -> dict[str, Any]:
    return {"purpose": "email", "step": step, "said_by": "x", "contact": f"c{step}", "address": address,
            "outcome": outcome, "is_answer": False, **more}  # fmt: skip


def acme(desk: Desk, *choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    desk.invoice("INV-00001", account="acme")
    desk.publish()
    trace = {"choices": [*choices], "copies": None}
    told = {"to": ["first@acme.example"], "cc": [], "bcc": [], "sms": None, "trace": trace}
    return desk.statement("acme", lines={"INV-00001": 10000}, recipients=told, attach_invoices=False, **more)


def bounce(hook: Hook, key: str, address: str, identity: str) -> None:
    told = event("bounce", key, email=address, type="bounce", status="5.1.1", identity=identity)
    assert hook.tell(told) == 1


def rows_of(ws: Workspace) -> list[dict[str, Any]]:
    with reading(open_ledger(ws)) as connection:
        return [dict(row) for row in connection.execute(select(sends)).mappings()]


def levels(desk: Desk) -> list[str]:
    with reading(desk.engine) as connection:
        return list(connection.scalars(select(item_levels.c.event).order_by(item_levels.c.item_level_id)))


def test_each_bounce_asks_the_next_one_then_writes_a_letter(desk: Desk, hook: Hook) -> None:
    statement = acme(
        desk,
        choice(1, "first@acme.example", "chosen", is_answer=True),
        choice(2, "FIRST@acme.example ", "chosen"),  # the same person once more
        choice(3, "second@acme.example", "chosen"),
        choice(4, None, "no_address"),
        choice(5, "not an address", "invalid_address"),
    )
    [first] = desk.queue(statement)
    assert deliver(desk.ws, now=NOW, send_now=True)["sent"] == 1
    assert levels(desk) == ["reached"]

    bounce(hook, first, "first@acme.example", "b1")
    assert sorted(levels(desk)) == ["reached", "revoked"]
    [second] = [row for row in rows_of(desk.ws) if row["status"] == "queued"]
    assert second["recipients"]["to"] == ["second@acme.example"]
    assert second["kind"] == "dunning" and second["channel"] == "email"
    assert deliver(desk.ws, now=NOW, send_now=True)["sent"] == 1
    assert sorted(levels(desk)) == ["reached", "reached", "revoked"]

    bounce(hook, second["send_key"], "second@acme.example", "b2")
    assert sorted(levels(desk)) == ["reached", "reached", "revoked", "revoked"]
    [letter] = [row for row in rows_of(desk.ws) if row["status"] == "queued"]
    assert (letter["channel"], letter["recipients"]["address"]["city"]) == ("letter", "Berlin")
    assert "no_channel" not in desk.findings()


def test_a_bounce_with_nobody_else_and_no_address_is_a_finding(desk: Desk, hook: Hook) -> None:
    nowhere = {"name": "acme", "city": "Ulm", "country": "DE"}
    statement = acme(desk, choice(1, "first@acme.example", "chosen", is_answer=True), address=nowhere)
    [key] = desk.queue(statement)
    deliver(desk.ws, now=NOW, send_now=True)
    bounce(hook, key, "first@acme.example", "b1")

    assert [row["send_key"] for row in rows_of(desk.ws)] == [key]
    assert "no_channel" in desk.findings()
    assert sorted(levels(desk)) == ["reached", "revoked"]
    assert hook.tell(event("bounce", key, email="first@acme.example", type="bounce", identity="b1")) == 0
    assert len(levels(desk)) == 2  # told again, nothing more


@pytest.mark.parametrize(
    ("reason", "next_channel"),
    [
        ("Bounced Address", "email"),
        ("Invalid", "email"),
        ("Unsubscribed Address", "letter"),
        ("Spam Reporting Address", "letter"),
    ],
)
def test_a_drop_for_a_personal_no_does_not_ask_the_next_one(
    desk: Desk, hook: Hook, reason: str, next_channel: str
) -> None:
    statement = acme(
        desk, choice(1, "first@acme.example", "chosen", is_answer=True), choice(2, "second@acme.example", "chosen")
    )
    [key] = desk.queue(statement)
    deliver(desk.ws, now=NOW)
    told = {"email": "first@acme.example", "reason": reason}
    hook.tell(event("processed", key, **told), event("dropped", key, **told))
    assert (desk.send(key)["status"], desk.send(key)["delivery"]) == ("sent", "dropped")
    assert [row["channel"] for row in desk.sends() if row["key"] != key] == [next_channel]


@pytest.mark.parametrize(
    ("reason", "next_channel"),
    [("hard_bounce", "email"), ("manual", "email"), ("complaint", "letter"), ("stop_word", "letter")],
)
def test_an_address_that_died_since_is_passed_over_and_a_personal_no_is_not(
    desk: Desk, reason: str, next_channel: str
) -> None:
    statement = acme(
        desk, choice(1, "first@acme.example", "chosen", is_answer=True), choice(2, "second@acme.example", "chosen")
    )
    [first] = desk.queue(statement)
    with desk.engine.begin() as connection:
        suppress(connection, "first@acme.example", channel="email", reason=reason, origin="test", at=NOW)
    assert deliver(desk.ws, now=NOW)["sent"] == 1  # the same hour, as it was due
    assert [(row["channel"], row["status"]) for row in desk.sends() if row["key"] != first] == [(next_channel, "sent")]
    assert deliver(desk.ws, now=NOW + timedelta(hours=1))["sent"] == 0


def test_what_is_no_address_goes_to_the_next_recipient(desk: Desk) -> None:
    statement = acme(
        desk, choice(1, "first@acme.example", "chosen", is_answer=True), choice(2, "second@acme.example", "chosen")
    )
    statement["recipients"]["to"] = ["jürgen@acme.example"]  # the models let it pass
    [first] = desk.queue(statement)
    assert deliver(desk.ws, now=NOW)["sent"] == 1
    [other] = [row for row in desk.sends() if row["key"] != first]
    assert (other["channel"], other["to"]) == ("email", ["first@acme.example"])


def test_a_bounce_of_a_voided_statement_asks_nobody_else_and_blames_nobody(desk: Desk, hook: Hook) -> None:
    statement = acme(
        desk, choice(1, "first@acme.example", "chosen", is_answer=True), choice(2, "second@acme.example", "chosen")
    )
    [key] = desk.queue(statement)
    deliver(desk.ws, now=NOW, send_now=True)
    void(desk.ws, statement["statement_id"], reason="wrong", now=NOW, actor="clerk")
    bounce(hook, key, "first@acme.example", "b1")

    assert [row["send_key"] for row in rows_of(desk.ws)] == [key]
    assert "no_channel" not in desk.findings()  # it said that there is no postal address, which there is
    assert sorted(levels(desk)) == ["reached", "revoked"]


def test_who_said_no_is_not_asked_next(desk: Desk, hook: Hook) -> None:
    statement = acme(
        desk,
        choice(1, "first@acme.example", "chosen", is_answer=True),
        choice(2, "no@acme.example", "opted_out"),
        choice(3, "dead@acme.example", "chosen"),
    )
    hook.tell(event("bounce", None, email="dead@acme.example", type="bounce", status="5.1.1", identity="old"))
    [key] = desk.queue(statement)
    deliver(desk.ws, now=NOW, send_now=True)
    bounce(hook, key, "first@acme.example", "b1")

    assert [row["channel"] for row in rows_of(desk.ws) if row["status"] == "queued"] == ["letter"]


def test_one_of_two_recipients_that_bounces_changes_nothing(desk: Desk, hook: Hook) -> None:
    statement = acme(desk, choice(2, "next@acme.example", "chosen"))
    [key] = desk.queue(statement, overrides={"to": ["first@acme.example", "other@acme.example"]})
    deliver(desk.ws, now=NOW, send_now=True)
    hook.tell(event("delivered", key, email="other@acme.example", identity="d"))
    bounce(hook, key, "first@acme.example", "b1")

    assert levels(desk) == ["reached"]
    assert [row["send_key"] for row in rows_of(desk.ws)] == [key]
    assert desk.send(key)["delivery"] == "delivered"


@pytest.mark.slow
def test_the_decisions_own_trace_leads_to_the_next_recipient(
    company: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ends meet: what the models write about the choice of recipients is what a bounce reads."""
    file = company.inbox / "salesforce" / "Account.csv"
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([f"{head},Email__c", *(f"{row},office@{row.split(',')[0]}.example" for row in rows), ""]))
    daily(company, date=TODAY, now=MORNING)
    assert deliver(company, now=MORNING, send_now=True)["sent"]
    [sent] = [row for row in rows_of(company) if row["account_key"] == "salesforce:alpha"]
    with open_ledger(company).connect() as connection:
        recipients = connection.scalar(
            select(statements.c.recipients).where(statements.c.statement_id == sent["statement_id"])
        )
    asked = [one["address"] for one in recipients["trace"]["choices"] if one["purpose"] == "email"]
    assert sent["recipients"]["to"] == ["ap.alpha@alpha.example"]
    assert asked[:1] == ["ap.alpha@alpha.example"] and "office@alpha.example" in asked
    signer = Signer()
    monkeypatch.setenv("SENDGRID_WEBHOOK_PUBLIC_KEY", signer.public_key)
    hook = Hook(Desk(company), signer)
    bounce(hook, sent["send_key"], "ap.alpha@alpha.example", "b1")
    [following] = [row for row in rows_of(company) if row["status"] == "queued"]
    assert following["recipients"]["to"] == ["office@alpha.example"]


def test_an_address_that_the_mail_server_refuses_is_followed_up_at_once(desk: Desk) -> None:
    desk.invoice("INV-00001", account="acme")
    desk.publish()
    desk.queue(desk.statement("acme", lines={"INV-00001": 10000}, attach_invoices=False), channels=["email"])
    with desk.engine.begin() as connection:
        [row] = claim(connection, worker="w/1", now=NOW, limit=1)
        refused = Answer("failed", status="550", detail="no such user", suppress="invalid", address="acme@example.com")
        record(connection, desk.ws, [(row, refused, None)], now=NOW)
    assert [(one["channel"], one["status"]) for one in desk.sends()] == [("email", "failed"), ("letter", "queued")]
    assert "send_failed" not in desk.findings(), "a letter goes out instead: nobody has to do anything"
