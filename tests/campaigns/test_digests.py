"""Stories of digests: a mailbox of many accounts gets one message, and no word about an account that is not its."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from uuid import uuid4

import duckdb
import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from dunning_pipeline.campaigns.effect import report_of
from dunning_pipeline.campaigns.plan_sending import send_by_hand
from dunning_pipeline.campaigns.previewing import preview_campaign
from dunning_pipeline.campaigns.running import run_campaign
from dunning_pipeline.cli.main import app
from dunning_pipeline.delivery.permission.suppressions import suppress
from dunning_pipeline.delivery.reading import read_sends
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.errors import Refused
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.schema import blocks, campaign_occurrences, send_accounts, sends
from dunning_pipeline.settings.workspace import Workspace
from tests.campaigns.conftest import NOW
from tests.campaigns.test_running import DUNNING, MESSAGE, declare

DIGEST = """\
campaign: mailboxes
segment: overdue_1_30
flow: message
template: account_digest
channels: [email]
consolidate: by_contact_point
"""
SHARED = "ap@shared.example"
MINE = ("alpha", "bravo", "carol", "delta")  # the members of the segment


class Books:
    """The published facts, changed in place: a build would say the same a second later."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        (self.snapshot,) = ws.serving.glob("*.duckdb")

    def say(self, *statements: str) -> None:
        with duckdb.connect(str(self.snapshot)) as con:
            for statement in statements:
                con.execute(statement)

    def reached_at(self, address: str, *names: str) -> None:
        listed = ", ".join(f"'salesforce:{name}'" for name in names)
        self.say(f"update dunning.account_recipients set email_to = ['{address}'] where account_key in ({listed})")

    def accounts(
        self, invoices: Mapping[str, str], *, to: str | Sequence[str], amount: str = "250.00", currency: str = "EUR"
    ) -> None:
        """More accounts (name → its invoice), each of a party of its own, else copies of alpha and its rows."""
        own = "account_key = 'salesforce:alpha'"
        member = f"unified_account_id = (select unified_account_id from unified.account_links where {own})"
        tables = {
            "segments.overdue_1_30": member, "data_model.accounts": own, "data_model.invoices": own,
            "unified.account_links": own, "dunning.account_recipients": own, "dunning.open_items": own,
        }  # fmt: skip
        made = [
            (f"salesforce:{name}", name, invoice, to if isinstance(to, str) else to[place % len(to)])
            for place, (name, invoice) in enumerate(invoices.items())
        ]
        new = {
            **dict.fromkeys(("account_key", "bill_group_key", "invoice_key"), "made.key"),
            **dict.fromkeys(("open_amount", "total_amount", "original_amount"), amount),
            **dict.fromkeys(("account_id", "invoice_id"), "made.id"),
            "unified_account_id": "'U-' || made.id", "invoice_number": "made.invoice", "name": "made.id || ' AG'",
            "email_to": "[made.address]", "currency": f"'{currency}'",
        }  # fmt: skip
        with duckdb.connect(str(self.snapshot)) as con:
            con.execute("create temp table made (key varchar, id varchar, invoice varchar, address varchar)")
            con.execute(f"insert into made values {', '.join(map(str, made))}")
            for table, where in tables.items():
                columns = [row[0] for row in con.execute(f"describe {table}").fetchall()]
                copied = ", ".join(new.get(column, f'one."{column}"') for column in columns)
                con.execute(f"insert into {table} select {copied} from (from {table} where {where}) as one, made")

    def paid(self, name: str) -> None:
        self.say(
            "update data_model.invoices set settled_amount = total_amount, settled_date = date '2025-11-04' "
            f"where account_key = 'salesforce:{name}'"
        )


@pytest.fixture
def books(company: Workspace) -> Books:
    return Books(company)


def run(ws: Workspace, name: str = "mailboxes", occurrence: str = "one", now: datetime = NOW) -> dict[str, int]:
    return run_campaign(ws, name, now=now, actor="test", occurrence=occurrence, send_now=True).counts


