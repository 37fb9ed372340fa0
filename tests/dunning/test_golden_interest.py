"""Golden cases of interest, lump sums and the reference statement, to the cent."""

import pytest

from tests.dunning.world import World


def one_level(interest: str, more: str = "") -> str:
    return f"levels: [{{level: 1, when: {{days: 1}}, template: a, interest: {interest}{more}}}]"


def test_i1_interest_and_fee_on_a_small_debt(world: World) -> None:
    world.process(one_level("{annual_percent: 10}", ", fee: {EUR: 10}"))
    world.invoice("INV", due="2026-01-01", amount="100.00 EUR")

    outcome = world.run("2026-01-16")
    assert outcome.lines == ["invoice INV 100.00 EUR", "interest INV 0.41 EUR", "fee 10.00 EUR"]
    assert outcome.statements == ["acme level 1 110.41 EUR"]


def test_i2_german_business_rate_changes_with_the_half_year(world: World) -> None:
    world.process(one_level("{law: DE, party: business}"))
    world.invoice("INV", due="2025-05-15", amount="10000.00 EUR")

    assert world.run("2025-08-31").amount("interest") == "316.48 EUR"


def test_i3_a_part_payment_bears_interest_to_its_value_date(world: World) -> None:
    world.process(one_level("{law: DE, party: business}"))
    world.invoice("INV", due="2025-05-15", amount="10000.00 EUR")
    world.payment("INV", on="2025-07-14", value="2025-07-10", amount="4000.00 EUR")

    assert world.run("2025-08-31").amount("interest") == "257.96 EUR"


def test_i4_german_consumer_rate(world: World) -> None:
    world.process(one_level("{law: DE}"))
    world.account("acme", party_type="consumer")
    world.invoice("INV", due="2025-05-15", amount="1000.00 EUR")

    assert world.run("2025-08-31").amount("interest") == "19.81 EUR"


def test_i4_a_consumer_never_pays_the_business_rate(world: World) -> None:
    world.process(one_level("{law: DE, party: business}"))
    world.account("acme", party_type="consumer")
    world.invoice("INV", due="2025-05-15", amount="1000.00 EUR")

    assert world.run("2025-08-31").amount("interest") == "19.81 EUR"


def test_i5_the_uk_rate_is_fixed_when_interest_starts(world: World) -> None:
    world.process(one_level("{law: UK}"))
    world.invoice("INV", due="2025-06-19", amount="6500.00 GBP")

    assert world.run("2025-09-30").amount("interest") == "233.87 GBP"


def test_i6_interest_is_not_rounded_per_day(world: World) -> None:
    world.process(one_level("{law: UK}"))
    world.invoice("INV", due="2025-07-01", amount="5000.00 GBP")

    assert world.run("2025-10-10").amount("interest") == "169.49 GBP"  # 101 days at 12.25 %


def test_i7_a_negative_base_rate_lowers_the_rate(world: World) -> None:
    world.process(one_level("{law: DE, party: business}"))
    world.invoice("INV", due="2020-12-31", amount="36500.00 EUR")

    assert world.run("2021-01-10").amount("interest") == "81.20 EUR"  # 10 days at 8.12 %


def test_i8_monthly_rate_on_months_of_thirty_days(world: World) -> None:
    world.process(one_level("{monthly_percent: 1.5, day_count: 30/360}"))
    world.invoice("INV", due="2026-01-15", amount="1000.00 EUR")

    assert world.run("2026-02-28").amount("interest") == "21.50 EUR"  # 43 days of 30/360
    assert world.run("2026-02-15").amount("interest") == "15.00 EUR"  # a month is a month
    world.invoice("HALF", due="2026-03-15", amount="1000.00 EUR", account="other")
    assert "interest HALF 22.50 EUR" in world.run("2026-04-30").lines  # 45 days


def test_i9_the_lump_sum_is_owed_per_late_payment(world: World) -> None:
    world.process("levels: [{level: 1, when: {days: 1}, template: a, compensation: {law: EU}}]")
    world.process("levels: [{level: 1, when: {days: 1}, template: a, compensation: {law: UK}}]", name="uk")
    world.invoice("PLAN", due="2026-01-01", amount="900.00 EUR")
    world.instalments("PLAN", [("2026-01-01", "300"), ("2026-01-02", "300"), ("2026-01-03", "300")])
    for name, amount in (("small", "999.99"), ("middle", "1000.00"), ("large", "10000.00")):
        world.account(name, default_process="uk")
        world.invoice(name, due="2026-01-01", amount=f"{amount} GBP", account=name)

    outcome = world.run("2026-01-10")
    lines = [line for line in outcome.lines if line.startswith("compensation")]
    assert sorted(lines) == [
        "compensation PLAN 40.00 EUR",
        "compensation PLAN 40.00 EUR",
        "compensation PLAN 40.00 EUR",
        "compensation large 100.00 GBP",
        "compensation middle 70.00 GBP",
        "compensation small 40.00 GBP",
    ]


def test_a_process_for_consumers_asks_for_no_lump_sum(world: World) -> None:
    levels = "levels: [{level: 1, when: {days: 1}, template: a, compensation: {law: EU}}]"
    world.process(levels)
    world.invoice("INV", due="2026-01-01")
    assert "compensation INV 40.00 EUR" in world.run("2026-01-10").lines
    world.company("default_process: test\ndefault_party: consumer")
    assert world.run("2026-01-10").lines == ["invoice INV 100.00 EUR"]
    world.process(f"party: business\n{levels}")
    assert "compensation INV 40.00 EUR" in world.run("2026-01-10").lines


