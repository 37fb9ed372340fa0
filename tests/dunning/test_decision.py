"""Stories of the decision beyond the golden cases: assignment, blocks, promises, anchors, channels, bad input."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from dunning_pipeline.dunning.conditions import _parsed, render_condition
from dunning_pipeline.dunning.decision import decide
from dunning_pipeline.dunning.explain import explain
from dunning_pipeline.dunning.processes import load_processes
from dunning_pipeline.dunning.reasons import REASONS, reference_page
from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.workspace import Workspace
from tests.dunning.world import ROOT, Outcome, World

ONE = "levels: [{level: 1, when: {days: 1}, template: a}]"
TWO = "levels: [{level: 1, when: {days: 1}, template: a}, {level: 2, when: {days: 10}, template: b}]"


def block(world: World, scope: str, target: str, **more: str) -> None:
    world.add("ops.blocks", **{"scope": scope, "target_key": f"salesforce:{target}", "kind": "block", "reason": "r",
              "valid_from": "2026-01-01", **more})  # fmt: skip


def test_blocks_disputes_promises_and_pauses_each_have_their_reason(world: World) -> None:
    world.process(ONE)
    names = ("account", "group", "invoice", "flag", "dispute", "claim", "promise", "pause", "ended")
    for name in names:
        if name == "group":
            world.bill_group("bg", account=name)
        flags = {"flag": {"prevent_dunning": True}, "dispute": {"is_disputed": True}}.get(name, {})
        bill_group = "bg" if name == "group" else None
        world.invoice(name, due="2026-01-01", account=name, bill_group=bill_group, **flags)
    block(world, "account", "account")
    block(world, "bill_group", "bg", valid_to="2026-03-01")
    block(world, "invoice", "invoice")
    block(world, "invoice", "claim", kind="dispute")
    block(world, "account", "ended", valid_to="2026-01-15")
    world.add("ops.promises", promise_id="p", account_key="salesforce:promise", promised_for="2026-02-28",
              promised_on="2026-01-10")  # fmt: skip
    world.add("ops.assignments", assignment_id="a", bill_group_key="salesforce:pause", process="none", origin="manual",
              valid_from="2026-01-05", created_at="2026-01-05 08:00:00")  # fmt: skip

    assert world.run("2026-02-01").reasons == {
        "account": "account_blocked", "group": "bill_group_blocked", "invoice": "invoice_blocked",
        "flag": "invoice_blocked", "dispute": "disputed", "claim": "disputed", "promise": "promised",
        "pause": "paused", "ended": "advances",
    }  # fmt: skip


def test_a_broken_promise_resumes_the_dunning(world: World) -> None:
    world.process(ONE)
    world.invoice("INV", due="2026-01-01")
    world.add("ops.promises", promise_id="p", account_key="salesforce:acme", invoice_key="salesforce:INV",
              promised_for="2026-01-20", promised_on="2026-01-10")  # fmt: skip

    assert world.run("2026-01-20").reasons == {"INV": "promised"}
    outcome = world.run("2026-01-21")
    assert outcome.reasons == {"INV": "advances"}
    assert '"is_broken_promise":true' in outcome.decision.decisions.to_pylist()[0]["inputs"]
    world.payment("INV", on="2026-01-15", amount="30.00 EUR")
    [told] = explain(
        Workspace(world.folder), "INV", dunning_date=date(2026, 1, 21), facts=world.database(), ledger=False
    )
    assert told["text"].endswith(
        "; the promise to pay by 2026-01-20 is broken: 70.00 EUR still open, last paid on 2026-01-15"
    )
    assert told["inputs"]["promise_count"] == 1


def test_more_promises_than_allowed_do_not_hold_dunning_back(world: World) -> None:
    world.process(f"max_promises: 1\n{ONE}")
    world.invoice("INV", due="2026-01-01")
    for number, until in enumerate(("2026-01-10", "2026-02-20")):
        world.add("ops.promises", promise_id=f"p{number}", account_key="salesforce:acme", invoice_key="salesforce:INV",
                  promised_for=until, promised_on="2026-01-02")  # fmt: skip

    assert world.run("2026-02-01").reasons == {"INV": "advances"}


def test_a_promise_for_the_account_covers_invoices_whose_first_instalment_is_paid(world: World) -> None:
    world.process(ONE)
    world.invoice("PLAN", due="2026-01-01", amount="200.00 EUR")
    world.instalments("PLAN", [("2026-01-01", "100"), ("2026-01-05", "100")])
    world.payment("PLAN", on="2026-01-02", amount="100.00 EUR")
    world.add("ops.promises", promise_id="p", account_key="salesforce:acme", promised_for="2026-02-28",
              promised_on="2026-01-10")  # fmt: skip

    assert world.run("2026-02-01").reasons == {"PLAN/1": "nothing_open", "PLAN/2": "promised"}


def test_a_promise_to_pay_in_parts_is_one_promise(world: World) -> None:
    world.process(f"max_promises: 1\n{ONE}")
    world.invoice("INV", due="2026-01-01")
    world.instalments("INV", [("2026-01-20", "50"), ("2026-02-20", "50")], kind="promise")

    assert world.run("2026-02-01").reasons == {"INV": "promised"}


def test_a_later_default_does_not_move_an_existing_bill_group(world: World) -> None:
    world.process(ONE)
    world.process(ONE, name="later")
    world.account("acme", default_process="later")
    world.invoice("INV", due="2026-01-01")
    world.add("ops.assignments", assignment_id="a", bill_group_key="salesforce:acme", process="test",
              origin="account_default", valid_from="2026-01-02", created_at="2026-01-02 08:00:00")  # fmt: skip

    decided = world.run("2026-02-01").decision
    assert decided.decisions.to_pylist()[0]["process"] == "test"
    assert decided.assignments.num_rows == 0
    assert world.run("2026-01-01").decision.assignments.to_pylist()[0]["origin"] == "account_default"


def test_a_process_that_does_not_exist_is_held_and_never_the_default(world: World) -> None:
    world.process(ONE)
    world.account("acme", default_process="tset")
    world.invoice("INV", due="2026-01-01")

    outcome = world.run("2026-02-01")
    assert outcome.reasons == {"INV": "process_unknown"}
    assert outcome.findings == {("process_unknown", "acme")}


def test_legal_entities_currencies_and_accounts_never_share_a_statement(world: World) -> None:
    world.process(f"unit: account\n{ONE}")
    world.invoice("A", due="2026-01-01", amount="10.00 EUR")
    world.invoice("B", due="2026-01-01", amount="20.00 EUR", legal_entity="ch")
    world.invoice("C", due="2026-01-01", amount="30.00 USD")
    world.invoice("D", due="2026-01-01", amount="40.00 EUR", account="other")

    assert sorted(world.run("2026-02-01").statements) == [
        "acme level 1 10.00 EUR", "acme level 1 20.00 EUR", "acme level 1 30.00 USD", "other level 1 40.00 EUR",
    ]  # fmt: skip


def test_bill_groups_of_one_account_in_two_processes_are_two_statements(world: World) -> None:
    world.process(f"unit: account\n{ONE}")
    world.process(f"unit: account\n{ONE}", name="other")
    world.bill_group("bg", process="other")
    world.invoice("MAIN", due="2026-01-01", amount="100.00 EUR")
    world.invoice("GROUP", due="2026-01-01", amount="40.00 EUR", bill_group="bg")

    outcome = world.run("2026-02-01")
    assert sorted(outcome.statements) == ["acme level 1 100.00 EUR", "acme level 1 40.00 EUR"]
    assert len({row["draft_key"] for row in outcome.rows}) == 2


def test_the_unit_decides_what_is_gathered(world: World) -> None:
    for unit in ("account", "bill_group", "invoice"):
        world.process(f"unit: {unit}\n{ONE}", name=unit)
        world.account(unit, default_process=unit)
        world.bill_group(f"{unit}-g", account=unit)
        world.invoice(f"{unit}-1", due="2026-01-01", account=unit, bill_group=f"{unit}-g")
        world.invoice(f"{unit}-2", due="2026-01-01", account=unit, bill_group=f"{unit}-g")
        world.invoice(f"{unit}-3", due="2026-01-01", account=unit)

    assert sorted(world.run("2026-02-01").statements) == [
        "account level 1 300.00 EUR",
        "bill_group level 1 100.00 EUR", "bill_group level 1 200.00 EUR",
        "invoice level 1 100.00 EUR", "invoice level 1 100.00 EUR", "invoice level 1 100.00 EUR",
    ]  # fmt: skip


def test_anchors_and_the_end_of_the_month(world: World) -> None:
    world.process(
        """
        levels:
          - {level: 1, when: {days: 30, end_of_month: true}, template: a}
          - {level: 2, when: {days: 10, after: last_statement}, template: b}
          - {level: 3, when: {days: 5, after: last_deadline}, template: c}
        """
    )
    world.invoice("INV", due="2026-01-10")

    assert world.run("2026-02-27").reasons == {"INV": "level_not_reached"}  # 9 February, then the end of February
    assert world.run("2026-02-28").levels == {"INV": 1}
    world.sent("INV", 1, on="2026-03-02", deadline="2026-03-09")
    assert world.run("2026-03-11").reasons == {"INV": "level_not_reached"}
    assert world.run("2026-03-12").levels == {"INV": 2}
    world.sent("INV", 2, on="2026-03-12", deadline="2026-03-20")
    assert world.run("2026-03-24").reasons == {"INV": "level_not_reached"}
    assert world.run("2026-03-25").levels == {"INV": 3}


def test_a_notice_before_the_due_date_goes_once_and_counts_for_nothing(world: World) -> None:
    world.process(
        """
        min_interval_days: 7
        levels:
          - {level: 1, when: {days: -3}, template: notice}
          - {level: 2, when: {days: 1}, template: a}
        """
    )
    world.invoice("INV", due="2026-01-10")

    assert world.run("2026-01-06").reasons == {"INV": "not_due"}
    assert world.run("2026-01-07").statements == ["acme level 1 100.00 EUR"]
    world.sent("INV", 1, on="2026-01-07", before_due=True)
    assert world.run("2026-01-09").reasons == {"INV": "not_due"}
    outcome = world.run("2026-01-11")  # the interval does not count from the notice
    assert outcome.statements == ["acme level 2 100.00 EUR"]


def test_a_missed_notice_is_skipped_once_the_item_is_overdue(world: World) -> None:
    world.process("levels: [{level: 1, when: {days: -3}, template: n}, {level: 2, when: {days: 1}, template: a}]")
    world.invoice("INV", due="2026-01-10")

    assert world.run("2026-01-12").levels == {"INV": 2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("risk", "days"),
    [
        ("low", {-5: 2, 0: 3, 7: 6, 10: 7}),
        ("high", {-10: 1, -5: 2, 0: 3, 3: 4, 4: 5}),
    ],
)
def test_collection_plans_fire_by_their_risk(world: World, risk: str, days: dict[int, int]) -> None:
    from datetime import date, timedelta

    world.company("default_process: collection_plan")
    text = (ROOT / "policies" / "processes" / "collection_plan.yaml").read_text(encoding="utf-8")
    world.process(text.split("process: collection_plan", 1)[1], name="collection_plan")
    world.invoice("INV", due="2026-01-01")
    world.add("data_model.collection_plans", plan_key="salesforce:cp", account_key="salesforce:acme", status="active",
              risk=risk, plan_due_date="2026-03-20", created_on="2026-03-01")  # fmt: skip
    world.add("data_model.collection_plan_items", plan_item_key="i", plan_key="salesforce:cp",
              invoice_key="salesforce:INV")  # fmt: skip
    fired = {}
    for offset in (-11, *sorted(days), 12):
        day = (date(2026, 3, 20) + timedelta(days=offset)).isoformat()
        outcome = world.run(day)
        if outcome.rows:
            (row,) = outcome.rows
            fired[offset] = row["level"]
            world.sent("INV", row["level"], on=day, before_due=offset <= 0)

    assert fired == days


def test_two_sources_with_the_same_number_are_held(world: World) -> None:
    world.process(ONE)
    world.invoice("SAME", due="2026-01-01")
    world.invoice("SAME", due="2026-01-01", source="erp", account="twin")

    outcome = world.run("2026-02-01")
    assert set(outcome.reasons.values()) == {"held_duplicate"}
    assert ("duplicate_invoice", "SAME") in outcome.findings
    assert world.run("2026-02-01", account="acme").reasons == {"SAME": "held_duplicate"}


def test_only_posted_invoices_that_exist_on_the_date_are_dunned(world: World) -> None:
    world.process(ONE)
    for status in ("draft", "voided", "cancelled", "written_off", "odd"):
        world.invoice(status, due="2026-01-01", status=status)
    world.invoice("tomorrow", due="2026-01-01", issued="2026-02-02")
    world.invoice("zero", due="2026-01-01", amount="0.00 EUR")

    assert world.run("2026-02-01").reasons == {
        "draft": "not_posted", "odd": "not_posted", "voided": "voided", "cancelled": "cancelled",
        "written_off": "written_off", "tomorrow": "not_yet_issued", "zero": "nothing_open",
    }  # fmt: skip


def test_a_negative_invoice_and_an_overpaid_one_count_as_credits(world: World) -> None:
    world.process(ONE)
    world.invoice("MINUS", due="2026-01-01", amount="-30.00 EUR")
    world.invoice("OVER", due="2026-01-01", amount="50.00 EUR")
    world.payment("OVER", on="2026-01-05", amount="60.00 EUR")
    world.invoice("INV", due="2026-01-01")

    outcome = world.run("2026-02-01")
    assert outcome.statements == ["acme level 1 60.00 EUR"]
    assert {"credit MINUS -30.00 EUR", "credit OVER -10.00 EUR"} <= set(outcome.lines)


def test_an_unapplied_payment_opens_the_invoice_again_from_its_date(world: World) -> None:
    world.process(ONE)
    world.process(f"netting: ignore\n{ONE}", name="gross")
    for account in ("net", "gross"):
        world.account(account, default_process={"net": "test"}.get(account, account))
        world.invoice(account, due="2026-01-01", account=account)
        world.payment(account, on="2026-01-05", amount="100.00 EUR", account=account)
        paid = world.rows["data_model.payment_allocations"][-1]
        world.add("data_model.payment_allocations", **{**paid, "allocation_key": f"back-{account}",
                  "allocation_type": "unapplied", "applied_date": "2026-01-20"})  # fmt: skip

    assert world.run("2026-01-19").reasons == {"net": "nothing_open", "gross": "nothing_open"}
    # the money is still there, allocated to nothing: it nets like a credit where credits are netted
    assert world.run("2026-01-20").reasons == {"net": "covered_by_credit", "gross": "advances"}


def test_unknown_currency_missing_rate_and_a_due_date_before_the_invoice(world: World) -> None:
    world.process(f"tolerance: {{EUR: 5}}\n{ONE}")
    world.invoice("WHAT", due="2026-01-01", amount="10.00 XQZ")
    world.invoice("NORATE", due="2026-01-01", amount="10.00 USD", account="us")
    world.invoice("EARLY", due="2025-12-01", issued="2026-01-31", account="early")

    outcome = world.run("2026-02-01")
    assert outcome.reasons == {"WHAT": "unknown_currency", "NORATE": "rate_missing", "EARLY": "advances"}
    assert {
        ("unknown_currency", "WHAT"),
        ("rate_missing", "USD"),  # one for all invoices in it
        ("due_before_invoice", "EARLY"),
    } <= outcome.findings
    days = next(d["days_overdue"] for d in outcome.details if d["invoice_id"] == "EARLY")
    assert days == 1  # never overdue before it existed


def test_a_minimum_that_cannot_be_converted_holds_the_item_with_a_finding(world: World) -> None:
    world.process(f"minimum: {{EUR: 20}}\n{ONE}")
    world.invoice("YEN", due="2026-01-01", amount="120000 JPY")

    outcome = world.run("2026-02-01")
    assert outcome.reasons == {"YEN": "rate_missing"}
    assert ("rate_missing", "JPY") in outcome.findings


def test_an_invoice_whose_account_no_source_delivers_is_held_and_told_once(world: World) -> None:
    world.process(ONE)
    for number in ("LOST-1", "LOST-2"):
        world.invoice(number, due="2026-01-01", account_key="salesforce:gone")
    world.invoice("FINE", due="2026-01-01")

    outcome = world.run("2026-02-01")
    assert outcome.reasons == {"LOST-1": "account_unknown", "LOST-2": "account_unknown", "FINE": "advances"}
    assert [found for found in outcome.findings if found[0] == "account_unknown"] == [("account_unknown", "gone")]
    (told,) = explain(
        Workspace(world.folder), "LOST-1", dunning_date=date(2026, 2, 1), facts=world.database(), ledger=False
    )
    assert told["reason"] == "account_unknown" and told["text"].startswith("held: no source delivers its account")


def test_a_fee_is_converted_and_the_rate_stays_on_the_line(world: World) -> None:
    world.process("levels: [{level: 1, when: {days: 1}, template: a, fee: {EUR: 5}}]")
    world.invoice("INV", due="2026-01-01", amount="100.00 USD")
    world.rate("2026-01-30", "EUR", "USD", "1.2345")

    outcome = world.run("2026-02-01")
    assert outcome.amount("fee") == "6.17 USD"
    (fee,) = [d for d in outcome.details if d["type"] == "fee"]
    assert '"exchange_rate":"1.23450000"' in fee["calculation"]


CONSUMER = """
party: consumer
levels:
  - {level: 1, when: {days: 1}, template: a, fee: {EUR: 2.50}}
  - {level: 2, when: {days: 10}, template: b, fee: {EUR: 5.00}}