def queued(ws: Workspace) -> list[dict[str, Any]]:
    with reading(open_ledger(ws)) as connection:
        return [dict(row) for row in connection.execute(select(sends).order_by(sends.c.send_key)).mappings()]


def told(row: dict[str, Any]) -> list[str]:
    return sorted(account["key"].removeprefix("salesforce:") for account in row["document"]["accounts"])


def mails(ws: Workspace) -> Iterator[EmailMessage]:
    for file in sorted(ws.outbox.glob("*.eml")):
        yield message_from_bytes(file.read_bytes(), policy=policy.default)  # type: ignore[misc]


def texts(mail: EmailMessage) -> tuple[str, str]:
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None and html is not None
    return plain.get_content(), html.get_content()


def test_a_mailbox_of_nine_accounts_gets_one_mail_with_a_total_per_currency(books: Books) -> None:
    ws = books.ws
    books.reached_at(SHARED, "alpha", "bravo")
    british = {f"gb{number}": f"GB-{number}" for number in range(5)}
    books.accounts(british, to="AP@Shared.example", amount="10.50", currency="GBP")
    books.accounts({"eu0": "EU-0", "eu1": "EU-1"}, to=f"<{SHARED}>", amount="1000.00")
    declare(ws, DIGEST)
    assert run(ws) == {"queued": 11}
    found = {row["recipients"]["to"][0]: told(row) for row in queued(ws)}
    nine = ["alpha", "bravo", "eu0", "eu1", "gb0", "gb1", "gb2", "gb3", "gb4"]
    assert found == {SHARED: nine, "ap.carol@carol.example": ["carol"], "ap.delta@delta.example": ["delta"]}
    assert deliver(ws, now=NOW)["sent"] == 3
    [mail] = [mail for mail in mails(ws) if mail["To"] == SHARED]
    for text in texts(mail):
        assert all(name in text for name in ("Alpha GmbH", "Bravo GmbH", "eu0 AG", "gb4 AG"))
        assert "€2,500.00" in text and "£52.50" in text and "2,552.50" not in text
        assert "Carol" not in text and "Delta" not in text
        assert "INV-alpha" in text and "GB-4" in text and "INV-carol" not in text
    assert mail["Subject"] == "Open items on your 9 accounts"
    assert "List-Unsubscribe=One-Click" in mail["List-Unsubscribe-Post"]
    assert mail["List-Unsubscribe"].strip("<>") in texts(mail)[0] or "preferences.northwind" in texts(mail)[0]
    [one] = [mail for mail in mails(ws) if mail["To"] == "ap.carol@carol.example"]
    assert one["Subject"] == "Open items: Carol GmbH"
    assert report_of(ws, "mailboxes")["occurrences"][0]["sends"] == {"sent": 3}


def test_the_message_is_found_from_each_of_its_accounts(books: Books) -> None:
    books.reached_at(SHARED, *MINE)
    declare(books.ws, DIGEST)
    run(books.ws)
    for name in MINE:
        [send] = read_sends(books.ws, account=name)
        assert send["accounts"] == [f"salesforce:{one}" for one in MINE]
    assert read_sends(books.ws, account="echo") == []


def test_what_is_not_to_be_told_at_this_mailbox_is_not_told(books: Books) -> None:
    """Whoever is blocked, disputed, ambiguous, opted out, held back by the source or owes nothing is in no digest."""
    ws = books.ws
    books.reached_at(SHARED, *MINE, "echo", "quiet")  # echo and quiet are no members of the segment
    kept_out = {
        "disputed": "update dunning.open_items set is_disputed = true",
        "prevented": "update dunning.open_items set prevent_dunning = true",
        "ambiguous": "update dunning.account_recipients set has_conflict = true",
        "silent": "update dunning.account_recipients set email_to = [], email_blocked_reason = 'opted_out'",
        "elsewhere": "update dunning.account_recipients set email_to = []",
        "square": "delete from dunning.open_items",
    }
    books.accounts({name: f"NO-{name}" for name in kept_out}, to=SHARED)
    books.say(*(f"{fact} where account_key = 'salesforce:{name}'" for name, fact in kept_out.items()))
    block(ws, "salesforce:delta")
    declare(ws, DIGEST)
    assert run(ws) == {
        "queued": 3, "blocked": 3, "recipient_conflict": 1, "opted_out": 1, "no_channel": 1, "nothing_open": 1
    }  # fmt: skip
    assert [told(row) for row in queued(ws)] == [["alpha", "bravo", "carol"]]


