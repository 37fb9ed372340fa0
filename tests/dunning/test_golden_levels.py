"""Golden cases of levels and amounts: each number stands in the rules of the product."""

import pytest

from tests.dunning.world import World

THREE_LEVELS = """
levels:
  - {level: 1, when: {days: 7}, template: a}
  - {level: 2, when: {days: 21}, template: b}
  - {level: 3, when: {days: 45}, template: c}
"""
ONE_LEVEL = """
levels:
  - {level: 1, when: {days: 1}, template: a}
"""


def test_g1_a_day_after_the_due_date_is_one_day_overdue(world: World) -> None:
    world.process(ONE_LEVEL)
    world.invoice("INV", due="2026-03-12", amount="120.00 EUR")

    assert world.run("2026-03-12").statements == []  # the due date itself is not overdue
    outcome = world.run("2026-03-13")
    assert outcome.statements == ["acme level 1 120.00 EUR"]
    assert outcome.details[0]["days_overdue"] == 1


def test_g1_grace_keeps_the_item_out(world: World) -> None:
    world.process("grace_days: 3" + ONE_LEVEL)
    world.invoice("INV", due="2026-03-12")

    assert world.run("2026-03-13").reasons == {"INV": "in_grace"}
    assert world.run("2026-03-15").reasons == {"INV": "in_grace"}  # out while days overdue <= grace
    assert world.run("2026-03-16").statements == ["acme level 1 100.00 EUR"]


def test_g2_the_unit_waits_for_its_oldest_item_and_grace_for_each(world: World) -> None:
    world.process("grace_days: 3\nminimum_days: 6" + ONE_LEVEL)
    world.invoice("SIX", due="2026-01-04")
    world.invoice("FIVE", due="2026-01-05")
    world.invoice("TWO", due="2026-01-08")

    outcome = world.run("2026-01-10")
    assert outcome.levels == {"SIX": 1, "FIVE": 1}
    assert outcome.reasons["TWO"] == "in_grace"
    young = world.run("2026-01-09")  # the oldest is five days now
    assert young.statements == []
    assert young.reasons["SIX"] == "too_young"


FOUR_LEVELS = """
levels:
  - {level: 1, when: {days: 2}, template: a}
  - {level: 2, when: {days: 16}, template: a}
  - {level: 3, when: {days: 30}, template: a}
  - {level: 4, when: {days: 44}, template: a}
"""


def test_g3_sequential_takes_one_step_and_catch_up_goes_straight(world: World) -> None:
    world.process("min_interval_days: 7" + FOUR_LEVELS)
    world.process("escalation: catch_up" + FOUR_LEVELS, name="catching_up")
    world.invoice("SEQ", due="2026-01-01", account="step")
    world.account("jump", default_process="catching_up")
    world.invoice("UP", due="2026-01-01", account="jump")

    assert world.run("2026-02-20").statements == ["jump level 4 100.00 EUR", "step level 1 100.00 EUR"]

    world.sent("SEQ", 1, on="2026-02-20")
    world.sent("UP", 4, on="2026-02-20", process="catching_up")
    assert world.run("2026-02-26").reasons == {"SEQ": "interval_not_over", "UP": "last_level_sent"}
    assert world.run("2026-02-27").statements == ["step level 2 100.00 EUR"]


def test_g4_a_level_below_its_share_sends_the_last_letter_again(world: World) -> None:
    world.process(
        """
        levels:
          - {level: 1, when: {days: 1}, template: a, minimum: {EUR: 10}, percent_of_open: 10}
          - {level: 2, when: {days: 15}, template: b, minimum: {EUR: 10}, percent_of_open: 10}
        """
    )
    world.invoice("DUE", due="2026-01-01", amount="100.00 EUR")
    world.invoice("LATER", due="2026-12-01", amount="900.00 EUR")

    assert world.run("2026-01-02").statements == ["acme level 1 100.00 EUR"]  # 10.00 %

    world.sent("DUE", 1, on="2026-01-02", deadline="2026-01-09")
    world.invoice("NEW", due="2026-12-01", amount="100.00 EUR")
    outcome = world.run("2026-01-16")  # 9.09 %
    assert outcome.statements == ["acme level 1 100.00 EUR"]
    assert outcome.reasons["DUE"] == "level_repeated"
    decided = next(row for row in outcome.decision.decisions.to_pylist() if row["invoice_id"] == "DUE")
    assert (decided["level_before"], decided["level_after"]) == (1, 1)


