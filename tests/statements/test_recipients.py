"""Who is written to: contact roles by strength, addresses, copies, consent and suppression."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import phonenumbers
import pytest
from phonenumbers.phonemetadata import PhoneMetadata

from dunning_pipeline.delivery.permission.contact_points import is_postal
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.ledger.export import export_to_warehouse
from dunning_pipeline.ledger.schema import consents, suppressions
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.folder.project import Project, load_project
from dunning_pipeline.sql_models.runner import Renderer
from tests.scenarios.facts import ROOT, Facts

NOW = datetime(2026, 1, 10, 9, tzinfo=UTC)


class Office:
    """One account `acme` with contacts, and the model's answer about it."""

    def __init__(self, ws: Workspace, con: duckdb.DuckDBPyConnection, project: Project) -> None:
        self.ws, self.con, self.project, self.facts = ws, con, project, Facts()
        self.policy = "transactional"
        self.account()

    def account(self, **values: Any) -> None:
        self.facts.put("accounts", account_key="s:acme", account_id="acme", name="ACME", **values)

    def contact(self, name: str, role: str | None = None, **values: Any) -> None:
        values = {"email": f"{name}@acme.example", "account_key": "s:acme", "full_name": name.title()} | values
        self.facts.put("contacts", contact_key=f"s:{name}", contact_id=name, dunning_contact_role=role, **values)

    def relation(self, name: str, role: str | None, **values: Any) -> None:
        values = {"is_direct": True, "is_active": True} | values
        self.facts.put(
            "account_contact_relations",
            relation_key=f"s:r-{name}-{role}",
            account_key="s:acme",
            contact_key=f"s:{name}",
            dunning_contact_role=role,
            **values,
        )

    def legacy(self, name: str, role: str) -> None:
        self.facts.put(
            "account_contact_roles", role_key=f"s:l-{name}", account_key="s:acme", contact_key=f"s:{name}", role=role
        )

    def suppress(self, address: str, reason: str = "hard_bounce", channel: str = "email") -> None:
        with open_ledger(self.ws).begin() as ledger:
            ledger.execute(
                suppressions.insert().values(
                    suppression_id=address,
                    contact_point=address,
                    channel=channel,
                    reason=reason,
                    origin="test",
                    created_at=NOW,
                )
            )

    def consent(self, address: str, status: str, at: datetime = NOW, channel: str = "email") -> None:
        with open_ledger(self.ws).begin() as ledger:
            ledger.execute(
                consents.insert().values(
                    consent_id=f"{address}{status}{at}",
                    contact_point=address,
                    channel=channel,
                    subscription="dunning",
                    status=status,
                    consented_at=at,
                    origin="test",
                    recorded_at=at,
                )
            )

    def asked(self, on: str = "2026-01-10") -> dict[str, Any]:
        self.facts.write(self.con)
        self.con.execute("create schema if not exists policy; create schema if not exists dunning")
        self.con.execute(f"create or replace table policy.company as select '{self.policy}' as consent_for_dunning")
        export_to_warehouse(self.con, self.ws, tables={"consents", "suppressions"})
        selected = "recipient_roles recipient_refusals recipient_dialling recipient_points recipient_candidates "
        renderer = Renderer(self.project, run_date=date.fromisoformat(on))
        for name in (selected + "recipient_choices recipient_ccs account_recipients").split():
            self.con.execute(f"create or replace table dunning.{name} as {renderer.render(self.project.models[name])}")
        [row] = self.con.sql("from dunning.account_recipients").to_arrow_table().to_pylist()
        return row


@pytest.fixture(scope="module")
def project() -> Project:
    return load_project(ROOT / "dbt_like_sql")


@pytest.fixture
def office(workspace: Workspace, project: Project) -> Iterator[Office]:
    with duckdb.connect() as con:
        yield Office(workspace, con, project)


def test_the_roles_are_asked_in_order(office: Office) -> None:
    office.contact("anna", "Invoice Contact")
    assert office.asked()["email_to"] == ["anna@acme.example"]
    office.contact("berta", "Dunning Contact")
    assert office.asked()["email_to"] == ["berta@acme.example"]
    office.contact("clara", "Dunning Email Contact; Something Else")
    assert office.asked()["email_to"] == ["clara@acme.example"]