"""


def test_a_german_consumers_first_reminder_is_free_whoever_says_that_he_is_one(world: World) -> None:
    world.process(CONSUMER)
    world.invoice("INV", due="2026-01-01")  # nothing is known of the account; its process is for consumers
    assert world.run("2026-01-05").lines == ["invoice INV 100.00 EUR"]
    world.sent("INV", 1, on="2026-01-05")
    assert "fee 5.00 EUR" in world.run("2026-01-20").lines
    world.rows["data_model.accounts"][0]["country"] = "AT"
    del world.rows["ops.item_levels"]
    assert "fee 2.50 EUR" in world.run("2026-01-05").lines


def test_a_level_that_was_only_recorded_is_no_first_reminder(world: World) -> None:
    world.process(CONSUMER)
    world.invoice("INV", due="2026-01-01")
    world.closed("s1", on="2026-01-05", invoices=["INV"], do_not_send=True)
    world.sent("INV", 1, on="2026-01-05", statement="s1")
    assert world.run("2026-01-20").lines == ["invoice INV 100.00 EUR"]


def test_a_consumers_new_invoice_is_free_beside_an_old_one(world: World) -> None:
    world.process(CONSUMER.replace("EUR: 2.50", "EUR: 2.50, per: item").replace("EUR: 5.00", "EUR: 5.00, per: item"))
    world.invoice("OLD", due="2026-01-01")
    world.invoice("NEW", due="2026-01-18")
    world.sent("OLD", 1, on="2026-01-05")
    fees = [line for line in world.run("2026-01-20").lines if line.startswith("fee")]
    assert fees == ["fee OLD 5.00 EUR"]


def test_percentage_fees_look_at_principal_alone(world: World) -> None:
    world.process("levels: [{level: 1, when: {days: 1}, template: a, fee: {percent: 10, base: open_principal}}]")
    world.invoice("INV", due="2026-01-01", amount="1000.00 EUR")
    world.posted("fee", 10000, on="2026-01-10")

    outcome = world.run("2026-02-01")
    assert outcome.amount("fee") == "100.00 EUR"
    assert outcome.statements == ["acme level 1 1200.00 EUR"]


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        ("waive", "acme level 1 100.00 EUR"),
        ("claim", "acme level 1 105.00 EUR"),
        ("{ignore_below: {EUR: 10}}", "acme level 1 100.00 EUR"),
        ("{ignore_below: {EUR: 4}}", "acme level 1 105.00 EUR"),
    ],
)
def test_charges_whose_principal_is_paid(world: World, rule: str, asked: str) -> None:
    world.process(f"charges_only: {rule}\n{ONE}")
    version = load_processes(Workspace(world.folder))["test"].process_hash
    world.invoice("PAID", due="2026-01-01")
    world.payment("PAID", on="2026-01-20", amount="100.00 EUR")
    world.invoice("OPEN", due="2026-01-25")
    world.closed("s1", on="2026-01-10", invoices=["PAID"], process_hash=version)
    world.sent("PAID", 1, on="2026-01-10", statement="s1")
    world.posted("fee", 500, on="2026-01-10", statement="s1")

    assert world.run("2026-02-01").statements == [asked]


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        ("waive", []),
        ("claim", ["acme level 1 7.50 EUR"]),
        ("{ignore_below: {EUR: 10}}", []),
        ("{ignore_below: {EUR: 7}}", ["acme level 1 7.50 EUR"]),
    ],
)
def test_charges_alone_are_asked_for_once_after_their_deadline(world: World, rule: str, asked: list[str]) -> None:
    world.process(f"charges_only: {rule}\n{ONE}")
    version = load_processes(Workspace(world.folder))["test"].process_hash
    world.invoice("PAID", due="2026-01-01")
    world.payment("PAID", on="2026-01-20", amount="100.00 EUR")
    world.closed("s1", on="2026-01-10", invoices=["PAID"], process_hash=version, due_date="2026-01-24")
    world.sent("PAID", 1, on="2026-01-10", statement="s1")
    world.posted("fee", 500, on="2026-01-10", statement="s1")
    world.posted("interest", 250, on="2026-01-10", statement="s1", invoice="PAID")

    assert world.run("2026-01-24").statements == []  # the deadline is still running
    outcome = world.run("2026-01-25")
    assert outcome.statements == asked
    if asked:
        assert outcome.lines == ["carried_interest PAID 2.50 EUR", "carried_fee s1 5.00 EUR"]
        assert world.run("2026-01-25", levels=(2,)).statements == []
        block(world, "account", "acme", valid_from="2026-01-26", valid_to="2026-01-26")
        assert world.run("2026-01-26").statements == []
        world.closed("s2", on="2026-01-27", invoices=[], process_hash=version)
        world.add("ops.item_levels", item_level_id="x", statement_id="s2", event="reached")
        assert world.run("2026-03-01").statements == []  # asked for once, and never again


def test_charges_are_not_asked_alone_beside_a_reminder_that_claims_them(world: World) -> None:
    world.process(f"charges_only: claim\n{ONE}")
    version = load_processes(Workspace(world.folder))["test"].process_hash
    world.invoice("PAID", due="2026-01-01")
    world.payment("PAID", on="2026-01-20", amount="100.00 EUR")
    world.invoice("OPEN", due="2026-01-25")
    world.closed("s1", on="2026-01-10", invoices=["PAID"], process_hash=version, due_date="2026-01-24")
    world.sent("PAID", 1, on="2026-01-10", statement="s1")
    world.posted("fee", 500, on="2026-01-10", statement="s1")
    assert world.run("2026-02-01").lines == ["invoice OPEN 100.00 EUR", "carried_fee s1 5.00 EUR"]

    world.closed("s2", on="2026-02-01", invoices=["OPEN"], process_hash=version, due_date="2026-02-08")
    claimed = {"position": 2, "type": "carried_fee", "reference": "s1", "amount_minor": 500}
    world.add("ops.statement_details", statement_id="s2", **claimed)
    world.sent("OPEN", 1, on="2026-02-01", statement="s2")
    assert world.run("2026-02-08").statements == []  # the reminder's deadline is still running
    assert world.run("2026-02-09").statements == ["acme level 1 5.00 EUR"]


def test_charges_that_were_waived_paid_or_reversed_are_not_asked_for(world: World) -> None:
    world.process(TWO)
    world.invoice("INV", due="2026-01-01")
    world.closed("s1", on="2026-01-05", invoices=["INV"])
    world.sent("INV", 1, on="2026-01-05", statement="s1")
    fee = world.posted("fee", 1000, on="2026-01-05", statement="s1")
    world.posted("payment", -400, on="2026-01-08", reverses=fee, posting="pay")
    assert world.run("2026-02-01").amount("carried_fee") == "6.00 EUR"

    world.posted("waiver", -600, on="2026-01-09", reverses=fee, posting="waive")
    assert world.run("2026-02-01").statements == ["acme level 2 100.00 EUR"]


def test_what_was_closed_and_never_left_is_proposed_again_without_its_charges(world: World) -> None:
    world.process(TWO)
    world.invoice("INV", due="2026-01-01")
    world.closed("s1", on="2026-01-05", invoices=["INV"])
    world.posted("fee", 1000, on="2026-01-05", statement="s1")

    assert world.run("2026-01-06").statements == ["acme level 1 100.00 EUR"]
    world.add("ops.sends", send_key="k", kind="dunning", statement_id="s1", status="unknown")
    assert world.run("2026-01-06").reasons == {"INV": "awaiting_send"}  # nobody knows whether it left


def test_conditions_ask_the_source_and_the_computed_fields(world: World) -> None:
    world.process(
        """
        levels:
          - level: 1
            when: {days: 1}
            template: a
            condition: "account.PreventDunning is not true and invoice.open_amount > 50 and account.country = 'DE'"
        """
    )
    world.account("acme", country="DE")
    world.account("far", country="FR")
    world.invoice("BIG", due="2026-01-01", amount="60.00 EUR")
    world.invoice("SMALL", due="2026-01-01", amount="40.00 EUR")
    world.invoice("FAR", due="2026-01-01", amount="90.00 EUR", account="far")

    outcome = world.run("2026-02-01")
    assert outcome.reasons == {"BIG": "advances", "SMALL": "condition_not_met", "FAR": "condition_not_met"}


def test_run_level_filters_and_with_an_invoice_it_forces(world: World) -> None:
    world.process(f"min_interval_days: 30\n{TWO}")
    world.invoice("INV", due="2026-01-01")
    world.invoice("OTHER", due="2026-01-01")

    assert world.run("2026-02-01", levels=(2,)).reasons == {"INV": "level_filtered", "OTHER": "level_filtered"}
    forced = world.run("2026-02-01", levels=(2,), invoice="INV")
    assert forced.statements == ["acme level 2 100.00 EUR"]
    assert forced.rows[0]["draft_key"].startswith("single|")  # a later daily run keeps its own draft


def test_an_account_statement_lists_everything_without_level_or_fee(world: World) -> None:
    world.process("levels: [{level: 1, when: {days: 1}, template: a, fee: {EUR: 5}}]")
    world.invoice("DUE", due="2026-01-01")
    world.invoice("LATER", due="2026-12-01", amount="50.00 EUR")
    world.credit("CM", amount="30.00 EUR")

    outcome = world.run("2026-02-01", kind="account")
    assert outcome.lines == ["invoice DUE 100.00 EUR", "invoice LATER 50.00 EUR", "credit CM -30.00 EUR"]
    assert outcome.rows[0]["level"] is None
    assert outcome.rows[0]["template"] == "account_statement"


def test_a_deadline_ends_on_a_working_day_where_a_calendar_is_configured(world: World) -> None:
    world.process("levels: [{level: 1, when: {days: 1}, template: a, due_in_days: 3}]")
    world.invoice("INV", due="2025-12-01")
    assert str(world.run("2025-12-22").rows[0]["due_date"]) == "2025-12-25"

    world.company("default_process: test\nholidays: DE")
    assert str(world.run("2025-12-22").rows[0]["due_date"]) == "2025-12-29"  # Christmas, Saturday, Sunday


def test_nobody_to_write_to_holds_the_draft_and_keeps_the_debt(world: World) -> None:
    world.process(ONE)
    world.invoice("INV", due="2026-01-01")

    (row,) = world.run("2026-02-01").rows
    assert row["channels"] == "[]"
    assert row["hold_reason"] == "no_recipient"


def test_ten_thousand_invoices_on_one_account_are_one_statement(world: World) -> None:
    world.process(ONE)
    world.account("acme")
    con = world.database()
    con.execute(
        """
        insert into data_model.invoices by name
        select 'salesforce:' || n as invoice_key, 'salesforce' as source, n as invoice_id, n as invoice_number,
            'salesforce:acme' as account_key, 'posted' as status, date '2025-01-01' as invoice_date,
            date '2026-01-01' as due_date, 'EUR' as currency, 1.01 as total_amount
        from range(10000) as numbers(n)
        """
    )
    from datetime import date

    from dunning_pipeline.dunning.decision import decide

    decided = decide(Workspace(world.folder), dunning_date=date(2026, 2, 1), facts=con, ledger=False)
    (row,) = decided.statements.to_pylist()
    assert row["please_pay_minor"] == 1010000
    assert decided.details.num_rows == 10000


def test_names_are_carried_as_they_are(world: World) -> None:
    world.process(ONE)
    name = '<b>مؤسسة</b> \u202eO\'Hara & Söhne 🧾 "{{ 7*7 }}"'
    world.account("odd")
    world.rows["data_model.accounts"][-1]["name"] = name
    world.invoice("INV", due="2026-01-01", account="odd")

    assert world.run("2026-02-01").rows[0]["account_name"] == name


def test_explain_says_the_reason_in_plain_words_and_as_codes(world: World) -> None:
    world.process(f"tolerance: {{EUR: 5}}\n{ONE}")
    world.invoice("INV", due="2026-01-01", amount="4.50 EUR")
    world.invoice("NOT", due="2026-05-01")
    con = world.database()
    from datetime import date

    rows = explain(Workspace(world.folder), "acme", dunning_date=date(2026, 2, 1), facts=con, ledger=False)
    assert [row["text"] for row in rows] == [
        "not dunned: 4.50 EUR is open, below the tolerance of 5.00",
        "not dunned: due on 2026-05-01",
    ]
    assert rows[0]["inputs"]["tolerance"] == "5.00"
    (one,) = explain(Workspace(world.folder), "NOT", dunning_date=date(2026, 2, 1), facts=con, ledger=False)
    assert (one["invoice_id"], one["included"], one["reason"]) == ("NOT", False, "not_due")
    with pytest.raises(NotThere, match="no account or invoice 'nobody'"):
        explain(Workspace(world.folder), "nobody", dunning_date=date(2026, 2, 1), facts=con, ledger=False)


def test_the_list_of_reasons_is_closed_and_documented() -> None:
    used = set()
    for file in (ROOT / "dbt_like_sql" / "dunning").glob("*.sql"):
        text = file.read_text(encoding="utf-8")
        used |= {code for code in REASONS if f"'{code}'" in text}
    assert set(REASONS) == used
    assert (ROOT / "docs" / "reason_codes.md").read_text(encoding="utf-8") == reference_page()


def test_a_level_for_a_segment_fires_for_its_published_members_alone(world: World, tmp_path: Path) -> None:
    world.process("levels:\n  - {level: 1, when: {days: 1}, template: a, segment: key_accounts}")
    world.invoice("IN", due="2026-01-01", account="member")
    world.invoice("OUT", due="2026-01-01", account="other")
    snapshot = tmp_path / "snapshot.duckdb"
    world.publish(
        snapshot,
        """
        create schema unified;
        create table unified.account_links as
        select 'salesforce' as source, 'salesforce:' || name as account_key, 'u-' || name as unified_account_id
        from (values ('member'), ('other')) as accounts (name);
        create schema segments;
        create table segments.key_accounts as select 'u-member' as unified_account_id;
        """,
    )
    assert world.folder is not None
    decision = decide(Workspace(world.folder), dunning_date=date(2026, 2, 1), facts=snapshot, ledger=False)
    assert Outcome(decision).reasons == {"IN": "advances", "OUT": "not_in_segment"}
    [told] = explain(Workspace(world.folder), "OUT", dunning_date=date(2026, 2, 1), facts=snapshot, ledger=False)
    assert told["reason"] == "not_in_segment"


@pytest.mark.parametrize(
    ("written", "runs"),
    [
        ("", "true"),
        ("plan.risk = 'high'", "plan.risk = 'high'"),
        ("account.PreventDunning__c is  not true", "account.prevent_dunning IS NOT true"),
        ("invoice.open_amount>=50.5", "invoice.open_amount >= 50.5"),
        ("plan.risk is distinct from 'high'", "plan.risk IS DISTINCT FROM 'high'"),
        ("lower(account.country) = 'de'", "LOWER(account.country) = 'de'"),
    ],
)
def test_a_simple_condition_needs_no_parser_and_means_the_same(written: str, runs: str) -> None:
    assert render_condition(written) == runs
    facts = """(
        select {'prevent_dunning': flag, 'country': country} as account, {'open_amount': amount} as invoice,
            {'risk': risk} as plan
        from (values (true, 'DE', 50.5, 'high'), (false, 'FR', 50.4, 'low'), (null, null, null, null))
            as rows (flag, country, amount, risk))"""
    answers = [duckdb.sql(f"select {sql} from {facts}").fetchall() for sql in (runs, _parsed(written or "true"))]
    assert answers[0] == answers[1]
