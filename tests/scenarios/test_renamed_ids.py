"""A source gives its records other ids (a migration, a re-import): nobody is reminded anew, nothing is forgotten."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from dunning_pipeline.console.sentences import said
from dunning_pipeline.dunning.explain import explain
from dunning_pipeline.errors import NotThere, Refused
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import audit, blocks, findings, item_levels, renamed_keys
from dunning_pipeline.ledger.verifying import verify
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements import renamed
from dunning_pipeline.statements.drafting import editing
from dunning_pipeline.statements.targets import find
from tests.ledger.conftest import ledger_workspace, postgres_server
from tests.scenarios.source import Source
from tests.scenarios.world import noon

__all__ = ["ledger_workspace", "postgres_server"]
pytestmark = pytest.mark.slow

WITH_FEES = """
process: standard
levels:
  - {level: 1, when: {days: 7}, template: friendly_reminder, fee: {EUR: 5.00}, compensation: {law: EU}}
  - {level: 2, when: {days: 21}, template: second_reminder, fee: {EUR: 10.00}}
  - {level: 3, when: {days: 45}, template: final_reminder}
"""


@pytest.fixture
def source(workspace: Workspace) -> Source:
    return Source(workspace)


def names(source: Source) -> dict[str, str]:
    """Every name that was noticed, and the key that it stands for."""
    with reading(source.ledger) as connection:
        return dict(connection.execute(select(renamed_keys.c.new_key, renamed_keys.c.old_key)).tuples().all())


def held(source: Source) -> dict[str, str]:
    """What waits for a person: key → the finding's message."""
    with reading(source.ledger) as connection:
        asked = select(blocks.c.target_key).where(blocks.c.created_by == "build", blocks.c.ended_at.is_(None))
        told = select(findings.c.object_id, findings.c.message).where(
            findings.c.kind == "renamed_unclear", findings.c.status == "open"
        )
        messages = dict(connection.execute(told).tuples().all())
        assert set(connection.scalars(asked)) == set(messages)
        return messages


def levels(source: Source, on: str) -> dict[str, int]:
    """The levels of the invoices on the one statement of a day."""
    [one] = [one for one in source.statements() if one["dunning_date"] == on]
    return {line["invoice_number"]: line["level"] for line in one["details"]}


def say(source: Source, kind: str, text: str, on: str, *, was: str | None = None) -> str:
    target = find(source.ws, kind, text)
    with source.ledger.begin() as connection:
        told: dict[str, Any] = {"reason": "I asked them", "actor": "clerk", "now": noon(on)}
        if was is None:
            return renamed.say_new(connection, target, **told)
        return renamed.say_was(connection, target, was, **told)


def test_a_debt_lives_on_under_every_name(ledger_workspace: Workspace) -> None:
    source = Source(ledger_workspace)
    source.process(WITH_FEES)
    source.account("acme")
    source.group("G", "acme")
    source.bill("I-1", "acme", "120.00", group="G")
    assert source.run("2025-06-08") == ["acme level 1 165.00 EUR"]

    source.rename("Account", acme="A77")
    source.rename("Invoice", I_1="I77")
    source.rename("BillGroup", G="G77")
    assert source.run("2025-06-09") == []  # before: level 1 and the lump sum once more
    assert names(source) == {
        "salesforce:A77": "salesforce:acme", "salesforce:I77": "salesforce:I-1", "salesforce:G77": "salesforce:G",
    }  # fmt: skip
    assert source.run("2025-06-22") == ["A77 level 2 175.00 EUR"]
    assert len(source.statements(account="A77")) == len(source.statements(account="salesforce:A77")) == 2

    for kind, now, then in (("Account", "A77", "A78"), ("Invoice", "I77", "I78")):
        source.rename(kind, **{now: then})
    assert source.run("2025-06-23") == []
    source.rename("Account", A78="acme")  # and back
    source.rename("Invoice", I78="I-1")
    assert source.run("2025-07-16") == ["acme level 3 175.00 EUR"]
    source.pay("I-1", "120.00", on="2025-07-20")
    assert source.run("2025-08-30") == []
    with reading(source.ledger) as connection:
        assert set(connection.scalars(select(item_levels.c.invoice_key))) == {"salesforce:I-1"}
        assert "renamed.follow" in set(connection.scalars(select(audit.c.action)))
    assert held(source) == {} and not any(verify(source.ws).values())


