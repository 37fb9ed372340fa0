"""Seconds before leaving, the facts decide again: nobody is reminded of what is paid, blocked, refused or too late."""

from base64 import b64encode
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from uuid import uuid4

import duckdb
import pytest
from sqlalchemy import select

from dunning_pipeline.console.sentences import said
from dunning_pipeline.delivery.permission.consent import record_consent
from dunning_pipeline.delivery.permission.suppressions import lift, suppress
from dunning_pipeline.delivery.queue import cancel_send, next_resend, requeue
from dunning_pipeline.delivery.switches import switch_off, switch_on
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.errors import Refused
from dunning_pipeline.ledger.reading import read_statements
from dunning_pipeline.ledger.schema import blocks, findings, item_levels, postings
from dunning_pipeline.settings.workspace import Workspace
from tests.delivery.desk import NOW, Desk, sample


@pytest.fixture
def acme(desk: Desk) -> dict:
    """A closed statement over two invoices of 100 and 50, as they stand in the published facts."""
    desk.invoice("INV-00001", account="acme", amount="100.00")
    desk.invoice("INV-00002", account="acme", amount="50.00")
    desk.publish()
    return desk.statement("acme", lines={"INV-00001": 10000, "INV-00002": 5000})


def status_of(desk: Desk, statement: dict) -> str:
    from dunning_pipeline.ledger.schema import statements

    with desk.engine.connect() as connection:
        return connection.scalar(
            select(statements.c.status).where(statements.c.statement_id == statement["statement_id"])
        )


def block(desk: Desk, key: str, *, until: date | None = None) -> None:
    with desk.engine.begin() as connection:
        connection.execute(
            blocks.insert().values(
                block_id=uuid4().hex, scope="account", target_key=key, kind="block", reason="negotiating",
                valid_from=date(2025, 11, 1), valid_to=until, created_at=NOW, created_by="test",
            )
        )  # fmt: skip


def test_an_unchanged_debt_is_reminded_and_its_level_counts(desk: Desk, acme: dict) -> None:
    [key] = desk.queue(acme)

    assert deliver(desk.ws, now=NOW)["sent"] == 1
    with desk.engine.connect() as connection:
        reached = connection.execute(item_levels.select()).mappings().all()
    assert {row["invoice_key"] for row in reached} == {"salesforce:INV-00001", "salesforce:INV-00002"}
    assert {row["sent_on"] for row in reached} == {date(2025, 11, 4)}
    assert desk.send(key)["status"] == "sent"


@pytest.mark.parametrize("paid", ["100.00", "0.01"])
def test_a_payment_since_closing_cancels_and_voids(desk: Desk, acme: dict, paid: str) -> None:
    [key] = desk.queue(acme)
    desk.paid("INV-00001", paid)
    desk.publish()

    assert deliver(desk.ws, now=NOW)["cancelled"] == 1
    assert desk.send(key)["reason"] == "amount_changed"
    assert status_of(desk, acme) == "voided"
    assert desk.outbox() == []


@pytest.mark.parametrize(
    ("known", "outcome"),
    [
        (0, "cancelled"),  # the money came since the statement was decided
        (4000, "sent"),  # it was there, and was deducted or went to an older debt
        (9000, "cancelled"),  # what was deducted went elsewhere
        (None, "sent"),  # the process ignores credits, or the statement is of before they were noted
    ],
)
def test_money_that_names_no_invoice_counts_like_any_other(desk: Desk, known: int | None, outcome: str) -> None:
    desk.invoice("INV-1", account="acme")
    desk.paid_without_reference("acme", "40.00")
    desk.publish()
    statement = desk.statement("acme", lines={"INV-1": 10000}, open_credits_minor=known)
    [key] = desk.queue(statement)
    deliver(desk.ws, now=NOW)
    assert desk.send(key)["status"] == outcome
    assert (desk.send(key)["reason"] == "amount_changed") == (outcome == "cancelled")


@pytest.mark.parametrize("later", ["due_date", "postponed_due_date"])
def test_more_time_that_the_source_gave_since_holds_and_its_end_releases(desk: Desk, acme: dict, later: str) -> None:
    [key] = desk.queue(acme)
    before = dict(desk.invoices["salesforce:INV-00001"])
    desk.invoices["salesforce:INV-00001"][later] = "2025-11-20"
    desk.publish()
    deliver(desk.ws, now=NOW)
    assert (desk.send(key)["status"], desk.send(key)["reason"]) == ("held", "block")
    desk.invoices["salesforce:INV-00001"] = before
    desk.publish()
    deliver(desk.ws, now=NOW + timedelta(hours=1))
    assert desk.send(key)["status"] == "sent"


@pytest.mark.parametrize(("listed", "outcome"), [(True, "cancelled"), (False, "sent")])
def test_a_block_stops_a_campaigns_message_that_tells_what_is_open(desk: Desk, listed: bool, outcome: str) -> None:
    desk.invoice("INV-1", account="acme")
    desk.publish()
    item = {"invoice_id": "INV-1", "instalment": 1, "open_amount": "100.00"}
    shown = sample(desk.ws)
    document = {**shown, "credits": [], "items": [{**shown["items"][0], **item}] if listed else []}
    key = desk.message("acme", document=document)
    block(desk, "salesforce:acme")
    deliver(desk.ws, now=NOW)
    assert (desk.send(key)["status"], desk.send(key)["reason"]) == (outcome, "block" if listed else None)