def test_the_lump_sum_is_claimed_once(world: World) -> None:
    world.process("levels: [{level: 1, when: {days: 1}, template: a, compensation: {law: EU}}]")
    world.invoice("INV", due="2026-01-01")
    world.posted("compensation", 4000, on="2026-01-05", invoice="INV")

    assert [line for line in world.run("2026-01-10").lines if line.startswith("compensation")] == []


def test_no_interest_beyond_the_known_rates_and_a_finding(world: World) -> None:
    world.process(one_level("{law: DE, party: business}"))
    world.invoice("INV", due="2026-06-01", amount="1000.00 EUR")

    assert world.run("2026-06-30").amount("interest") == "8.16 EUR"  # the last day that is known: 29 days at 10.27 %
    outcome = world.run("2026-07-01")
    assert outcome.statements == ["acme level 1 1000.00 EUR"]
    assert outcome.findings == {("interest_rate_unknown", "INV")}


def test_no_law_no_interest_in_the_united_states(world: World) -> None:
    world.process(one_level("{law: US}"))
    world.invoice("INV", due="2026-01-01", amount="1000.00 USD")

    outcome = world.run("2026-03-01")
    assert outcome.lines == ["invoice INV 1000.00 USD"]
    assert outcome.findings == set()


@pytest.mark.parametrize(("amount", "expected"), [("99900 JPY", "411 JPY"), ("100.000 KWD", "0.411 KWD")])
def test_interest_is_rounded_to_the_minor_unit_of_the_currency(world: World, amount: str, expected: str) -> None:
    world.process(one_level("{annual_percent: 10}"))
    world.invoice("INV", due="2026-01-01", amount=amount)

    assert world.run("2026-01-16").amount("interest") == expected


REFERENCE = """
netting: show
min_interval_days: 14
minimum: {EUR: 20}
levels:
  - {level: 1, when: {days: 7}, template: a}
  - {level: 2, when: {days: 21}, template: b, fee: {EUR: 5}, interest: {law: DE, party: business}}
  - {level: 3, when: {days: 45}, template: c, fee: {EUR: 10}, interest: {law: DE, party: business}}
"""


@pytest.fixture
def acme(world: World) -> World:
    """ACME GmbH on 2025-08-31, A at level 2 since 2025-08-01."""
    world.process(REFERENCE)
    world.invoice("A", due="2025-05-15", amount="10000.00 EUR")
    world.payment("A", on="2025-07-10", amount="4000.00 EUR")
    world.invoice("B", due="2025-08-20", amount="500.00 EUR")
    world.invoice("C", due="2025-09-15", amount="300.00 EUR")
    world.credit("CM1", amount="250.00 EUR", on="2025-08-25")
    world.closed("st-1", on="2025-08-01", invoices=["A"], level=2)
    world.sent("A", 2, on="2025-08-01", statement="st-1", deadline="2025-08-08")
    world.posted("interest", 20731, on="2025-08-01", invoice="A", level=2)
    world.posted("fee", 500, on="2025-08-01", level=2)
    return world


def test_the_reference_statement(acme: World) -> None:
    outcome = acme.run("2025-08-31")

    assert outcome.statements == ["acme level 3 6522.96 EUR"]
    assert outcome.levels == {"A": 3, "B": 1}
    assert outcome.lines == [
        "invoice A 6000.00 EUR",
        "invoice B 500.00 EUR",
        "interest A 50.65 EUR",
        "carried_interest A 207.31 EUR",
        "fee 10.00 EUR",
        "carried_fee st-1 5.00 EUR",
        "credit CM1 -250.00 EUR",
    ]
    (row,) = outcome.rows
    totals = (row["principal_minor"], row["credits_minor"], row["interest_minor"], row["fees_minor"])
    assert totals == (650000, -25000, 25796, 1500)
    assert str(row["due_date"]) == "2025-09-07"
    days = {d["invoice_id"]: d["days_overdue"] for d in outcome.details if d["type"] == "invoice"}
    assert days == {"A": 108, "B": 11}
    assert outcome.reasons == {"A": "advances", "B": "advances", "C": "not_due"}


def test_the_interest_billed_in_august_was_right(acme: World) -> None:
    for table in ("item_levels", "postings", "statements", "statement_details"):
        acme.rows[f"ops.{table}"] = []
    acme.sent("A", 1, on="2025-06-01")

    assert acme.run("2025-08-01").amount("interest") == "207.31 EUR"


def test_when_the_old_invoice_is_paid_the_young_one_is_alone(acme: World) -> None:
    acme.payment("A", on="2025-08-31", amount="6000.00 EUR")

    outcome = acme.run("2025-08-31")
    assert outcome.statements == ["acme level 1 250.00 EUR"]
    assert outcome.levels == {"B": 1}
    waived = outcome.decision.waivers.to_pylist()
    assert sum(row["unpaid_minor"] for row in waived) == 21231  # A's earlier charges go


def test_the_same_date_again_proposes_nothing_new(acme: World) -> None:
    acme.closed("st-2", on="2025-08-31", invoices=["A", "B"], level=3)

    outcome = acme.run("2025-08-31")
    assert outcome.statements == []
    assert outcome.reasons["A"] == "awaiting_send"