@pytest.mark.parametrize("kind", ["Account", "Invoice"])
def test_a_part_of_the_ids_may_change(source: Source, kind: str) -> None:
    for number in ("1", "2"):
        source.account(f"a{number}")
        source.bill(f"I-{number}", f"a{number}", "120.00")
    source.split("I-2", ("2025-06-01", "20.00"), ("2025-12-01", "100.00"))
    assert source.run("2025-06-08") == ["a1 level 1 120.00 EUR", "a2 level 1 20.00 EUR"]
    source.rename(kind, a1="b1", a2="b2", I_1="J1", I_2="J2")
    row = source.remove("Invoice", "I-1" if kind == "Account" else "J1")  # the extract lacks a row
    assert source.run("2025-06-09") == []
    source.rows["Invoice"].append(row)
    assert source.run("2025-06-10") == []
    one, two = ("b1", "b2") if kind == "Account" else ("a1", "a2")
    assert source.run("2025-06-22") == [f"{one} level 2 120.00 EUR", f"{two} level 2 20.00 EUR"]


def test_what_people_said_is_not_forgotten(source: Source) -> None:
    """Of records that were never reminded the ledger has a key alone: the last build tells what they were like."""
    source.account("acme")
    source.bill("I-1", "acme", "120.00")
    source.account("paused")
    source.bill("I-2", "paused", "80.00")
    source.account("idle")  # without any invoice
    source.build("2025-06-01")
    source.block("I-1", on="2025-06-01", scope="invoice")
    source.assign("paused", "none", on="2025-06-01")
    source.block("idle", on="2025-06-01")

    source.rename("Account", acme="A1", paused="A2", idle="A3")
    source.rename("Invoice", I_1="J1", I_2="J2")
    source.bill("J3", "A3", "50.00")
    assert source.run("2025-06-08") == []
    assert names(source)["salesforce:A3"] == "salesforce:idle"


def test_an_open_draft_is_taken_over(source: Source) -> None:
    source.account("acme")
    source.bill("I-1", "acme", "120.00")
    [draft] = source.draft("2025-06-08").statement_ids
    editing.edit(source.ws, draft, {"due_date": "2025-07-01"}, row_version=1, now=noon("2025-06-08"), actor="clerk")
    source.rename("Account", acme="A1")
    source.rename("Invoice", I_1="J1")
    assert source.draft("2025-06-09").statement_ids == [draft]
    [row] = source.statements()
    assert (row["account_id"], row["due_date"], row["details"][0]["invoice_id"]) == ("A1", "2025-07-01", "J1")
    assert source.close("2025-06-09", [draft]).closed == [draft]


def test_another_source_may_carry_on(source: Source) -> None:
    source.account("acme")
    source.bill("I-1", "acme", "120.00")
    assert source.run("2025-06-08") == ["acme level 1 120.00 EUR"]
    streams = source.ws.policies / "streams"
    declared = (streams / "salesforce.yaml").read_text()
    (streams / "salesforce.yaml").unlink()
    (streams / "billing.yaml").write_text(declared.replace("source: salesforce", "source: billing", 1))
    (source.ws.inbox / "billing").symlink_to(source.ws.inbox / "salesforce")
    source.rename("Account", acme="4711")
    source.rename("Invoice", I_1="90001")
    assert source.run("2025-06-09") == []
    assert names(source) == {"billing:4711": "salesforce:acme", "billing:90001": "salesforce:I-1"}
    assert source.run("2025-06-22") == ["4711 level 2 120.00 EUR"]


def test_another_amount_waits_for_a_person(source: Source) -> None:
    source.account("acme")
    source.bill("I-1", "acme", "120.00")
    source.bill("I-2", "acme", "80.00")
    source.run("2025-06-08")
    for invoice, amount in (("I-1", "100.00"), ("I-2", "70.00")):
        row = source.remove("Invoice", invoice)
        source.rows["Invoice"].append({**row, "Id": invoice.replace("I-", "J"), "TotalAmountWithTax": amount})
    for day in ("2025-06-09", "2025-06-22"):
        assert source.run(day) == []
    message = held(source)["salesforce:J1"]
    assert message == (
        "salesforce:J1 may be salesforce:I-1 under a new name: invoice INV-1 has another amount now: 100.0000 EUR, "
        "before 120.0000 EUR; it is held until somebody says which: `dunning renamed --invoice salesforce:J1 --was "
        "salesforce:I-1` / `--new`"
    )
    assert said(message, "de") == (
        "salesforce:J1 ist vielleicht salesforce:I-1 unter neuem Namen: die Rechnung INV-1 hat jetzt einen anderen "
        "Betrag: 100,00\xa0€, vorher 120,00\xa0€; es wird angehalten, bis jemand sagt, was stimmt: `dunning renamed "
        "--invoice salesforce:J1 --was salesforce:I-1` / `--new`"
    )
    with pytest.raises(NotThere):
        say(source, "invoice", "J1", "2025-06-22", was="I-9")
    assert say(source, "invoice", "J1", "2025-06-22", was="I-1") == "salesforce:I-1"
    assert say(source, "invoice", "J2", "2025-06-22") == "salesforce:J2"
    assert source.run("2025-06-23") == ["acme level 2 170.00 EUR"]
    assert levels(source, "2025-06-23") == {"INV-1": 2, "INV-2": 1}
    assert held(source) == {}
    with pytest.raises(Refused, match="under its own name"):
        say(source, "invoice", "J2", "2025-06-23", was="I-2")

    assert explain(source.ws, "salesforce:J1", dunning_date=date(2025, 6, 23))[0]["level_after"] == 2
    assert say(source, "invoice", "salesforce:J1", "2025-06-23") == "salesforce:J1"  # that was wrong: it is another one
    source.run("2025-06-24")
    assert levels(source, "2025-06-24") == {"INV-1": 1, "INV-2": 2}