@pytest.mark.parametrize("barred", [False, True])
def test_a_message_may_name_an_invoice_by_an_id_that_it_had_not_always(desk: Desk, barred: bool) -> None:
    """Another system carries on: the keys are those of the former one, and the message says the id of today."""
    desk.invoice("4711", account="acme", source="billing", invoice_key="salesforce:INV-1")
    desk.publish()
    item = {"invoice_id": "4711", "instalment": 1, "open_amount": "100.00"}
    shown = sample(desk.ws)
    key = desk.message("acme", document={**shown, "credits": [], "items": [{**shown["items"][0], **item}]})
    if barred:
        block(desk, "salesforce:INV-1")
    deliver(desk.ws, now=NOW)
    assert (desk.send(key)["status"], desk.send(key)["reason"]) == (
        ("cancelled", "block") if barred else ("sent", None)
    )


def test_a_promise_that_the_source_recorded_since_holds(desk: Desk, acme: dict) -> None:
    [key] = desk.queue(acme)
    snapshot = desk.ws.serving / "s1.duckdb"
    with duckdb.connect(str(snapshot)) as con:
        con.execute(
            "insert into data_model.payment_schedules (schedule_key, account_key, invoice_key, schedule_type) "
            "values ('salesforce:S1', 'salesforce:acme', 'salesforce:INV-00001', 'promise')"
        )
        con.execute(
            "insert into data_model.payment_schedule_items (schedule_item_key, schedule_key, due_date, amount) "
            "values ('salesforce:S1/1', 'salesforce:S1', date '2025-11-12', 100)"
        )
    deliver(desk.ws, now=NOW)
    assert (desk.send(key)["status"], desk.send(key)["reason"]) == ("held", "block")


def test_a_notice_about_what_was_paid_since_never_leaves(desk: Desk) -> None:
    desk.invoice("INV-00001", account="acme")
    desk.publish()
    document = sample(desk.ws)
    item = {**document["items"][0], "invoice_id": "INV-00001", "open_amount": "100.00", "instalment": 1}
    told = {"document": {**document, "items": [item]}}
    right, wrong = desk.message("acme", occurrence="1", **told), desk.message("acme", occurrence="2", **told)
    plan = desk.message("acme", occurrence="3", kind="collection_plan", **told)
    desk.set(wrong, due_at=NOW + timedelta(hours=2), send_now=False)
    desk.set(plan, due_at=NOW + timedelta(hours=2), send_now=False)

    assert deliver(desk.ws, now=NOW)["sent"] == 1
    desk.paid("INV-00001", "40.00")
    desk.publish()
    assert deliver(desk.ws, now=NOW + timedelta(hours=2))["cancelled"] == 2
    assert desk.send(right)["status"] == "sent"
    assert {desk.send(key)["reason"] for key in (wrong, plan)} == {"amount_changed"}


def test_all_channels_of_a_changed_statement_are_cancelled(desk: Desk, acme: dict) -> None:
    keys = desk.queue(acme, channels=["email", "sms", "letter"])
    desk.paid("INV-00002", "50.00")
    desk.publish()

    assert deliver(desk.ws, now=NOW, workers=3)["cancelled"] == 3
    assert {desk.send(key)["status"] for key in keys} == {"cancelled"}
    assert status_of(desk, acme) == "voided"


def test_a_reminder_that_waited_beyond_its_deadline_does_not_leave(desk: Desk, acme: dict) -> None:
    [key] = desk.queue(acme)
    late = datetime(2025, 11, 19, 9, tzinfo=UTC)  # the stop button was pressed for two weeks, or a provider was down
    desk.payments_read(late)

    assert deliver(desk.ws, now=late)["cancelled"] == 1
    assert desk.send(key)["reason"] == "deadline_passed"
    assert status_of(desk, acme) == "voided"  # so that the next run proposes it with a new one


def test_an_sms_that_waited_too_long_goes_alone_where_the_email_arrived(desk: Desk, acme: dict) -> None:
    email, sms = desk.queue(acme, channels=["email", "sms"])
    night = datetime(2025, 11, 4, 2, tzinfo=UTC)
    desk.payments_read(night)
    assert (counts := deliver(desk.ws, now=night))["sent"] == counts["held"] == 1
    late = datetime(2025, 11, 19, 9, tzinfo=UTC)
    desk.payments_read(late)

    assert deliver(desk.ws, now=late)["cancelled"] == 1
    assert (desk.send(email)["status"], desk.send(sms)["reason"]) == ("sent", "deadline_passed")
    assert status_of(desk, acme) == "closed"
    with desk.engine.begin() as connection:
        again = next_resend(connection, acme["statement_id"])
    [copy] = desk.queue(acme, kind=again, channels=["email"])
    deliver(desk.ws, now=late)
    assert desk.send(copy)["status"] == "sent"  # a person asked for this copy


def test_a_notice_does_not_leave_once_its_invoices_are_overdue(desk: Desk) -> None:
    desk.invoice("INV-1", account="acme", amount="100.00", due_date="2025-11-06")
    desk.publish()
    notice = desk.statement("acme", lines={"INV-1": 10000}, line={"due_date": date(2025, 11, 6), "days_overdue": -2})
    [key] = desk.queue(notice)
    desk.payments_read(NOW + timedelta(days=3))
    assert deliver(desk.ws, now=NOW + timedelta(days=3))["cancelled"] == 1
    assert desk.send(key)["reason"] == "deadline_passed"


