"""Stories about people: who is one person, who is not, and why."""

from tests.identity.conftest import Parties


def test_one_mailbox_and_a_near_name_is_one_person(parties: Parties) -> None:
    parties.contact("1", first_name="Michelle", last_name="Noris", email="<MichelleNoris@gmail.com>")
    parties.contact("2", first_name="Michele", last_name="Noris", email="michelle.noris+x@gmail.com")
    parties.contact("3", first_name="Peter", last_name="Noris", email="michellenoris@gmail.com")

    parties.resolve()

    assert parties.profiles() == [["1", "2"], ["3"]]
    assert parties.rows("select rule, tier from identity.individual_links where record_key = 'crm:1'") == [
        ("email_and_name", "A")
    ]


def test_accounts_without_anything_in_common_stay_apart(parties: Parties) -> None:
    parties.account("a", name="ACME GmbH", tax_id="DE811907980", country="DE")
    parties.account("b", name="Acme", vat_id="DE 811 907 980")
    parties.account("c", name="ACME Nord GmbH", vat_id="DE811907980")
    parties.account("d", name="ACME GmbH")
    parties.resolve()
    print(parties.rows("from identity.account_links"), parties.rows("from identity.suggestions"))
    print(parties.rows("from identity.contact_points"), parties.rows("from identity.unified_accounts"))
