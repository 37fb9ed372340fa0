"""What sources really send: null-like words, swapped and misplaced names, giant and broken text, future dates."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from datetime import date, datetime

from tests.identity.conftest import Parties


def test_null_like_values_link_nobody(parties: Parties) -> None:
    for key, word in enumerate(["n/a", "none", "test@test.com", "-", "null"]):
        parties.contact(
            str(key), first_name="Jane", last_name="Doe", email=word, phone="000-000", mobile_phone="0000000000"
        )

    parties.resolve()

    assert len(parties.profiles()) == 5
    reasons = {row[0] for row in parties.rows("select reason from identity.skipped_values")}
    assert "null_like" in reasons


def test_null_like_company_numbers_link_nobody(parties: Parties) -> None:
    for key, number in enumerate(["000000000", "123456789", "n/a", "XXXXXXXXX", "unknown"]):
        parties.account(f"a{key}", name="Acme GmbH", tax_id=number, vat_id=number, country="DE")
        parties.account(f"b{key}", name="Acme GmbH", tax_id=number, vat_id=number, country="DE")

    parties.resolve()

    assert len(parties.profiles("account")) == 10


def test_a_company_in_the_name_field_is_no_person(parties: Parties) -> None:
    parties.contact("1", first_name="ACME", last_name="GmbH", email="acme@acme.com")
    parties.contact("2", first_name="ACME", last_name="GmbH", email="acme@acme.com")

    parties.resolve()

    assert parties.profiles() == [["1"], ["2"]]
    assert ("name", "not_a_person") in parties.rows("select kind, reason from identity.skipped_values")


def test_swapped_first_and_last_name(parties: Parties) -> None:
    parties.contact("1", first_name="Jane", last_name="Doering", email="jane@doering.org")
    parties.contact("2", first_name="Doering", last_name="Jane", email="jane@doering.org")

    parties.resolve()

    assert parties.profiles() == [["1", "2"]]


def test_a_name_of_ten_thousand_characters_and_broken_text(parties: Parties) -> None:
    parties.contact(
        "1", first_name="J" * 10_000, last_name="Doe", email="j@doe.org", street="\x00\x1f" * 50, city="\ufffd"
    )
    parties.contact(
        "2", first_name="J" * 10_000, last_name="Doe", email="j@doe.org", phone="\u202e\u200b+49\x1f 40 5550120"
    )
    parties.account("a", name="A" * 10_000, vat_id="\x1f\x1f")
    parties.account("b", name="\ufffd\ufffd \x07", vat_id="💣")

    parties.resolve()

    assert parties.profiles() == [["1"], ["2"]]
    assert parties.profiles("account") == [["a"], ["b"]]
    assert ("name", "too_long") in parties.rows("select kind, reason from identity.skipped_values")


def test_a_future_birth_is_not_believed_and_a_future_change_never_wins(parties: Parties) -> None:
    parties.contact("1", first_name="Jane", last_name="Doe", email="jane@doe.org", birth_date=date(2090, 1, 1), title="from the future",
                    modified_at=datetime(2099, 1, 1))  # fmt: skip
    parties.contact("2", first_name="Jane", last_name="Doe", email="jane@doe.org", birth_date=date(1980, 1, 1), title="CFO",
                    modified_at=datetime(2025, 1, 1))  # fmt: skip

    parties.resolve()

    assert parties.profiles() == [["1", "2"]]
    assert parties.rows("select title from identity.unified_individuals") == [("CFO",)]


def test_no_records_at_all(parties: Parties) -> None:
    report = parties.resolve()

    assert report.counts["account"]["profiles"] == report.counts["individual"]["profiles"] == 0
    assert parties.rows("select count(*) from identity.contact_points") == [(0,)]


def test_a_source_that_changes_all_its_ids_keeps_its_profiles(parties: Parties) -> None:
    parties.contact("old:1", first_name="Jane", last_name="Doe", email="jane@doe.org")
    parties.contact("old:2", first_name="Pete", last_name="Moss", email="pete@moss.org")
    parties.contact("crm:9", first_name="Jane", last_name="Doe", email="jane@doe.org")
    parties.resolve()
    before = parties.ids()

    parties.con.execute(
        "update data_model.contacts set contact_key = 'old:X' || contact_id, contact_id = 'X' || contact_id where source = 'old'"
    )
    parties.resolve()
    after = parties.ids()

    assert parties.profiles() == [["9", "old:X1"], ["old:X2"]]
    assert after["9"] == after["old:X1"] == before["9"]
    assert after["old:X2"] == before["old:2"]  # known again by its content
    assert parties.rows("select count(*) from identity.id_events") == [(0,)]


def test_companies_are_known_again_where_their_account_numbers_change_with_the_ids(parties: Parties) -> None:
    parties.account("old:1", name="Acme GmbH", account_number="4711", city="Berlin", street="Kai 1")
    parties.account("old:2", name="Acme GmbH", account_number="4712", city="Berlin", street="Kai 2")
    parties.resolve()
    before = parties.ids("account")

    parties.con.execute(
        "update data_model.accounts set account_key = 'old:X' || account_id, account_id = 'X' || account_id,"
        " account_number = 'N' || account_number, city = 'Berlin-Mitte'"
    )
    parties.resolve()

    assert parties.ids("account") == {"old:X1": before["old:1"], "old:X2": before["old:2"]}


def test_rekeyed_and_changed_records_get_new_ids_and_say_so(parties: Parties) -> None:
    parties.contact("old:1", first_name="Jane", last_name="Doe", email="jane@doe.org")
    parties.resolve()
    before = parties.ids()["old:1"]
    parties.con.execute("update data_model.contacts set contact_key = 'old:Y', contact_id = 'Y', email = 'new@doe.org'")

    parties.resolve()

    assert parties.ids()["old:Y"] != before
    assert sorted(row[0] for row in parties.rows("select event from identity.id_events")) == ["new", "retire"]
