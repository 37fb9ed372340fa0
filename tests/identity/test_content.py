"""Facts are kept by content: a second day reads them, and a changed record gets those of its new content."""
# ruff: noqa: E501  (rows of data stay on one line)

from typing import Any

import pytest

from tests.identity.conftest import Parties

CONTACT = {
    "first_name": "Anna", "last_name": "Berg", "full_name": "Dr. Anna Berg", "email": "anna@berg.example", "phone": "040 555 01 20",
    "mobile_phone": "+49 170 5550120", "street": "Am Markt 1", "city": "Hamburg", "postal_code": "20095", "state": "HH",
    "country": "DE", "birth_date": "1980-02-03", "account_key": "crm:1",
}  # fmt: skip
CHANGES = {
    "first_name": "Jens", "last_name": "Feld", "email": "a.berg@berg.example", "phone": "040 555 01 21",
    "mobile_phone": "+49 170 5550121", "street": "Am Markt 2", "city": "Bremen", "postal_code": "28195", "country": "AT",
    "birth_date": "1981-02-03", "account_key": "crm:2",
}  # fmt: skip


def _facts(parties: Parties) -> list[tuple[Any, ...]]:
    parties.resolve()
    return parties.rows("select * from identity.individual_facts order by record_id")


@pytest.fixture(scope="module")
def known() -> Parties:
    parties = Parties()
    parties.add("contacts", [{"key": "1", **CONTACT}, {"key": "2", **CONTACT, "first_name": None, "full_name": None}])
    parties.resolve()
    return parties


@pytest.mark.slow
@pytest.mark.parametrize("column", CHANGES)
def test_a_changed_column_gives_the_facts_of_a_run_from_nothing(known: Parties, column: str) -> None:
    known.con.execute(f"update data_model.contacts set {column} = ? where contact_id = '1'", [CHANGES[column]])
    warm = _facts(known)
    known.con.execute("drop schema identity cascade; drop schema identity_cache cascade")
    assert warm == _facts(known)
    known.con.execute(f"update data_model.contacts set {column} = ? where contact_id = '1'", [CONTACT[column]])
    changed_back = _facts(known)
    assert changed_back != warm


@pytest.mark.slow
def test_contents_that_no_record_has_any_more_are_forgotten(parties: Parties) -> None:
    parties.contact("1", **CONTACT)
    for number in range(8):
        parties.con.execute("update data_model.contacts set email = ?", [f"anna{number}@berg.example"])
        parties.resolve()
    kept = parties.rows("select count(*) from identity_cache.individual_forms")[0][0]
    assert kept <= 3


def test_forms_of_another_version_are_made_again(parties: Parties) -> None:
    parties.contact("1", **CONTACT)
    parties.account("1", name="Berg GmbH")
    first = _facts(parties)
    parties.con.execute("update identity_cache.version set version = 'an older one'")
    for kind, name in (("individual", "given"), ("account", "core")):
        parties.con.execute(f"update identity_cache.{kind}_forms set name_id = 1, email_value = 'old', {name} = 'old'")
    assert _facts(parties) == first
    assert parties.rows("select core from identity.account_facts") == [("berg",)]