def test_g4_a_first_level_below_its_minimum_says_nothing(world: World) -> None:
    world.process("levels: [{level: 1, when: {days: 1}, template: a, minimum: {EUR: 200}}]")
    world.invoice("DUE", due="2026-01-01")

    assert world.run("2026-01-02").reasons == {"DUE": "below_minimum"}


def test_g5_the_tolerance_is_converted_at_the_rate_of_the_run_date(world: World) -> None:
    world.process("tolerance: {EUR: 10}" + ONE_LEVEL)
    world.invoice("BELOW", due="2026-01-01", amount="11.00 USD")
    world.invoice("AT", due="2026-01-01", amount="12.00 USD", account="other")
    world.rate("2026-01-05", "EUR", "USD", "1.10")
    world.rate("2026-01-10", "EUR", "USD", "1.20")
    world.rate("2026-01-11", "EUR", "USD", "1.00")

    outcome = world.run("2026-01-10")
    assert outcome.reasons == {"BELOW": "below_tolerance", "AT": "advances"}  # threshold USD 12.00


def test_g6_the_minimum_looks_at_what_is_open(world: World) -> None:
    world.process("minimum: {EUR: 150}" + ONE_LEVEL)
    world.invoice("INV", due="2026-01-01", amount="200.00 EUR")
    world.payment("INV", on="2026-01-05", amount="190.00 EUR")

    assert world.run("2026-01-10").reasons == {"INV": "below_minimum"}


def test_g7_a_bounced_statement_gives_no_level(world: World) -> None:
    world.process(THREE_LEVELS)
    world.account("acme", street="Road 1", city="Town", country="DE")
    world.invoice("INV", due="2026-01-01")
    world.sent("INV", 1, on="2026-01-10", statement="s1")
    assert world.run("2026-01-25").statements == ["acme level 2 100.00 EUR"]

    world.sent("INV", 1, on="2026-01-10", statement="s1", event="revoked")
    outcome = world.run("2026-01-25")
    assert outcome.statements == ["acme level 1 100.00 EUR"]  # no escalation
    assert outcome.rows[0]["channels"] == '["letter"]'  # nobody to mail: a letter


def test_g8_aggregate_takes_the_tone_of_the_highest_item(world: World) -> None:
    world.process(THREE_LEVELS)
    world.invoice("A", due="2026-01-01", amount="60.00 EUR")
    world.invoice("B", due="2026-02-22", amount="40.00 EUR")
    world.sent("A", 2, on="2026-01-30")

    outcome = world.run("2026-03-02")
    assert outcome.statements == ["acme level 3 100.00 EUR"]
    assert outcome.levels == {"A": 3, "B": 1}


def test_g8_per_level_writes_two_statements_and_g9_forgets_the_paid_one(world: World) -> None:
    world.process("grouping: per_level" + THREE_LEVELS)
    world.invoice("A", due="2026-01-01", amount="60.00 EUR")
    world.invoice("B", due="2026-02-22", amount="40.00 EUR")
    world.sent("A", 2, on="2026-01-30")

    outcome = world.run("2026-03-02")
    assert sorted(outcome.statements) == ["acme level 1 40.00 EUR", "acme level 3 60.00 EUR"]