def test_an_invoice_that_left_the_books_cancels(desk: Desk, acme: dict) -> None:
    [key] = desk.queue(acme)
    desk.invoices["salesforce:INV-00002"]["status"] = "cancelled"
    desk.publish()

    deliver(desk.ws, now=NOW)
    assert desk.send(key)["status"] == "cancelled"


def test_a_block_holds_and_its_end_releases(desk: Desk, acme: dict) -> None:
    [key] = desk.queue(acme)
    block(desk, "salesforce:acme", until=date(2025, 11, 5))

    assert deliver(desk.ws, now=NOW)["held"] == 1
    assert desk.send(key)["reason"] == "block"
    assert deliver(desk.ws, now=NOW + timedelta(days=1))["held"] == 1
    desk.payments_read(NOW + timedelta(days=2))
    assert deliver(desk.ws, now=NOW + timedelta(days=2))["sent"] == 1


@pytest.mark.parametrize(("kind", "outcome"), [("dunning", "held"), ("account", "sent")])
@pytest.mark.parametrize("said", ["pause", "block"])
def test_one_of_several_bill_groups_holds_the_reminder_and_not_the_account_statement(
    desk: Desk, said: str, kind: str, outcome: str
) -> None:
    from dunning_pipeline.statements import assigning

    group, on = "salesforce:west", date(2025, 11, 4)
    desk.invoice("INV-00001", account="acme", amount="100.00", bill_group_key="salesforce:east")
    desk.invoice("INV-00002", account="acme", amount="50.00", bill_group_key=group)
    desk.publish()
    key = desk.queue(desk.statement("acme", lines={"INV-00001": 10000, "INV-00002": 5000}), kind=kind)[0]
    if said == "block":
        block(desk, group)
    else:
        with desk.engine.begin() as connection:
            assigning.assign(connection, bill_group_key=group, account_key="salesforce:acme", process="none",
                             known_processes=set(), reason="we negotiate", valid_from=on, valid_to=on,
                             actor="clerk", now=NOW)  # fmt: skip

    assert deliver(desk.ws, now=NOW)[outcome] == 1
    assert desk.send(key)["status"] == outcome


@pytest.mark.parametrize("said", ["pause", "promise", "postponement"])
def test_what_was_agreed_after_closing_holds_until_its_day(desk: Desk, acme: dict, said: str) -> None:
    from dunning_pipeline.statements import assigning, cases

    [key] = desk.queue(acme)
    until, by = date(2025, 11, 4), {"actor": "clerk", "now": NOW}
    with desk.engine.begin() as connection:
        if said == "pause":
            assigning.assign(connection, bill_group_key=acme["bill_group_key"], account_key=acme["account_key"],
                             process="none", known_processes=set(), reason="we negotiate", valid_from=NOW.date(),
                             valid_to=until, **by)  # fmt: skip
        elif said == "promise":
            cases.promise(connection, account_key=acme["account_key"], invoice_key="salesforce:INV-00002",
                          promised_for=until, promised_on=NOW.date(), **by)  # fmt: skip
        else:
            cases.postpone(connection, invoice_key="salesforce:INV-00001", postponed_to=until, created_on=NOW.date(),
                           reason="agreed", **by)  # fmt: skip

    assert deliver(desk.ws, now=NOW)["held"] == 1
    assert desk.send(key)["reason"] == "block"
    desk.payments_read(NOW + timedelta(days=2))
    assert deliver(desk.ws, now=NOW + timedelta(days=2))["sent"] == 1


@pytest.mark.parametrize(
    ("claimed", "days", "outcome"), [("itself", 0, "held"), ("earlier", 0, "held"), ("earlier", -5, "sent")]
)
def test_a_statement_that_claims_a_charge_waived_since_closing_waits_for_a_person(
    desk: Desk, claimed: str, days: int, outcome: str
) -> None:
    from dunning_pipeline.statements.booking.charges import waive

    desk.invoice("INV-00001", account="acme", amount="100.00")
    desk.publish()
    statement = desk.statement("acme", lines={"INV-00001": 10000}, claims_fee_of="earlier")
    [key] = desk.queue(statement)
    fee = {"posting_id": "fee", "posting_key": "fee", "type": "fee", "account_key": "salesforce:acme",
           "statement_id": statement["statement_id"] if claimed == "itself" else claimed, "currency": "EUR",
           "amount_minor": 500, "posted_on": NOW.date(), "created_at": NOW - timedelta(days=9),
           "created_by": "test"}  # fmt: skip
    at = NOW + timedelta(days=days)
    with desk.engine.begin() as connection:
        connection.execute(postings.insert().values(**fee))
        assert waive(connection, "fee", on=at.date(), reason="goodwill", actor="clerk", now=at) == 500

    assert deliver(desk.ws, now=NOW)[outcome] == 1
    assert desk.send(key)["reason"] == ("block" if outcome == "held" else None)


def test_a_voided_statement_is_not_sent(desk: Desk, acme: dict) -> None:
    from dunning_pipeline.statements.voiding import void

    [key] = desk.queue(acme)
    void(desk.ws, acme["statement_id"], reason="mistake", now=NOW, actor="test")
    deliver(desk.ws, now=NOW)
    assert desk.send(key)["status"] == "cancelled"