def test_accounts_that_were_parted_or_joined_wait_for_a_person(source: Source) -> None:
    for account in ("one", "two", "three"):
        source.account(account)
        source.bill(f"I-{account}-a", account, "50.00")
        source.bill(f"I-{account}-b", account, "60.00")
    source.run("2025-06-08")
    for row in source.rows["Invoice"]:
        parted = {"I-one-a": "one-a", "I-one-b": "one-b"}
        row["BillingAccountId"] = parted.get(row["Id"], "both")
    for account in ("one", "two", "three"):
        source.remove("Account", account)
    for account in ("one-a", "one-b", "both"):
        source.account(account)
    assert source.run("2025-06-22") == []
    assert set(held(source)) == {"salesforce:one-a", "salesforce:one-b", "salesforce:both"}
    say(source, "account", "both", "2025-06-22", was="two")
    say(source, "account", "one-a", "2025-06-22", was="one")
    assert source.run("2025-06-23") == ["both level 2 220.00 EUR", "one-a level 2 50.00 EUR", "one-b level 2 60.00 EUR"]
    assert held(source) == {}


def test_an_old_name_that_comes_back_beside_the_new_one_waits(source: Source) -> None:
    source.account("acme")
    source.bill("I-1", "acme", "120.00")
    source.run("2025-06-08")
    source.rename("Invoice", I_1="J1")
    assert source.run("2025-06-09") == []
    source.bill("I-1", "acme", "120.00")  # two extracts were mixed
    assert source.run("2025-06-22") == ["acme level 2 120.00 EUR"]  # the old one; the other is held
    assert "both there" in held(source)["salesforce:J1"]
    source.remove("Invoice", "I-1")
    assert source.run("2025-07-16") == ["acme level 3 120.00 EUR"]
    assert held(source) == {}


def test_ids_that_mean_other_invoices_now_wait(source: Source) -> None:
    """An import that counts its rows anew: the ledger's history of an id is another invoice's."""
    source.account("acme")
    source.bill("I-1", "acme", "120.00")
    source.run("2025-06-08")
    source.rename("Invoice", I_1="J1")
    source.bill("I-1", "acme", "75.00", number="INV-9")
    assert source.run("2025-06-22") == []
    assert set(held(source)) == {"salesforce:I-1", "salesforce:J1"}
    say(source, "invoice", "INV-9", "2025-06-22")
    assert source.run("2025-06-23") == ["acme level 2 195.00 EUR"]
    assert levels(source, "2025-06-23") == {"INV-1": 2, "INV-9": 1}
    assert held(source) == {}


def test_a_number_that_is_given_again_is_a_new_debt(source: Source) -> None:
    source.account("acme")
    source.bill("I-1", "acme", "120.00")
    source.run("2025-06-08")
    source.remove("Invoice", "I-1")
    source.bill("J1", "acme", "120.00", number="INV-1", dated="2025-08-01", due="2025-08-31")
    source.account("other")
    source.bill("J2", "other", "120.00", number="INV-1")  # another customer's, in another series
    assert source.run("2025-09-07") == ["acme level 1 120.00 EUR", "other level 1 120.00 EUR"]
    assert names(source) == {} and held(source) == {}


def test_another_customers_invoice_of_the_same_number_is_another_one(source: Source) -> None:
    """An extract of open invoices alone loses accounts and invoices every day, and two systems may count alike."""
    for number, amount in (("1", "120.00"), ("2", "80.00")):
        source.account(f"old{number}")
        source.bill(f"I-{number}", f"old{number}", amount)
    source.run("2025-06-08")
    for kind, gone in (("Invoice", "I-1"), ("Invoice", "I-2"), ("Account", "old1"), ("Account", "old2")):
        source.remove(kind, gone)
    for number, amount in (("1", "50.00"), ("2", "80.00")):
        source.account(f"new{number}")
        source.bill(f"J{number}", f"new{number}", amount, number=f"INV-{number}")
    assert source.run("2025-06-22") == ["new1 level 1 50.00 EUR"]
    assert list(held(source)) == ["salesforce:J2"]  # the very amount, too: a person knows
    say(source, "account", "new2", "2025-06-22", was="old2")
    assert source.run("2025-06-23") == ["new1 level 2 50.00 EUR", "new2 level 2 80.00 EUR"]