def test_g9_when_the_old_one_is_paid_the_other_goes_its_own_way(world: World) -> None:
    world.process(THREE_LEVELS)
    world.invoice("A", due="2026-01-01")
    world.invoice("B", due="2026-02-22")
    world.sent("A", 3, on="2026-03-02")
    world.sent("B", 1, on="2026-03-02")
    world.payment("A", on="2026-03-03", amount="100.00 EUR")

    outcome = world.run("2026-03-16")
    assert outcome.statements == ["acme level 2 100.00 EUR"]
    assert outcome.levels == {"B": 2}
    assert outcome.reasons["A"] == "nothing_open"


def test_g10_a_postponed_item_leaves_and_comes_back_one_level_higher(world: World) -> None:
    world.process(THREE_LEVELS)
    world.invoice("INV", due="2026-01-01")
    world.sent("INV", 1, on="2026-01-08")
    world.add(
        "ops.postponements",
        postponement_id="p", invoice_key="salesforce:INV", postponed_to="2026-02-01", created_on="2026-01-10",
        created_at="2026-01-10 09:00:00",
    )  # fmt: skip

    assert world.run("2026-01-25").reasons == {"INV": "not_due"}
    assert world.run("2026-02-10").reasons == {"INV": "level_not_reached"}
    assert world.run("2026-02-22").statements == ["acme level 2 100.00 EUR"]


def test_a_postponed_date_before_the_due_date_makes_nobody_pay_earlier(world: World) -> None:
    world.process(ONE_LEVEL)
    world.invoice("INV", due="2026-02-10", postponed_due_date="2026-01-20")
    assert world.run("2026-02-09").reasons == {"INV": "not_due"}
    assert world.run("2026-02-20").reasons == {"INV": "advances"}


def test_g11_only_the_instalments_that_are_due_are_dunned(world: World) -> None:
    world.process(ONE_LEVEL)
    world.invoice("PLAN", due="2026-01-01", amount="1000.00 EUR")
    world.instalments("PLAN", [(f"2026-0{month}-01", "250") for month in (1, 2, 3, 4)])

    assert world.run("2026-02-10").statements == ["acme level 1 500.00 EUR"]

    world.payment("PLAN", on="2026-02-11", amount="300.00 EUR")  # without an item: the earliest first
    outcome = world.run("2026-02-12")
    assert outcome.statements == ["acme level 1 200.00 EUR"]
    assert outcome.reasons["PLAN/1"] == "nothing_open"
    assert outcome.reasons["PLAN/3"] == "not_due"


def test_g11_a_payment_for_an_instalment_closes_that_one(world: World) -> None:
    world.process(ONE_LEVEL)
    world.invoice("PLAN", due="2026-01-01", amount="500.00 EUR")
    world.instalments("PLAN", [("2026-01-01", "250"), ("2026-02-01", "250")])
    world.payment("PLAN", on="2026-02-05", amount="250.00 EUR", item="PLAN-2")

    outcome = world.run("2026-02-10")
    assert outcome.statements == ["acme level 1 250.00 EUR"]
    assert outcome.reasons == {"PLAN/1": "advances", "PLAN/2": "nothing_open"}


def test_g11_cash_allocated_to_nothing_nets_like_a_credit(world: World) -> None:
    world.process(ONE_LEVEL)
    world.invoice("INV", due="2026-01-01", amount="500.00 EUR")
    world.payment(None, on="2026-01-05", amount="120.00 EUR")

    outcome = world.run("2026-01-10")
    assert outcome.lines == ["invoice INV 500.00 EUR", "credit PAY-1 -120.00 EUR"]
    assert outcome.statements == ["acme level 1 380.00 EUR"]


def test_g14_the_three_ways_to_net(world: World) -> None:
    for mode in ("show", "ignore", "block"):
        world.process(f"netting: {mode}" + ONE_LEVEL, name=mode)
        world.account(mode, default_process=mode)
        world.invoice(f"{mode}-500", due="2026-01-01", amount="500.00 EUR", account=mode)
        world.invoice(f"{mode}-300", due="2026-01-02", amount="300.00 EUR", account=mode)
        world.credit(f"CM-{mode}", amount="250.00 EUR", account=mode)

    outcome = world.run("2026-01-10")
    assert outcome.statements == ["ignore level 1 800.00 EUR", "show level 1 550.00 EUR"]
    assert "credit CM-show -250.00 EUR" in outcome.lines
    assert "credit CM-ignore 0.00 EUR" in outcome.lines  # a visible note that changes nothing
    assert outcome.reasons["block-500"] == "held_for_credit"