def test_old_payment_data_holds_and_fresh_data_releases(desk: Desk, acme: dict) -> None:
    [key] = desk.queue(acme)
    later = NOW + timedelta(hours=37)

    assert deliver(desk.ws, now=later, send_now=True)["held"] == 1
    assert desk.send(key)["reason"] == "payment_data_old"
    desk.payments_read(later)
    assert deliver(desk.ws, now=later, send_now=True)["sent"] == 1


def test_the_stop_button_stops_everybody(desk: Desk) -> None:
    keys = [desk.message(f"a{number}") for number in range(5)]
    with desk.engine.begin() as connection:
        switch_on(connection, "stop", actor="me", reason="wrong template", at=NOW)

    counts = deliver(desk.ws, now=NOW)
    assert "wrong template" in counts["errors"][0]
    assert {desk.send(key)["status"] for key in keys} == {"queued"}
    with desk.engine.begin() as connection:
        switch_off(connection, "stop", actor="me", at=NOW)
    assert deliver(desk.ws, now=NOW)["sent"] == 5


def test_a_paused_campaign_waits(desk: Desk) -> None:
    key = desk.message("acme")
    with desk.engine.begin() as connection:
        switch_on(connection, "campaign:notice", actor="me", reason=None, at=NOW)
    assert deliver(desk.ws, now=NOW)["held"] == 1
    with desk.engine.begin() as connection:
        switch_off(connection, "campaign:notice", actor="me", at=NOW)
    assert deliver(desk.ws, now=NOW)["sent"] == 1
    assert desk.send(key)["status"] == "sent"


def test_a_suppressed_recipient_gets_a_letter_instead(desk: Desk, acme: dict) -> None:
    [key] = desk.queue(acme)
    with desk.engine.begin() as connection:
        suppress(connection, "ACME@example.com", channel="email", reason="hard_bounce", origin="test", at=NOW)

    assert deliver(desk.ws, now=NOW)["sent"] == 1  # the same hour: tomorrow's statement would replace it unsent
    assert (desk.send(key)["status"], desk.send(key)["reason"]) == ("held", "suppressed")
    letter = next(row for row in desk.sends() if row["channel"] == "letter")
    assert (desk.ws.outbox / f"{letter['key']}.pdf").read_bytes().startswith(b"%PDF")


def test_a_recipient_whom_no_mail_server_takes_gets_a_letter_instead(desk: Desk) -> None:
    desk.invoice("INV-00001", account="acme")
    desk.publish()
    recipients = {"to": ["jürgen@example.com"], "cc": [], "bcc": []}
    [key] = desk.queue(desk.statement("acme", lines={"INV-00001": 10000}, recipients=recipients))

    assert deliver(desk.ws, now=NOW, send_now=True)["sent"] == 1
    assert (desk.send(key)["status"], desk.send(key)["reason"]) == ("held", "invalid_address")
    assert [row["status"] for row in desk.sends() if row["channel"] == "letter"] == ["sent"]


@pytest.mark.parametrize(
    ("channel", "written", "words"),
    [
        ("email", "bad@", "not an e-mail address: There must be something after the @-sign. (value: 'bad@')"),
        ("email", "", "not an e-mail address: An email address must have an @-sign. (value: '')"),
        ("email", "a@x.com\r\nBcc: b", "a line break inside an e-mail address (value: 'a@x.com\\r\\nBcc: b')"),
        ("sms", "call me", "not a phone number (value: 'call me')"),
        ("sms", "+999 123", "a phone number without a known country code (value: '+999 123')"),
    ],
)
def test_a_hold_for_what_is_no_address_says_so_and_what_to_do(
    desk: Desk, channel: str, written: str, words: str
) -> None:
    key = desk.message("acme", channel=channel, to=None)
    desk.set(key, recipients={"to": [written], "cc": [], "bcc": []})
    deliver(desk.ws, now=NOW, send_now=True)
    [told] = desk.sends()
    assert (told["status"], told["reason"], told["explanation"]) == ("held", "invalid_address", words)
    assert told["remedy"].startswith("correct it at the source")


def test_the_finding_names_the_address_at_which_nobody_can_be_reached(desk: Desk) -> None:
    desk.invoice("INV-00001", account="acme")
    desk.publish()
    nobody = {"recipients": {"to": ["bad@"], "cc": [], "bcc": []}, "address": {}}
    desk.queue(desk.statement("acme", lines={"INV-00001": 10000}, **nobody))
    deliver(desk.ws, now=NOW, send_now=True)
    with desk.engine.connect() as connection:
        [told] = connection.scalars(select(findings.c.message).where(findings.c.kind == "no_channel"))
    assert "invalid_address: not an e-mail address" in told
    assert "(bad@)" in told


def test_a_copy_to_what_is_no_address_is_left_out(desk: Desk, acme: dict) -> None:
    copies = {"to": ["acme@example.com"], "cc": ["jürgen@example.com", "a..b@example.com"], "bcc": []}
    [key] = desk.queue(desk.statement("acme", lines={"INV-00001": 10000}, recipients=copies))

    assert deliver(desk.ws, now=NOW)["sent"] == 1
    mail = message_from_bytes((desk.ws.outbox / f"{key}.eml").read_bytes(), policy=policy.default)
    assert (mail["To"], mail["Cc"]) == ("acme@example.com", None)
    assert "copy_left_out" in desk.findings()


