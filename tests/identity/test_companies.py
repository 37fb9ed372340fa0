"""Stories about companies: an official number and a near name merge; a name, a phone, a domain alone never do."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from dunning_pipeline.identity.rulesets import Ruleset
from tests.identity.conftest import Parties

VAT = "DE811907980"
OTHER_VAT = "DE136695976"


def test_one_vat_number_and_a_near_name(parties: Parties) -> None:
    parties.account("a", name="Müller & Söhne GmbH", tax_id=VAT, country="DE")
    parties.account("erp:1", name="MUELLER SOEHNE", vat_id="DE 811 907 980")
    parties.account("erp:2", name="Müler & Söhne Gesellschaft mbH", vat_id=VAT)
    parties.account("erp:3", name="Completely Different AG", vat_id=VAT)

    parties.resolve()

    assert parties.profiles("account")[0] == ["a", "erp:2"] or ["a", "erp:1", "erp:2"] in parties.profiles("account")
    assert ["erp:3"] in parties.profiles("account")


def test_siblings_with_one_domain_phone_and_address_stay_apart(parties: Parties) -> None:
    shared = {
        "website": "https://acme.com",
        "phone": "+49 40 5550120",
        "street": "Hafenstr. 1",
        "postal_code": "20457",
        "city": "Hamburg",
    }
    parties.account("a", name="Acme GmbH", vat_id=VAT, **shared)
    parties.account("b", name="Acme AG", vat_id=OTHER_VAT, **shared)
    parties.account("c", name="Acme Services GmbH", **shared)
    parties.account("d", name="Acme", **shared)

    parties.resolve()

    assert parties.profiles("account") == [["a"], ["b"], ["c"], ["d"]]


def test_a_blank_record_between_two_siblings_joins_neither_even_with_tier_b(parties: Parties) -> None:
    shared = {"phone": "+49 40 5550120", "street": "Hafenstr. 1", "postal_code": "20457"}
    parties.account("a", name="Acme GmbH", vat_id=VAT, **shared)
    parties.account("b", name="Acme AG", vat_id=OTHER_VAT, **shared)
    parties.account("c", name="Acme", **shared)
    parties.account("d", name="Solo GmbH", phone="+49 40 5550999", street="Hafenstr. 9", postal_code="20457")
    parties.account("e", name="SOLO GmbH", phone="+49 40 5550999", street="Hafenstraße 9", postal_code="20457")

    parties.resolve(rulesets=with_tiers(parties, "A", "B"))

    assert parties.profiles("account") == [["a"], ["b"], ["c"], ["d", "e"]]
    assert parties.rows("select check_name from identity.checks where not passed") == []


def test_a_customer_number_counts_inside_its_source_only(parties: Parties) -> None:
    parties.account("erp:1", name="Acme GmbH", account_number="1001")
    parties.account("erp:2", name="ACME Gesellschaft mbH", account_number=" 1001")
    parties.account("shop:1", name="Acme GmbH", account_number="1001")

    parties.resolve()

    assert parties.profiles("account") == [["erp:1", "erp:2"], ["shop:1"]]


def test_an_over_full_cluster_is_quarantined_with_all_its_records_apart(parties: Parties) -> None:
    rules = {kind: ruleset.model_copy(update={"guards": ruleset.guards.model_copy(update={"cluster_size": 5})})
             for kind, ruleset in parties.rulesets.items()}  # fmt: skip
    for n in range(7):
        parties.account(f"a{n}", name="Acme GmbH", vat_id=VAT)

    parties.resolve(rulesets=rules)

    assert parties.profiles("account") == [[f"a{n}"] for n in range(7)]
    assert parties.rows("select party_kind, records, len(record_keys) from identity.quarantined_clusters") == [
        ("account", 7, 7)
    ]


def test_reconciliation_takes_the_newest_the_most_frequent_and_the_best_source(parties: Parties) -> None:
    from datetime import datetime

    parties.account("erp:1", name="Acme", vat_id=VAT, city="Kiel", language="de", modified_at=datetime(2025, 1, 1))
    parties.account("erp:2", name="Acme", vat_id=VAT, city="  ", language="en", modified_at=datetime(2025, 5, 1))
    parties.account("crm:3", name="ACME", vat_id=VAT, city="Bonn", language="fr", modified_at=datetime(2025, 2, 1))
    parties.account("crm:4", name="ACME", vat_id=VAT, city="Aalen", modified_at=datetime(2025, 2, 1))
    by_source = {"language": {"rule": "source_priority", "sources": ["crm", "erp"]}, "name": {"rule": "most_frequent"}}
    own = parties.rulesets["account"].model_dump()
    own["reconciliation"]["fields"] = by_source
    parties.rulesets["account"] = Ruleset.model_validate(own)

    parties.resolve()

    # city: last updated, blanks ignored, ties alphabetical; name: 2 against 2, the last updated; language: crm before erp
    assert parties.rows("select city, name, language, account_count from identity.unified_accounts") == [
        ("Aalen", "Acme", "fr", 4)
    ]


def with_tiers(parties: Parties, *tiers: str) -> dict[str, Ruleset]:
    return {kind: ruleset.model_copy(update={"merge_tiers": tiers}) for kind, ruleset in parties.rulesets.items()}