@pytest.mark.parametrize("mode", ["ignore", "block"])
def test_who_does_not_net_leaves_the_credit_to_who_does(world: World, mode: str) -> None:
    world.process(ONE_LEVEL)
    world.process(f"netting: {mode}" + ONE_LEVEL, name=mode)
    world.account("acme")
    world.bill_group("older", process=mode)
    world.invoice("OLD", due="2026-01-01", amount="500.00 EUR", bill_group="older")
    world.invoice("INV", due="2026-01-02", amount="300.00 EUR")
    world.credit("CM", amount="250.00 EUR")

    assert "acme level 1 50.00 EUR" in world.run("2026-01-10").statements


def test_g15_credits_that_cover_the_debt_mean_no_statement(world: World) -> None:
    world.process(ONE_LEVEL)
    world.invoice("INV", due="2026-01-01", amount="500.00 EUR")
    world.credit("CM", amount="300.00 EUR")
    world.payment(None, on="2026-01-03", amount="200.00 EUR")

    outcome = world.run("2026-01-10")
    assert outcome.statements == []
    assert outcome.reasons == {"INV": "covered_by_credit"}


def test_g16_the_younger_invoice_keeps_its_own_calendar(world: World) -> None:
    world.process(THREE_LEVELS)
    world.invoice("OLD", due="2026-01-01")
    world.invoice("YOUNG", due="2026-02-01")
    world.sent("OLD", 2, on="2026-01-25")
    world.payment("OLD", on="2026-02-05", amount="100.00 EUR")

    assert world.run("2026-02-07").reasons["YOUNG"] == "level_not_reached"
    assert world.run("2026-02-08").statements == ["acme level 1 100.00 EUR"]  # no level is skipped


def test_g17_a_draft_is_no_level_and_is_taken_over(world: World) -> None:
    world.process(THREE_LEVELS)
    world.invoice("INV", due="2026-01-01")
    first = world.run("2026-01-10")
    world.closed("draft-1", on="2026-01-10", invoices=["INV"], status="draft")

    again = world.run("2026-01-30")
    assert again.statements == ["acme level 1 100.00 EUR"]
    assert again.rows[0]["draft_key"] == first.rows[0]["draft_key"]  # the same draft, no second one


def test_g18_a_cent_amount_below_the_tolerance_is_never_dunned(world: World) -> None:
    world.process("tolerance: {EUR: 0.10}" + ONE_LEVEL)
    world.invoice("CENTS", due="2026-01-01", amount="0.09 EUR")

    assert world.run("2026-12-31").reasons == {"CENTS": "below_tolerance"}


def test_g19_a_part_payment_does_not_reset_the_level(world: World) -> None:
    world.process(THREE_LEVELS)
    world.invoice("INV", due="2026-01-01", amount="1500.00 EUR")
    world.sent("INV", 1, on="2026-01-08")
    world.payment("INV", on="2026-01-15", amount="1000.00 EUR")

    assert world.run("2026-01-22").statements == ["acme level 2 500.00 EUR"]


def test_g20_the_account_then_the_tenant_then_none(world: World) -> None:
    world.process(ONE_LEVEL)
    world.process(ONE_LEVEL, name="own")
    world.account("with_default", default_process="own")
    world.invoice("P2", due="2026-01-01", account="with_default")
    world.invoice("P1", due="2026-01-01", account="without")

    rows = world.run("2026-01-10").decision.decisions.to_pylist()
    assert {row["invoice_id"]: row["process"] for row in rows} == {"P2": "own", "P1": "test"}

    world.company("")
    outcome = world.run("2026-01-10")
    assert outcome.reasons == {"P2": "advances", "P1": "unassigned"}