def block(ws: Workspace, key: str) -> None:
    made = {"scope": "account", "target_key": key, "kind": "block", "reason": "talks", "created_by": "test"}
    with open_ledger(ws).begin() as connection:
        connection.execute(insert(blocks).values(block_id=uuid4().hex, valid_from=NOW.date(), created_at=NOW, **made))


def test_what_two_sources_carry_is_not_added_up(books: Books) -> None:
    """One party of two sources: an invoice that both have is held, in a digest as in a statement of account."""
    ws = books.ws
    books.reached_at(SHARED, "alpha")
    books.accounts({"erp": "INV-alpha", "other": "ERP-7"}, to=SHARED)
    books.say(
        "insert into dunning.duplicate_invoices select invoice_key, source, invoice_number "
        "from data_model.invoices where invoice_number = 'INV-alpha'"
    )
    declare(ws, DIGEST)
    assert run(ws) == {"queued": 4, "nothing_open": 2}
    [digest] = [row for row in queued(ws) if row["recipients"]["to"] == [SHARED]]
    assert told(digest) == ["other"] and digest["document"]["digest"]["sums"][0]["open_amount"] == "250.00"
    declare(ws, MESSAGE)
    assert run(ws, "notes") == {"queued": 4, "nothing_open": 2}
    noted = {row["account_key"] for row in queued(ws) if row["campaign"] == "notes"}
    assert noted == {f"salesforce:{name}" for name in ("bravo", "carol", "delta", "other")}


def test_credits_are_deducted_from_their_own_account_alone(books: Books) -> None:
    ws = books.ws
    books.reached_at(SHARED, *MINE)
    books.say(
        "insert into dunning.open_credits by name select credit_key || name as credit_key, kind, currency, reference, "
        "booked_on, entity, 'salesforce:' || name as account_key, paid.amount as amount "
        "from (from dunning.open_credits limit 1), "
        "(values ('alpha', 400.00), ('bravo', 100.00)) as paid (name, amount)"
    )
    declare(ws, DIGEST)
    assert run(ws) == {"queued": 3, "covered_by_credit": 1}
    [digest] = queued(ws)
    assert told(digest) == ["bravo", "carol", "delta"]
    assert digest["document"]["digest"]["sums"] == [
        {"currency": "EUR", "open_amount": "650.00", "overdue_amount": "650.00", "credit_amount": "100.00",
         "item_count": 3, "account_count": 3}
    ]  # fmt: skip
    # the sample's books know no such credit: what the message deducts has to be there still when it leaves
    deliver(ws, now=NOW)
    [digest] = queued(ws)
    assert digest["status"] == "cancelled" and "its credits" in digest["reason"]


def test_members_that_are_held_out_are_in_no_digest(books: Books) -> None:
    books.reached_at(SHARED, *MINE)
    books.accounts({f"n{number}": f"N-{number}" for number in range(30)}, to=SHARED)
    declare(books.ws, DIGEST + "hold_out: 0.5\n")
    counts = run(books.ws)
    [digest] = queued(books.ws)
    assert len(told(digest)) == counts["queued"] and 5 < counts["held_out"] < 30
    assert counts["queued"] + counts["held_out"] == 34