def test_without_roles_the_bill_to_contact_then_the_only_contact_is_asked(office: Office) -> None:
    office.contact("anna")
    assert office.asked()["email_to"] == ["anna@acme.example"]
    office.contact("berta")
    assert office.asked()["email_to"] == []
    office.facts.put(
        "invoices",
        invoice_key="s:1",
        invoice_id="1",
        invoice_number="1",
        account_key="s:acme",
        billing_contact_key="s:berta",
        status="posted",
        invoice_date=date(2026, 1, 1),
    )
    assert office.asked()["email_to"] == ["berta@acme.example"]


def test_a_legacy_role_beats_a_relation_and_a_relation_beats_the_contact(office: Office) -> None:
    office.contact("anna", "Dunning Contact")
    for name in ("berta", "clara", "dora"):
        office.contact(name)
    office.relation("berta", "dunning contact", is_direct=False)
    assert office.asked()["email_to"] == ["berta@acme.example"]
    office.relation("clara", "Dunning Contact")
    assert office.asked()["email_to"] == ["clara@acme.example"]
    office.legacy("dora", "Dunning Contact")
    assert office.asked()["email_to"] == ["dora@acme.example"]
    assert not office.asked()["has_conflict"]


def test_relation_and_contact_roles_complete_each_other(office: Office) -> None:
    office.contact("anna", "Dunning Email Contact", street="Weg 1", city="Bonn")
    office.contact("berta", street="Allee 2", city="Köln", country="DE")
    office.relation("berta", "Dunning Contact")
    row = office.asked()
    assert row["email_to"] == ["anna@acme.example"]
    assert json.loads(row["address"])["street"] == "Allee 2"


@pytest.mark.parametrize(
    "lapse",
    [{"is_active": False}, {"end_date": date(2026, 1, 9)}, {"start_date": date(2026, 1, 11)}],
)
def test_inactive_or_expired_relations_do_not_count_on_that_date(office: Office, lapse: dict[str, Any]) -> None:
    office.contact("anna")
    office.contact("berta", "Dunning Email Contact")
    office.relation("anna", "Dunning Email Contact", **lapse)
    assert office.asked()["email_to"] == ["berta@acme.example"]


def test_the_own_role_of_a_contact_who_left_the_account_does_not_count(office: Office) -> None:
    office.contact("anna", "Dunning Contact")
    office.contact("berta", "Invoice Contact")
    office.relation("anna", None, end_date=date(2025, 12, 31))
    assert office.asked()["email_to"] == ["berta@acme.example"]
    assert office.asked(on="2025-12-31")["email_to"] == ["anna@acme.example"]


def test_two_contacts_with_one_role_hold_the_statement(office: Office) -> None:
    office.contact("anna", "Dunning Contact")
    office.contact("berta", "Dunning Contact")
    row = office.asked()
    assert row["has_conflict"] and "dunning contact" in row["conflict_text"]
    assert row["email_to"] == []
    office.legacy("berta", "Dunning Contact")  # a stronger source settles it
    assert office.asked()["email_to"] == ["berta@acme.example"]
    assert not office.asked()["has_conflict"]


def test_the_list_of_copies_is_cleaned_and_never_repeats_the_recipient(office: Office) -> None:
    office.contact("anna", "Dunning Contact", email="Anna@ACME.example")
    office.contact("berta", "Dunning Email CC Contact")
    office.contact("clara", "Dunning Email BCC Contact")
    office.account(dunning_ccs="a@x.com, b@x.com;; B@X.com ,bad@, anna@acme.example")
    row = office.asked()
    assert row["email_to"] == ["anna@acme.example"]
    assert row["email_cc_account"] == ["a@x.com", "b@x.com"]
    assert row["email_cc_role"] == ["berta@acme.example"]
    assert row["email_bcc"] == ["clara@acme.example"]
    refused = {c["written"]: c["refusal"] for c in json.loads(row["trace"])["copies"] if c["refusal"]}
    assert refused == {"bad@": "invalid_address", "anna@acme.example": "same_as_to"}


def test_a_bounced_address_gives_way_to_the_next_recipient(office: Office) -> None:
    office.contact("anna", "Dunning Contact")
    office.contact("berta", "Invoice Contact")
    office.suppress("anna@acme.example")
    assert office.asked()["email_to"] == ["berta@acme.example"]
    office.suppress("berta@acme.example")
    row = office.asked()
    assert row["email_to"] == [] and row["email_blocked_reason"] == "suppressed: hard_bounce"