def test_who_got_a_letter_instead_does_not_get_the_mail_as_well(desk: Desk, acme: dict) -> None:
    [key] = desk.queue(acme)
    with desk.engine.begin() as connection:
        suppress(connection, "acme@example.com", channel="email", reason="hard_bounce", origin="test", at=NOW)
    assert deliver(desk.ws, now=NOW, send_now=True)["sent"] == 1  # the letter
    with desk.engine.begin() as connection:
        lift(connection, "acme@example.com", channel="email", actor="me", at=NOW)

    assert deliver(desk.ws, now=NOW, send_now=True)["sent"] == 0
    assert desk.send(key)["status"] == "held" and desk.outbox() == []


def test_a_copy_that_may_not_be_written_to_is_left_out(desk: Desk, acme: dict) -> None:
    copies = {"to": ["acme@example.com"], "cc": ["gone@example.com", "cfo@example.com"], "bcc": ["No@example.com"]}
    [key] = desk.queue(desk.statement("acme", lines={"INV-00001": 10000}, recipients=copies))
    with desk.engine.begin() as connection:
        suppress(connection, "gone@example.com", channel="email", reason="hard_bounce", origin="test", at=NOW)
        record_consent(
            connection, "no@example.com", channel="email", subscription="dunning", status="opt_out",
            consented_at=NOW, origin="test", recorded_at=NOW,
        )  # fmt: skip

    assert deliver(desk.ws, now=NOW)["sent"] == 1
    mail = message_from_bytes((desk.ws.outbox / f"{key}.eml").read_bytes(), policy=policy.default)
    assert (mail["To"], mail["Cc"], mail["Bcc"]) == ("acme@example.com", "cfo@example.com", None)
    assert "copy_left_out" in desk.findings()


def test_mail_that_nobody_must_get_needs_a_way_out_of_it(workspace: Workspace) -> None:
    file = workspace.policies / "company.yaml"
    file.write_text("\n".join(line for line in file.read_text().split("\n") if not line.startswith("public_url")))
    desk = Desk(Workspace(workspace.root))
    notice, reminder = desk.message("acme"), desk.message("acme", kind="dunning", occurrence="2")

    deliver(desk.ws, now=NOW)
    assert (desk.send(notice)["status"], desk.send(notice)["reason"]) == ("held", "not_configured")
    assert desk.send(reminder)["status"] == "sent"


def test_a_template_without_the_companys_address_is_not_sent(desk: Desk) -> None:
    imprint = desk.ws.templates / "email" / "parts" / "imprint.txt.j2"
    imprint.write_text(imprint.read_text().replace("{{ company.postal_line }}", ""))
    key = desk.message("acme")

    assert deliver(desk.ws, now=NOW)["failed"] == 1
    assert "postal address" in desk.send(key)["reason"] and desk.outbox() == []


def test_nobody_to_write_to_is_a_finding(desk: Desk, acme: dict) -> None:
    statement = desk.statement("acme", lines={"INV-00001": 10000}, address={})
    desk.queue(statement)
    with desk.engine.begin() as connection:
        suppress(connection, "acme@example.com", channel="email", reason="manual", origin="test", at=NOW)
    deliver(desk.ws, now=NOW)
    assert "no_channel" in desk.findings()
    with desk.engine.begin() as connection:
        lift(connection, "acme@example.com", channel="email", actor="me", at=NOW)
    assert deliver(desk.ws, now=NOW)["sent"] == 1


def test_an_opt_out_of_reminders_routes_to_letter(desk: Desk, acme: dict) -> None:
    [key] = desk.queue(acme)
    with desk.engine.begin() as connection:
        record_consent(
            connection, "acme@example.com", channel="email", subscription="dunning", status="opt_out",
            consented_at=NOW, origin="test", recorded_at=NOW,
        )  # fmt: skip
    deliver(desk.ws, now=NOW)
    assert desk.send(key)["reason"] == "consent"
    assert [row["channel"] for row in desk.sends() if row["status"] == "sent"] == ["letter"]


def test_where_consent_is_required_silence_is_a_no(workspace: Workspace) -> None:
    file = workspace.policies / "company.yaml"
    file.write_text(file.read_text().replace("consent_for_dunning: transactional", "consent_for_dunning: required"))
    desk = Desk(Workspace(workspace.root))
    desk.invoice("INV-00001", account="acme")
    desk.publish()
    statement = desk.statement("acme", lines={"INV-00001": 10000}, address={})
    [key] = desk.queue(statement)

    deliver(desk.ws, now=NOW)
    assert desk.send(key)["reason"] == "consent"
    with desk.engine.begin() as connection:
        record_consent(
            connection, "acme@example.com", channel="email", subscription="dunning", status="opt_in",
            consented_at=NOW - timedelta(days=9), origin="test", recorded_at=NOW,
        )  # fmt: skip
    deliver(desk.ws, now=NOW)
    assert desk.send(key)["status"] == "sent"


@pytest.mark.parametrize(
    ("at", "outcome"),
    [("2025-11-04T06:30", "held"), ("2025-11-04T07:00", "sent"), ("2025-11-04T19:59", "sent"),
     ("2025-11-04T20:00", "held")],
)  # fmt: skip
def test_text_messages_leave_between_eight_and_twenty_one_local(desk: Desk, at: str, outcome: str) -> None:
    desk.message("acme", channel="sms", to="+4915112345678", time_zone="Europe/Berlin")
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)

    assert deliver(desk.ws, now=moment, send_now=True)[outcome] == 1  # --now does not override quiet hours


