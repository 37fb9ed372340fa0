"""Stories about people: who is one person, who is not, and why."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from datetime import date

from tests.identity.conftest import Parties


def test_one_mailbox_and_a_near_name_is_one_person(parties: Parties) -> None:
    parties.contact("1", first_name="Michelle", last_name="Noris", email="<MichelleNoris@gmail.com>")
    parties.contact("2", first_name="Michele", last_name="Noris", email="michelle.noris+x@gmail.com")
    parties.contact("3", first_name="Peter", last_name="Noris", email="michellenoris@gmail.com")

    parties.resolve()

    assert parties.profiles() == [["1", "2"], ["3"]]
    rule = parties.rows("select rule, tier, shared_values from identity.evidence")
    assert rule == [("email_and_name", "A", "michellenoris@gmail.com")]


def test_two_people_who_share_everything_but_the_name(parties: Parties) -> None:
    shared = {"email": "home@doe.org", "phone": "+49 40 5550120", "mobile_phone": "+49 151 23456789", "street": "Hafenstr. 1",
              "postal_code": "20457", "city": "Hamburg", "birth_date": date(1980, 1, 1), "account_key": "crm:a"}  # fmt: skip
    parties.account("a", name="Doe")
    parties.contact("1", first_name="Jane", last_name="Doe", **shared)
    parties.contact("2", first_name="John", last_name="Doe", **shared)

    parties.resolve()

    assert parties.profiles() == [["1"], ["2"]]


def test_a_daughter_is_no_typo_of_her_mother(parties: Parties) -> None:
    mobile = "+49 151 23456789"
    for key, name in {"1": "Daniel", "2": "Daniela", "3": "Jan", "4": "Jana", "5": "Mario", "6": "Maria"}.items():
        parties.contact(key, first_name=name, last_name="Vogt", mobile_phone=mobile)

    parties.resolve()

    assert parties.profiles() == [["1"], ["2"], ["3"], ["4"], ["5"], ["6"]]


def test_father_and_son_on_one_fixed_line_wait_for_a_person(parties: Parties) -> None:
    parties.contact("1", first_name="John", last_name="Doe", phone="+49 40 5550120", country="DE")
    parties.contact("2", first_name="John", last_name="Doe", phone="+49 40 5550120", country="DE")

    parties.resolve()

    assert parties.profiles() == [["1"], ["2"]]
    assert parties.rows("select rule, tier, left_record, right_record from identity.suggestions") == [
        ("phone_and_name", "B", "crm:1", "crm:2")
    ]


def test_junior_is_not_senior_and_births_keep_namesakes_apart(parties: Parties) -> None:
    parties.contact("1", first_name="John", last_name="Doe Jr.", mobile_phone="+4915123456789")
    parties.contact("2", first_name="John", last_name="Doe", mobile_phone="+4915123456789")
    parties.contact("3", first_name="Ann", last_name="Poe", email="ann@poe.org", birth_date=date(1950, 1, 1))
    parties.contact("4", first_name="Ann", last_name="Poe", email="ann@poe.org", birth_date=date(1980, 1, 1))

    parties.resolve()

    assert parties.profiles() == [["1"], ["2"], ["3"], ["4"]]


def test_a_record_that_fits_two_births_joins_neither(parties: Parties) -> None:
    for key, birth in {"1": date(1950, 1, 1), "2": None, "3": date(1980, 1, 1)}.items():
        parties.contact(key, first_name="Ann", last_name="Poe", email="ann@poe.org", birth_date=birth)

    parties.resolve()

    assert parties.profiles() == [["1"], ["2"], ["3"]]
    assert {row[0] for row in parties.rows("select reason from identity.suggestions")} == {"constraint"}


def test_an_initial_joins_only_where_one_person_fits(parties: Parties) -> None:
    parties.contact("1", first_name="Jane", last_name="Doe", email="doe@acme.com")
    parties.contact("2", first_name="J.", last_name="Doe", email="doe@acme.com")
    parties.contact("3", first_name="Anna", last_name="Poe", email="poe@acme.com")
    parties.contact("4", first_name="Alex", last_name="Poe", email="poe@acme.com")
    parties.contact("5", first_name="A.", last_name="Poe", email="poe@acme.com")

    parties.resolve()

    assert parties.profiles() == [["1", "2"], ["3"], ["4"], ["5"]]


def test_short_forms_typos_swapped_and_married_names(parties: Parties) -> None:
    parties.contact("1", first_name="William", last_name="Shaw", email="william@shaw.org")
    parties.contact("2", first_name="Bill", last_name="Shaw", email="william@shaw.org")
    parties.contact("3", first_name="Shaw", last_name="William", email="william@shaw.org")
    parties.contact("4", first_name="Wiliam", last_name="Shaw", email="william@shaw.org")

    parties.resolve()

    assert parties.profiles() == [["1", "2", "3", "4"]]


def test_a_role_mailbox_of_forty_contacts_and_nine_accounts_merges_nobody(parties: Parties) -> None:
    for n in range(9):
        parties.account(f"a{n}", name=f"Branch {n}", email="ar@holding.com", phone="+49 40 5550120")
    for n in range(40):
        parties.contact(f"{n:02}", first_name="Alex" if n % 2 else "Sam", last_name=f"Person{chr(65 + n % 20)}", email="ar@holding.com",
                        phone="+49 40 5550120", account_key=f"crm:a{n % 9}")  # fmt: skip

    parties.resolve()

    assert parties.profiles("account") == [[f"a{n}"] for n in range(9)]
    skipped = parties.rows(
        "select reason, records from identity.skipped_values where value = 'ar@holding.com' and party_kind = 'individual'"
    )
    assert skipped == [("role_mailbox", 40)]
    points = parties.rows(
        "select count(*), bool_and(is_role_mailbox) from identity.contact_points where kind = 'email'"
    )
    assert points == [(49, True)]


def test_a_number_of_a_switchboard_is_skipped_and_says_so(parties: Parties) -> None:
    for n in range(20):
        parties.contact(f"{n:02}", first_name="Kim", last_name=f"Person{chr(97 + n)}", mobile_phone="+49 151 23456789")
    parties.contact("twin", first_name="Kim", last_name="Persona", mobile_phone="+49 151 23456789")

    parties.resolve()

    assert max(len(profile) for profile in parties.profiles()) == 1
    assert ("mobile", "shared", 20) in parties.rows("select kind, reason, names from identity.skipped_values")


def test_a_contact_and_its_privacy_individual_are_one(parties: Parties) -> None:
    parties.individual("i1", first_name="Jane", last_name="Doe")
    parties.contact("c1", first_name="Jane", last_name="Doe-Smith", individual_key="crm:i1", email="jane@doe.org")
    parties.contact("c2", first_name="Pete", last_name="Moss", individual_key="crm:i1")
    parties.con.execute(
        "insert into data_model.individuals (individual_key, source, individual_id) values ('crm:c2', 'crm', 'c2')"
    )

    parties.resolve()

    assert parties.profiles() == [["c1", "i1"], ["c2"], ["individual/crm:c2"]]


def test_contact_points_are_all_kept(parties: Parties) -> None:
    parties.account("a", name="Acme", country="DE")
    parties.contact(
        "1", first_name="Jane", last_name="Doe", email="jane@doe.org", phone="040 5550120", account_key="crm:a"
    )
    parties.contact(
        "2", first_name="Jane", last_name="Doe", email="JANE@doe.org ", mobile_phone="n/a", account_key="crm:a"
    )

    parties.resolve()

    rows = parties.rows(
        "select record_key, kind, value_normalised, value_as_written, unified_account_id is not null, problem"
        " from identity.contact_points order by contact_point_id"
    )
    assert rows == [
        ("crm:1", "email", "jane@doe.org", "jane@doe.org", True, None),
        ("crm:1", "phone", "+49405550120", "040 5550120", True, None),
        ("crm:2", "email", "jane@doe.org", "JANE@doe.org ", True, None),
        ("crm:2", "phone", None, "n/a", True, "null_like"),
    ]


def test_names_alone_only_suggest(parties: Parties) -> None:
    parties.contact("1", first_name="Jane", last_name="Doe", postal_code="20457")
    parties.contact("2", first_name="Jane", last_name="Doe", postal_code="20457")

    parties.resolve()

    assert parties.profiles() == [["1"], ["2"]]
    assert parties.rows("select rule, tier from identity.suggestions") == [("postal_code_and_same_name", "C")]
