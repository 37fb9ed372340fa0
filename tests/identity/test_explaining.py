"""Every link can be explained: by rule, by values, and as a path between any two records of a profile."""

import pytest

from dunning_pipeline.errors import NotThere
from dunning_pipeline.identity.explaining import are_apart, differences, explanation, find_profile, profile
from tests.identity.conftest import Parties


@pytest.fixture
def chain(parties: Parties) -> Parties:
    parties.contact("1", first_name="Jane", last_name="Doe", email="jane@doe.org")
    parties.contact("2", first_name="Jane", last_name="Doe", email="jane@doe.org", mobile_phone="+49 151 55512340")
    parties.contact("3", first_name="Janne", last_name="Doe", mobile_phone="0151 55512340", country="DE")
    parties.resolve()
    return parties


def test_the_path_between_two_records_names_rules_and_values(chain: Parties) -> None:
    steps = explanation(chain.con, "crm:1", "3")

    assert [(s["from"], s["to"], s["rule"], s["shared_values"]) for s in steps] == [
        ("crm:1", "crm:2", "email_and_name", "jane@doe.org"),
        ("crm:2", "crm:3", "mobile_and_name", "+4915155512340"),
    ]
    assert steps[0]["words"] == "same e-mail address (jane@doe.org), and the names are the same"
    assert "nearly the same" in steps[1]["words"]


def test_the_tree_reaches_every_record_once(chain: Parties) -> None:
    unified_id = chain.ids()["1"]
    assert sorted(step["to"] for step in explanation(chain.con, unified_id)) == ["crm:2", "crm:3"]


def test_a_profile_shows_fields_records_and_contact_points(chain: Parties) -> None:
    shown = profile(chain.con, "2")
    assert shown["kind"] == "individual" and shown["record_count"] == 3
    assert [row["record_key"] for row in shown["records"]] == ["crm:1", "crm:2", "crm:3"]
    assert {row["value_normalised"] for row in shown["contact_points"]} == {"jane@doe.org", "+4915155512340"}


def test_unknown_and_unrelated_records(chain: Parties) -> None:
    with pytest.raises(NotThere, match="no profile"):
        find_profile(chain.con, "nobody")
    with pytest.raises(NotThere, match="is not in the profile"):
        explanation(chain.con, "1", "99")


def test_two_profiles_are_told_apart_by_decisions_rules_and_fields(parties: Parties) -> None:
    parties.contact("7", first_name="Jane", last_name="Doe", postal_code="20457", city="Hamburg")
    parties.contact("8", first_name="Jane", last_name="Doe", postal_code="20457", city="Altona")
    parties.contact("9", first_name="Pete", last_name="Moss")
    parties.resolve()
    decided = {
        "kind": "individual",
        "verdict": "cannot_link",
        "left_record": "crm:7",
        "right_record": "crm:8",
        "decision_id": "d1",
    }
    other = {**decided, "right_record": "crm:9", "decision_id": "d2"}

    assert are_apart(parties.con, "7", "8") and not are_apart(parties.con, "7", "crm:7")
    said = {row["what"]: row["words"] for row in differences(parties.con, "7", "8", [decided, other])}
    assert said["decision"] == "a person decided that they are different: d1"
    assert "its tier only suggests" in said["rule postal_code_and_same_name"]
    assert (said["city"], said["last_name"]) == ("different", "the same")
    assert differences(parties.con, "7", "9")[0]["words"] == "no rule finds enough in common"
    with pytest.raises(NotThere, match="no profile and no source record"):
        differences(parties.con, "7", "nobody")