def test_where_zones_conflict_only_the_common_hours_count(desk: Desk) -> None:
    key = desk.message("acme", channel="sms", to="+4915112345678", time_zone="America/New_York,Europe/Berlin")

    deliver(desk.ws, now=NOW)  # 10:00 in Berlin, 04:00 in New York
    assert desk.send(key)["due_at"] == datetime(2025, 11, 4, 13, 0, tzinfo=UTC)  # 14:00 and 08:00
    assert deliver(desk.ws, now=datetime(2025, 11, 4, 13, 0, tzinfo=UTC))["sent"] == 1


def test_weekends_and_holidays_wait_unless_told(desk: Desk) -> None:
    saturday = datetime(2025, 11, 8, 9, tzinfo=UTC)
    christmas = datetime(2025, 12, 25, 9, tzinfo=UTC)
    key = desk.message("acme", send_now=False, due_at=NOW)

    deliver(desk.ws, now=saturday)
    assert (desk.send(key)["status"], desk.send(key)["reason"]) == ("held", "weekend")
    assert desk.send(key)["due_at"] == datetime(2025, 11, 10, 2, tzinfo=UTC)  # Monday 03:00 in Berlin
    deliver(desk.ws, now=christmas)
    assert desk.send(key)["reason"] == "holiday"
    assert deliver(desk.ws, now=christmas, send_now=True)["sent"] == 1


def test_a_message_that_names_another_account_never_leaves(desk: Desk) -> None:
    desk.invoice("INV-1", account="acme")
    desk.invoice("INV-77777", account="other")
    desk.publish()
    statement = desk.statement("acme", lines={"INV-1": 10000}, line={"invoice_number": "INV-77777"})
    [key] = desk.queue(statement)

    assert deliver(desk.ws, now=NOW)["failed"] == 1
    assert "INV-77777" in desk.send(key)["reason"]
    assert desk.outbox() == []


def test_the_same_statement_is_queued_once(desk: Desk, acme: dict) -> None:
    first = desk.queue(acme)
    assert desk.queue(acme, campaign="monthly", occurrence="2025-11") == first
    assert len(desk.sends()) == 1
    with pytest.raises(Refused, match="another content"):
        desk.queue(acme, overrides={"subject": "Another subject"})


def test_a_deliberate_resend_is_another_send(desk: Desk, acme: dict) -> None:
    desk.queue(acme)
    deliver(desk.ws, now=NOW)
    with desk.engine.begin() as connection:
        kind = next_resend(connection, acme["statement_id"])
    desk.queue(acme, kind=kind)
    assert kind == "resend:1"
    assert deliver(desk.ws, now=NOW)["sent"] == 1
    assert len(desk.outbox()) == 2


def test_only_closed_statements_are_sent(desk: Desk, acme: dict) -> None:
    draft = desk.statement("acme", lines={"INV-00001": 10000}, status="draft")
    with pytest.raises(Refused, match="closed"):
        desk.queue(draft)


def test_a_draft_is_mailed_as_a_draft_and_counts_for_nothing(desk: Desk, acme: dict) -> None:
    draft = desk.statement("acme", lines={"INV-00001": 10000}, status="draft")
    [key] = desk.queue(draft, kind="draft", document=draft["content"], overrides={"to": ["boss@example.com"]})

    deliver(desk.ws, now=NOW)
    mail = message_from_bytes((desk.ws.outbox / f"{key}.eml").read_bytes(), policy=policy.default)
    assert mail["Subject"].startswith("DRAFT: ") and mail["To"] == "boss@example.com"
    with desk.engine.connect() as connection:
        assert connection.execute(item_levels.select()).all() == []


def test_a_sent_message_cannot_be_cancelled(desk: Desk) -> None:
    key = desk.message("acme")
    deliver(desk.ws, now=NOW)
    with desk.engine.begin() as connection, pytest.raises(Refused, match="sent"):
        cancel_send(connection, key, now=NOW, actor="me", reason="late")


def test_the_statement_and_its_invoices_are_attached_byte_for_byte(desk: Desk, acme: dict) -> None:
    folder: Path = desk.ws.inbox / "invoice_pdfs"
    folder.mkdir()
    original = b"%PDF-1.7 \x00\xff" + bytes(range(256)) * 40
    (folder / "INV-00001.pdf").write_bytes(original)
    [key] = desk.queue(acme)

    deliver(desk.ws, now=NOW)
    mail = message_from_bytes((desk.ws.outbox / f"{key}.eml").read_bytes(), policy=policy.default)
    attached = {part.get_filename(): part.get_payload(decode=True) for part in mail.iter_attachments()}
    assert attached["INV-00001.pdf"] == original
    assert attached[f"{acme['number']}.pdf"].startswith(b"%PDF")