def test_an_account_of_two_addresses_is_in_the_digest_of_each(books: Books) -> None:
    books.reached_at(SHARED, *MINE)
    mine = "where account_key = 'salesforce:bravo'"
    books.say(f"update dunning.account_recipients set email_to = ['{SHARED}', 'ceo@bravo.example'] {mine}")
    declare(books.ws, DIGEST)
    assert run(books.ws) == {"queued": 4}
    assert {row["recipients"]["to"][0]: told(row) for row in queued(books.ws)} == {
        SHARED: list(MINE), "ceo@bravo.example": ["bravo"]
    }  # fmt: skip


def test_a_preview_says_who_would_get_what_and_queues_nothing(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    ws = books.ws
    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())
    books.reached_at(SHARED, "alpha", "bravo", "carol")
    declare(ws, DIGEST)
    declare(ws, MESSAGE)
    declare(ws, DUNNING)
    command = ["campaign", "preview", "mailboxes", "--workspace", str(ws.root)]
    answer = json.loads(CliRunner().invoke(app, [*command, "--format", "json"]).stdout)
    assert answer["counts"] == {"queued": 4}
    assert [(row["to"], len(row["accounts"]), row["open"]) for row in answer["messages"]] == [
        (["ap.delta@delta.example"], 1, ["250.00 EUR"]), ([SHARED], 3, ["750.00 EUR"])
    ]  # fmt: skip
    shown = CliRunner().invoke(app, command).stdout
    assert SHARED in shown and "queued 4" in shown
    assert len(preview_campaign(ws, "notes", now=NOW).messages) == 4
    with pytest.raises(Refused, match="decided by a run"):
        preview_campaign(ws, "first-round", now=NOW)
    assert queued(ws) == []
    assert run(ws) == {"queued": 4}


def test_a_template_of_digests_is_not_sent_to_one_account_by_hand(books: Books) -> None:
    with pytest.raises(Refused, match="lists several accounts"):
        send_by_hand(books.ws, "account", "alpha", template="account_digest", now=NOW, actor="test")


def test_a_digest_is_of_one_language(books: Books) -> None:
    books.reached_at(SHARED, *MINE)
    books.say("update dunning.account_recipients set language = 'de' where account_key = 'salesforce:carol'")
    declare(books.ws, DIGEST)
    run(books.ws)
    assert {row["language"]: told(row) for row in queued(books.ws)} == {
        "en": ["alpha", "bravo", "delta"],
        "de": ["carol"],
    }


def test_two_ways_to_write_one_language_are_one_message(books: Books) -> None:
    books.reached_at(SHARED, *MINE)
    for name, language in {"alpha": "de-AT", "bravo": "de", "carol": "it", "delta": "en"}.items():
        books.say(
            f"update dunning.account_recipients set language = '{language}' where account_key = 'salesforce:{name}'"
        )
    declare(books.ws, DIGEST)
    run(books.ws)
    assert {row["language"]: told(row) for row in queued(books.ws)} == {
        "de": ["alpha", "bravo"],
        "en": ["carol", "delta"],
    }


def test_an_occurrence_that_began_without_digests_does_not_go_on_with_them(books: Books) -> None:
    books.reached_at(SHARED, *MINE)
    declare(books.ws, MESSAGE)
    run(books.ws, "notes")
    before = queued(books.ws)
    declare(books.ws, DIGEST.replace("mailboxes", "notes"))
    with open_ledger(books.ws).begin() as connection:
        connection.execute(update(campaign_occurrences).values(status="running"))
    with pytest.raises(Refused, match="began with consolidate: not set"):
        run(books.ws, "notes")
    assert queued(books.ws) == before


def again(ws: Workspace) -> dict[str, int]:
    """The occurrence as a run that was killed left it, run once more."""
    with open_ledger(ws).begin() as connection:
        connection.execute(update(campaign_occurrences).values(status="running"))
    return run(ws)


