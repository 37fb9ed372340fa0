"""The life of one debt: reminded once per level, part paid, paid, disputed, postponed, promised."""

from dunning_pipeline.delivery.judging.facts import PublishedFacts
from dunning_pipeline.delivery.judging.gate import judge
from dunning_pipeline.delivery.judging.gate_facts import gather
from dunning_pipeline.ledger.engine import reading
from tests.scenarios.world import World, noon


def test_a_debt_is_reminded_once_per_level_and_forgotten_when_paid(world: World) -> None:
    world.invoice("INV-1", account="acme", due="2026-01-01", amount="120.00 EUR")

    assert world.run("2026-01-07") == []  # six days late: silence
    assert world.run("2026-01-08") == ["acme level 1 120.00 EUR"]
    assert world.run("2026-01-08") == []  # the same day again: nothing twice

    world.payment("INV-1", on="2026-01-10")
    assert world.run("2026-01-29") == []  # paid: never reminded again


def test_money_that_names_no_invoice_stops_what_was_decided_before_it_came(world: World) -> None:
    world.account("acme")
    world.invoice("A", due="2025-08-01", amount="500.00 EUR")
    drafts = world.draft("2025-08-20").statement_ids
    world.credit("CM1", amount="200.00 EUR", on="2025-08-20")

    refused = world.close("2025-08-20", drafts).refused
    assert list(refused.values()) == ["the credits of the account have changed since the run; run again"]
    # the same run again deducts it, and what it then says may be closed
    assert world.run("2025-08-20", send=False) == ["acme level 1 300.00 EUR"]

    # the next day so much has come that nothing is to be said: the statement that waits is for the gate to stop
    world.credit("CM2", amount="300.00 EUR", on="2025-08-21")
    assert world.draft("2025-08-21").counts["proposed"] == 0
    [waiting] = world.statements(status="closed")
    with reading(world.ledger) as connection:
        row = {
            "statement_id": waiting["id"], "send_key": "k", "account_key": "salesforce:acme", "bill_group_key": None,
            "channel": "email", "recipients": {"to": ["a@acme.example"]}, "document": None, "kind": "dunning",
            "campaign": None,
        }  # fmt: skip
        facts, addresses = gather(
            connection, PublishedFacts(world.ws), [row], now=noon("2025-08-21"), company=world.ws.company
        )
    verdict = judge(row, facts, now=noon("2025-08-21"), company=world.ws.company, send_now=True, addresses=addresses)
    assert (verdict.action, verdict.reason) == ("cancel", "amount_changed")
    assert verdict.detail == "credits: 200.00 EUR when written, 500.00 EUR now"
