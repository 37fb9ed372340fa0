"""The gate on digests: whose words they may hold, and that batches of large ones can be judged."""

from typing import Any

from sqlalchemy import insert

from dunning_pipeline.delivery.judging.digests import accounts_of, told_accounts
from dunning_pipeline.delivery.judging.gate_facts import blocks_in_force
from dunning_pipeline.delivery.judging.leaks import leaks
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.ledger.schema import blocks
from dunning_pipeline.letters.digest import digest_document
from tests.delivery.desk import NOW, Desk


def digest(desk: Desk, *names: str) -> dict[str, Any]:
    """What is open on accounts that each have one invoice of 100.00."""
    accounts = [
        (
            {"account_key": f"salesforce:{name}", "account_id": name, "account_number": None, "account_name": name},
            [{
                "invoice_key": f"salesforce:INV-{name}", "invoice_id": f"INV-{name}", "invoice_number": f"INV-{name}",
                "instalment": 1, "effective_due_date": NOW.date(), "days_overdue": 3, "currency": "EUR",
                "open_amount": "100.00",
            }],
            [],
        )
        for name in names
    ]  # fmt: skip
    return digest_document(
        accounts, language="en", time_zone=None, template="account_digest", on=NOW.date(), company=desk.ws.company
    )


def published(desk: Desk, reached: dict[str, str]) -> None:
    for name in reached:
        desk.invoice(f"INV-{name}", account=name)
    desk.reached.update(reached)
    desk.publish()


def queue(desk: Desk, box: str, *names: str) -> str:
    return desk.message(
        box, to=f"{box}@example.com", document=digest(desk, *names), template="account_digest",
        account_key=f"salesforce:{names[0]}", accounts=[f"salesforce:{name}" for name in names],
    )  # fmt: skip


def test_of_two_mailboxes_only_the_one_whose_accounts_are_as_said_gets_its_digest(desk: Desk) -> None:
    published(desk, {"a1": "one@example.com", "a2": "one@example.com", "b1": "two@example.com", "b2": "x@example.com"})
    good, bad = queue(desk, "one", "a1", "a2"), queue(desk, "two", "b1", "b2")
    assert deliver(desk.ws, now=NOW, workers=2)["sent"] == 1
    assert desk.send(good)["status"] == "sent"
    stopped = desk.send(bad)
    assert stopped["status"] == "cancelled" and "account salesforce:b2 is not reached" in stopped["reason"]
    assert desk.outbox() == [good]


def test_an_account_without_recipients_in_the_snapshot_stops_the_digest(desk: Desk) -> None:
    published(desk, {"a1": "one@example.com"})
    desk.invoice("INV-a2", account="a2")
    key = queue(desk, "one", "a1", "a2")
    deliver(desk.ws, now=NOW)
    assert "account salesforce:a2 is not reached" in desk.send(key)["reason"] and desk.outbox() == []


def test_a_digest_may_name_an_invoice_by_an_id_that_it_had_not_always(desk: Desk) -> None:
    desk.invoice("INV-a1", account="a1", invoice_key="salesforce:former")
    desk.reached["a1"] = "one@example.com"
    desk.publish()
    key = queue(desk, "one", "a1")
    deliver(desk.ws, now=NOW)
    assert desk.send(key)["status"] == "sent"


def test_a_digest_may_name_what_is_its_accounts_and_nobody_elses(desk: Desk) -> None:
    row = {"account_key": "salesforce:a1", "document": digest(desk, "a1", "a2")}
    assert accounts_of(row) == {"salesforce:a1", "salesforce:a2"} and len(told_accounts(row)) == 2
    alone = {"account_key": "salesforce:a1", "document": None}
    assert accounts_of(alone) == {"salesforce:a1"} and told_accounts(alone) == []
    owners = {"INV-1": {"salesforce:a1"}, "INV-2": {"salesforce:a2"}, "INV-3": {"c"}, "INV-4": {"c", "salesforce:a2"}}
    assert leaks(owners, owners, accounts=accounts_of(row)) == ["INV-3"]
    assert leaks(owners, owners, accounts=accounts_of(alone)) == ["INV-2", "INV-3", "INV-4"]


def test_blocks_of_more_things_than_one_query_may_name_are_found(desk: Desk) -> None:
    made = {"scope": "account", "kind": "block", "reason": "x", "valid_from": NOW.date(), "created_at": NOW}
    with desk.engine.begin() as connection:
        for number in (7, 260_000):
            block = {"block_id": f"b{number}", "target_key": f"s:{number}", "created_by": "t"}
            connection.execute(insert(blocks).values(**made, **block))
        found = blocks_in_force(connection, {f"s:{number}" for number in range(270_000)}, on=NOW.date())
    assert found == {"s:7": "block", "s:260000": "block"}