def test_the_same_occurrence_queues_nothing_twice_whoever_came_or_changed_since(books: Books) -> None:
    books.reached_at(SHARED, "alpha", "bravo")
    declare(books.ws, DIGEST)
    assert run(books.ws) == {"queued": 4}
    before = queued(books.ws)
    assert again(books.ws) == {"already_queued": 4}
    books.reached_at(SHARED, "carol")  # who has a message of this occurrence at another address
    books.say("update dunning.account_recipients set language = 'de' where account_key = 'salesforce:bravo'")
    books.say("update dunning.open_items set open_amount = 1 where account_key = 'salesforce:alpha'")
    assert again(books.ws) == {"already_queued": 3, "not_in_digest": 1}
    assert queued(books.ws) == before
    assert run(books.ws, occurrence="two") == {"queued": 4}  # the next one tells what is so by then
    newer = [row for row in queued(books.ws) if row["occurrence"] == "two"]
    assert sorted(map(told, newer)) == [["alpha", "carol"], ["bravo"], ["delta"]]


CHANGES = {
    "paid": "amount_changed: account salesforce:bravo, invoice salesforce:i-bravo",
    "gone": "amount_changed: account salesforce:bravo, invoice salesforce:i-bravo",
    "moved": "recipient_changed: account salesforce:bravo is not reached at this address any more",
    "ambiguous": "recipient_changed: account salesforce:bravo is not reached at this address any more",
    "blocked": "block: account salesforce:bravo, block on salesforce:bravo",
    "prevented": "block: account salesforce:bravo, the source says not to dun salesforce:bravo",
    "disputed": "block: account salesforce:bravo, dispute on salesforce:i-bravo",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_digest_leaves_as_long_as_all_of_it_is_true(books: Books, change: str) -> None:
    ws = books.ws
    books.reached_at(SHARED, *MINE)
    declare(ws, DIGEST)
    run(ws)
    mine = "where account_key = 'salesforce:bravo'"
    if change == "paid":
        books.paid("bravo")
    elif change == "gone":
        books.say(f"delete from data_model.invoices {mine}")
    elif change == "moved":
        books.reached_at("new@bravo.example", "bravo")
    elif change == "ambiguous":
        books.say(f"update dunning.account_recipients set has_conflict = true {mine}")
    elif change == "prevented":
        books.say(f"update data_model.accounts set prevent_dunning = true {mine}")
    elif change == "disputed":
        books.say(f"update data_model.invoices set is_disputed = true {mine}")
    else:
        block(ws, "salesforce:bravo")
    deliver(ws, now=NOW)
    [send] = read_sends(ws)
    assert (send["status"], send["reason"]) == ("cancelled", CHANGES[change])
    assert not list(ws.outbox.glob("*.eml"))


def test_old_payment_data_and_a_suppressed_mailbox_hold_a_digest(books: Books) -> None:
    ws = books.ws
    books.reached_at(SHARED, *MINE)
    declare(ws, DIGEST)
    run(ws)
    deliver(ws, now=NOW + timedelta(days=30), send_now=True)
    assert [(s["status"], s["reason"]) for s in read_sends(ws)] == [("held", "payment_data_old")]
    with open_ledger(ws).begin() as connection:
        suppress(connection, SHARED, channel="email", reason="manual", origin="test", at=NOW)
    deliver(ws, now=NOW, send_now=True)
    assert [(s["status"], s["reason"]) for s in read_sends(ws)] == [("held", "suppressed")]


def test_no_digest_says_a_word_of_another_mailbox(books: Books) -> None:
    """Canaries: thirty accounts of seven mailboxes, each with a name and an invoice number of its own."""
    ws = books.ws
    books.say("delete from segments.overdue_1_30 where unified_account_id not in (select unified_account_id from "
              "unified.account_links where account_key = 'salesforce:alpha')")  # fmt: skip
    birds = {f"kanari{number:02d}": f"CANARY-{number:02d}-A" for number in range(30)}
    books.accounts(birds, to=[f"box{number}@birds.example" for number in range(7)])
    declare(ws, DIGEST)
    run(ws)
    deliver(ws, now=NOW, workers=4)
    boxes = 0
    for mail in mails(ws):
        if not (box := re.match(r"box(\d)@", mail["To"])):
            continue
        boxes += 1
        for text in texts(mail):
            own = {number for number in range(30) if number % 7 == int(box[1])}
            assert {int(number) for number in re.findall(r"CANARY-(\d\d)-A", text)} == own
            assert {int(number) for number in re.findall(r"kanari(\d\d) AG", text)} == own
    assert boxes == 7


def test_a_template_that_names_another_accounts_invoice_is_stopped(books: Books) -> None:
    ws = books.ws
    books.reached_at(SHARED, "alpha", "bravo")
    for suffix in ("mjml", "txt.j2"):
        file = ws.templates / "email" / "en" / f"account_digest.{suffix}"
        file.write_text(file.read_text().replace("Kind regards", "As for INV-bravo: kind regards"))
    declare(ws, DIGEST)
    run(ws)
    deliver(ws, now=NOW)
    state = {send["to"][0]: (send["status"], send["reason"]) for send in read_sends(ws)}
    assert state[SHARED] == ("sent", None)  # bravo is one of its accounts
    for other in ("ap.carol@carol.example", "ap.delta@delta.example"):
        status, reason = state[other]
        assert status == "failed" and "INV-bravo" in str(reason) and "another account" in str(reason)


def test_a_digest_counts_once_against_the_cap_of_each_of_its_accounts(books: Books) -> None:
    ws = books.ws
    books.reached_at(SHARED, *MINE)
    declare(ws, DIGEST + "send: {fatigue_cap_per_week: 2}\n")
    assert run(ws) == {"queued": 4}
    assert run(ws, occurrence="two") == {"queued": 4}
    assert run(ws, occurrence="three") == {"fatigue_cap": 4}
    declare(ws, MESSAGE + "send: {fatigue_cap_per_week: 2}\n")
    assert run(ws, "notes") == {"fatigue_cap": 4}


def test_three_hundred_accounts_of_one_mailbox_are_one_mail_that_still_adds_up(books: Books) -> None:
    ws = books.ws
    books.reached_at(SHARED, "alpha")
    books.accounts({f"b{number}": f"BR-{number}" for number in range(299)}, to=SHARED)
    declare(ws, DIGEST)
    assert run(ws)["queued"] == 303
    deliver(ws, now=NOW)
    [mail] = [mail for mail in mails(ws) if mail["To"] == SHARED]
    plain, html = texts(mail)
    assert "+ 200 further accounts, included in the totals" in html and "€75,000.00" in html and "€75,000.00" in plain
    assert len(re.findall(r"b\d+ AG|Alpha GmbH", html)) == 100 and len(re.findall(r"b\d+ AG", plain)) == 299
    assert len(html.encode()) < 102_000, "longer messages are clipped by mailboxes"


def test_a_digest_by_sms_goes_to_the_number_and_only_in_hours_that_all_its_zones_allow(books: Books) -> None:
    ws = books.ws
    books.say(
        "update dunning.account_recipients set sms_to = '0151 12345678'",
        "update dunning.account_recipients set time_zone = 'America/New_York' where account_key = 'salesforce:bravo'",
    )
    declare(ws, DIGEST.replace("[email]", "[sms]") + 'send: {hour: 9, quiet_hours: "20:00-08:00"}\n')
    report = run_campaign(ws, "mailboxes", now=NOW, actor="test", occurrence="one")
    assert report.counts == {"queued": 4}
    [send] = queued(ws)
    assert send["recipients"]["to"] == ["+4915112345678"] and told(send) == list(MINE)
    assert send["due_at"] == datetime(2025, 11, 5, 14, 0, tzinfo=NOW.tzinfo), "eight o'clock in New York"


def test_the_accounts_of_a_digest_stay_with_it(books: Books) -> None:
    books.reached_at(SHARED, *MINE)
    declare(books.ws, DIGEST)
    run(books.ws)
    with pytest.raises(DBAPIError, match="send_accounts"), open_ledger(books.ws).begin() as connection:
        connection.execute(delete(send_accounts))