def test_an_invoice_pdf_that_may_be_another_accounts_is_not_attached(desk: Desk, acme: dict) -> None:
    """Two billing systems count from 1: the file's name alone does not say whose invoice it is."""
    desk.invoices["zuora:INV-00001"] = {
        **desk.invoices["salesforce:INV-00001"], "invoice_key": "zuora:INV-00001", "account_key": "zuora:other",
        "source": "zuora",
    }  # fmt: skip
    desk.publish()
    folder: Path = desk.ws.inbox / "invoice_pdfs"
    folder.mkdir()
    (folder / "INV-00001.pdf").write_bytes(b"%PDF-1.7 whose?")
    [key] = desk.queue(acme)
    assert deliver(desk.ws, now=NOW)["failed"] == 1
    assert "another account" in desk.send(key)["reason"] and desk.outbox() == []

    (folder / "salesforce").mkdir()
    (folder / "salesforce" / "INV-00001.pdf").write_bytes(b"%PDF-1.7 ours")
    with desk.engine.begin() as connection:
        requeue(connection, key, now=NOW, actor="me")
    assert deliver(desk.ws, now=NOW)["sent"] == 1
    assert b64encode(b"%PDF-1.7 ours") in (desk.ws.outbox / f"{key}.eml").read_bytes()


def test_attachments_that_are_too_large_fail_and_say_so(desk: Desk, acme: dict) -> None:
    folder: Path = desk.ws.inbox / "invoice_pdfs"
    folder.mkdir()
    with (folder / "INV-00001.pdf").open("wb") as out:
        out.truncate(40_000_000)
    [key] = desk.queue(acme)

    assert deliver(desk.ws, now=NOW)["failed"] == 1
    assert "40.0 MB" in desk.send(key)["reason"]


def test_no_payment_stream_at_all_is_a_finding_not_a_hold(workspace: Workspace, monkeypatch) -> None:
    monkeypatch.setattr(Desk, "payments_read", lambda self, at: None)
    desk = Desk(workspace)
    desk.invoice("INV-00001", account="acme")
    desk.publish()
    desk.queue(desk.statement("acme", lines={"INV-00001": 10000}))
    assert deliver(desk.ws, now=NOW)["sent"] == 1
    assert "no_payment_stream" in desk.findings()


@pytest.mark.parametrize("kind", ["dunning", "account"])
def test_an_invoice_that_went_to_another_account_is_not_told_to_the_old_one(desk: Desk, acme: dict, kind: str) -> None:
    [key] = desk.queue(acme, kind=kind)
    desk.invoices["salesforce:INV-00002"]["account_key"] = "salesforce:other"
    desk.publish()
    deliver(desk.ws, now=NOW)
    assert (desk.send(key)["status"], desk.send(key)["reason"]) == ("cancelled", "owner_changed")
    assert (status_of(desk, acme), desk.outbox()) == ("voided", [])


def test_a_campaigns_message_does_not_tell_what_another_account_owes_by_now(desk: Desk) -> None:
    desk.invoice("INV-1", account="other")
    desk.publish()
    shown = sample(desk.ws)
    item = {**shown["items"][0], "invoice_id": "INV-1", "instalment": 1, "open_amount": "100.00"}
    key = desk.message("acme", document={**shown, "credits": [], "items": [item]})
    deliver(desk.ws, now=NOW)
    assert (desk.send(key)["status"], desk.send(key)["reason"]) == ("cancelled", "owner_changed")


@pytest.mark.parametrize(
    ("reached_at", "chosen", "outcome"),
    [
        ("acme@example.com", None, "sent"),
        ("ACME@Example.com", None, "sent"),
        ("new@example.com", None, "cancelled"),
        (None, None, "cancelled"),  # the contact was removed: the next run proposes a letter
        ("new@example.com", "edit", "sent"),  # a person chose the recipient
        ("new@example.com", "override", "sent"),
    ],
)
def test_whom_the_source_does_not_name_any_more_is_not_written_to(
    desk: Desk, reached_at: str | None, chosen: str | None, outcome: str
) -> None:
    desk.invoice("INV-1", account="acme")
    desk.reached = {"acme": reached_at}
    desk.publish()
    edits = {"recipients": {"to": ["acme@example.com"]}} if chosen == "edit" else {}
    statement = desk.statement("acme", lines={"INV-1": 10000}, hand_edits=edits)
    [key] = desk.queue(statement, overrides={"to": ["mine@example.com"]} if chosen == "override" else None)
    deliver(desk.ws, now=NOW)
    assert desk.send(key)["status"] == outcome
    assert (desk.send(key)["reason"], status_of(desk, statement)) == (
        (None, "closed") if outcome == "sent" else ("recipient_changed", "voided")
    )


@pytest.mark.parametrize(
    ("kind", "reached_at", "plan_contact", "overrides", "outcome"),
    [
        ("campaign", "ACME@example.com", None, None, "sent"),
        ("campaign", "new@example.com", None, None, "cancelled"),  # corrected, or the contact is another account's now
        ("campaign", None, None, None, "cancelled"),  # removed
        ("campaign", "new@example.com", None, {"to": ["acme@example.com"]}, "sent"),  # whom a person chose
        ("campaign", "new@example.com", "acme@example.com", None, "cancelled"),
        ("collection_plan", "new@example.com", "acme@example.com", None, "sent"),  # goes to the plan's contact
        ("collection_plan", "new@example.com", "plan@example.com", None, "cancelled"),
    ],
)
def test_a_campaigns_message_goes_to_nobody_whom_the_source_does_not_name_any_more(
    desk: Desk, kind: str, reached_at: str | None, plan_contact: str | None, overrides: dict | None, outcome: str
) -> None:
    desk.invoice("INV-1", account="acme")
    desk.reached = {"acme": reached_at}
    if plan_contact:
        desk.contacts, desk.plans = [("acme", plan_contact)], [("acme", plan_contact)]
    desk.publish()
    key = desk.message("acme", kind=kind, overrides=overrides)
    deliver(desk.ws, now=NOW)
    reason = "recipient_changed" if outcome == "cancelled" else None
    assert (desk.send(key)["status"], desk.send(key)["reason"]) == (outcome, reason)