def test_who_opts_out_is_not_replaced_by_a_colleague(office: Office) -> None:
    office.contact("anna", "Dunning Contact", email="An.Na+x@gmail.com")
    office.contact("berta", "Invoice Contact")
    office.consent("anna@gmail.com", "opt_in", datetime(2026, 1, 1, tzinfo=UTC))
    assert office.asked()["email_to"] == ["an.na+x@gmail.com"]
    office.consent("anna@gmail.com", "opt_out", datetime(2026, 1, 2, tzinfo=UTC))
    row = office.asked()
    assert row["email_to"] == [] and row["email_blocked_reason"] == "opted_out"


def test_required_consent_needs_a_recorded_opt_in(office: Office) -> None:
    office.contact("anna", "Dunning Contact", mobile_phone="0049 (171) 123-4567")
    office.policy = "required"
    row = office.asked()
    assert row["email_to"] == [] and row["email_blocked_reason"] == "no_opt_in" and row["sms_to"] is None
    office.consent("anna@acme.example", "opt_in")
    office.consent("+491711234567", "opt_in", channel="sms")
    row = office.asked()
    assert row["email_to"] == ["anna@acme.example"] and row["sms_to"] == "+491711234567"


@pytest.mark.parametrize(
    ("country", "written", "sent_to"),
    [
        ("DE", "0171 / 123-4567", "+491711234567"),
        ("de", "+49 (0)171 1234567", "+491711234567"),
        ("US", "(650) 277-9500", "+16502779500"),
        ("US", "1 650 277 9500", "+16502779500"),
        ("IT", "347 123 4567", "+393471234567"),
        ("HU", "06 20 123 4567", "+36201234567"),
        ("DE", "0041 79 123 45 67", "+41791234567"),
        (None, "0171 1234567", None),
        ("DE", "0171 1234567 ext. 5", None),
        ("DE", "12345", None),
    ],
)
def test_a_mobile_number_in_national_format_is_that_of_its_country(
    office: Office, country: str | None, written: str, sent_to: str | None
) -> None:
    office.account(country=country)
    office.contact("anna", "Dunning Contact", mobile_phone=written)
    assert office.asked()["sms_to"] == sent_to
    office.contact("anna", "Dunning Contact", mobile_phone=written, country="GB")  # the contact's own country wins
    assert sent_to is None or written.startswith(("+", "00")) or office.asked()["sms_to"].startswith("+44")


def test_calling_codes_are_those_of_libphonenumber(project: Project) -> None:
    written = {
        country: (code, trunk)
        for country, code, trunk in duckdb.sql(project.models["recipient_dialling"].text).fetchall()
    }
    assert written == {
        country: (
            str(phonenumbers.country_code_for_region(country)),
            getattr(PhoneMetadata.metadata_for_region(country), "national_prefix", None) or "",
        )
        for country in phonenumbers.SUPPORTED_REGIONS
    }


def test_the_address_is_that_of_the_role_then_of_the_account(office: Office) -> None:
    office.account(street="Hauptstr. 1", city="Berlin", country="DE", language="de")
    office.contact("anna", "Dunning Contact")  # has no address of her own
    row = office.asked()
    assert json.loads(row["address"])["street"] == "Hauptstr. 1" and row["language"] == "de"
    office.contact("berta", "Invoice Contact", city="Ulm")  # a city is no address
    assert json.loads(office.asked()["address"])["street"] == "Hauptstr. 1"
    office.contact("berta", "Invoice Contact", street="Nebenstr. 2", city="Ulm")
    address = json.loads(office.asked()["address"])
    assert (address["street"], address["city"], address["contact"]) == ("Nebenstr. 2", "Ulm", "Berta")


@pytest.mark.parametrize(
    ("known", "arrives"),
    [
        ({"street": "Hauptstr. 1", "postal_code": "10115", "city": "Berlin"}, True),
        ({"street": "220 Laurier Ave W, Ottawa ON K1P 5Z9"}, True),
        ({"postal_code": "11513", "city": "Berlin"}, True),  # who gets much mail has a postal code of its own
        ({"city": "Berlin"}, False),
        ({"postal_code": "10115"}, False),
        ({"country": "DE"}, False),
    ],
)
def test_a_letter_needs_a_street_or_a_postal_code_with_its_city(
    office: Office, known: dict[str, str], arrives: bool
) -> None:
    office.account(**known)
    assert office.asked()["has_address"] == arrives == is_postal(known)


def test_every_account_has_a_row_even_without_anybody(office: Office) -> None:
    row = office.asked()
    assert row["email_to"] == [] and row["sms_to"] is None and not row["has_conflict"]
    assert row["email_blocked_reason"] is None and not row["has_address"]