MOVED = {"street": "Neuer Weg 2", "postal_code": "10117", "city": "Berlin", "country": "DE"}


@pytest.mark.parametrize(
    ("current", "by_hand", "outcome"),
    [
        ({"street": "WEG  1", "postal_code": "10115", "city": "Berlin", "name": "acme AG"}, {}, "sent"),
        (MOVED, {}, "the source has another postal address now: Neuer Weg 2, 10117, Berlin, DE"),
        ({**MOVED, "street": None, "city": None}, {}, "the source has no postal address any more"),
        (MOVED, {"address": {"street": "Weg 1"}}, "sent"),  # a person wrote it
        ({}, {}, "sent"),  # an older snapshot that does not say
    ],
)
def test_a_letter_does_not_go_where_the_source_does_not_have_its_reader_any_more(
    desk: Desk, current: dict, by_hand: dict, outcome: str
) -> None:
    desk.invoice("INV-1", account="acme")
    desk.reached, desk.postal = {"acme": "acme@example.com"}, {"acme": current}
    desk.publish()
    statement = desk.statement("acme", lines={"INV-1": 10000}, channels=("letter",), hand_edits=by_hand)
    [key] = desk.queue(statement)
    deliver(desk.ws, now=NOW)
    if outcome == "sent":
        assert (desk.send(key)["status"], status_of(desk, statement)) == ("sent", "closed")
        return
    assert (desk.send(key)["status"], desk.send(key)["reason"]) == ("cancelled", "recipient_changed")
    assert status_of(desk, statement) == "voided"  # the next run writes it anew
    [voided] = read_statements(desk.ws, status="voided").rows()
    assert voided["void_reason"] == f"recipient changed: {outcome}"
    assert said(voided["void_reason"], "de").startswith("Empfänger geändert: die Quelle hat")


def test_a_letter_that_stays_behind_its_e_mail_is_a_finding(desk: Desk) -> None:
    desk.invoice("INV-1", account="acme")
    desk.reached, desk.postal = {"acme": "acme@example.com"}, {"acme": MOVED}
    desk.publish()
    statement = desk.statement("acme", lines={"INV-1": 10000}, channels=("email", "letter"), attach_invoices=False)
    mail, letter = desk.queue(statement)
    desk.set(letter, due_at=NOW + timedelta(hours=1))
    deliver(desk.ws, now=NOW)
    deliver(desk.ws, now=NOW + timedelta(hours=2))
    assert (desk.send(mail)["status"], desk.send(letter)["status"]) == ("sent", "cancelled")
    assert (status_of(desk, statement), desk.findings()) == ("closed", ["letter_not_sent"])


def test_a_campaigns_letter_does_not_go_to_the_old_address_either(desk: Desk) -> None:
    desk.invoice("INV-1", account="acme")
    desk.reached, desk.postal = {"acme": None}, {"acme": MOVED}
    desk.publish()
    key = desk.message("acme", channel="letter", document={**sample(desk.ws), "items": [], "credits": []})
    deliver(desk.ws, now=NOW)
    assert (desk.send(key)["status"], desk.send(key)["reason"]) == ("cancelled", "recipient_changed")


@pytest.mark.parametrize(
    ("overrides", "copied"), [(None, "Stays@example.com"), ({"cc": ["gone@example.com"]}, "gone@example.com")]
)
def test_a_copy_to_whom_the_source_does_not_name_any_more_is_left_out(
    desk: Desk, overrides: dict | None, copied: str
) -> None:
    desk.invoice("INV-1", account="acme")
    desk.reached, desk.copied = {"acme": "acme@example.com"}, ["stays@example.com"]
    desk.publish()
    recipients = {"to": ["acme@example.com"], "cc": ["Stays@example.com", "gone@example.com"], "bcc": []}
    [key] = desk.queue(desk.statement("acme", lines={"INV-1": 10000}, recipients=recipients), overrides=overrides)

    assert deliver(desk.ws, now=NOW)["sent"] == 1
    mail = message_from_bytes((desk.ws.outbox / f"{key}.eml").read_bytes(), policy=policy.default)
    assert mail["Cc"].lower() == copied.lower()
    assert ("copy_left_out" in desk.findings()) is (overrides is None)


def test_a_text_for_which_no_hour_suits_all_its_zones_goes_as_a_letter(desk: Desk, acme: dict) -> None:
    zones = "Asia/Tokyo,America/New_York,Europe/Berlin"
    [key] = desk.queue({**acme, "time_zone": zones}, channels=["sms"])
    for hour in range(0, 48, 5):
        deliver(desk.ws, now=NOW + timedelta(hours=hour), send_now=True)
    assert (desk.send(key)["status"], desk.send(key)["reason"]) == ("held", "no_common_hour")
    assert [row["status"] for row in desk.sends() if row["channel"] == "letter"] == ["sent"]
