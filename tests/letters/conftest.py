"""What the letters' tests share: a reference statement (domain §7.3) as ledger rows, and small template workspaces."""

from datetime import date
from pathlib import Path

import pytest

from dunning_pipeline.letters.catalogue import Catalogue
from dunning_pipeline.letters.compiling import compile_template
from dunning_pipeline.letters.samples import sample_document
from dunning_pipeline.settings.workspace import Workspace
from tests.conftest import ROOT


@pytest.fixture
def catalogue(workspace) -> Catalogue:
    return Catalogue(workspace)


@pytest.fixture(scope="session")
def shipped() -> Catalogue:
    """The repository's own templates, for tests that change nothing: compiled once in a session."""
    return Catalogue(Workspace(ROOT))


@pytest.fixture
def version(shipped):
    """version("friendly_reminder", "email", "en") compiles a shipped template."""
    return lambda name, channel, language: compile_template(shipped.find(name, channel, language))


@pytest.fixture
def sample(shipped):
    """sample("friendly_reminder", "en") is a shipped sample document, fresh each time."""
    return lambda name, language: sample_document(shipped.root, name, language)


@pytest.fixture
def author(workspace):
    """author(name, mjml, subject=…, text=…) writes an e-mail template and returns its source."""

    def write(name: str, mjml: str, *, subject: str = "Hello", text: str | None = None, language: str = "en"):
        folder = workspace.templates / "email" / language
        (folder / f"{name}.mjml").write_text(mjml, encoding="utf-8")
        (folder / f"{name}.subject.j2").write_text(subject, encoding="utf-8")
        if text is not None:
            (folder / f"{name}.txt.j2").write_text(text, encoding="utf-8")
        return Catalogue(workspace).find(name, "email", language)

    return write


def page(content: str) -> str:
    """A whole MJML file with `content` in its one column."""
    return (
        '<mjml lang="en"><mj-head><mj-preview>p</mj-preview></mj-head><mj-body><mj-section><mj-column>\n'
        f"{content}\n</mj-column></mj-section></mj-body></mjml>"
    )


@pytest.fixture
def reference():
    """Statement and details of the reference statement, as the ledger holds them."""
    statement = {
        "statement_id": "9f1c",
        "number": "D-2025-000123",
        "kind": "dunning",
        "status": "closed",
        "run_id": "r1",
        "dunning_date": date(2025, 8, 31),
        "account_key": "salesforce:001A",
        "account_id": "001A",
        "account_name": "ACME GmbH",
        "bill_group_key": "salesforce:BG1",
        "bill_group_id": "BG1",
        "legal_entity": None,
        "process": "standard",
        "level": 3,
        "level_name": "Final reminder",
        "currency": "EUR",
        "due_date": date(2025, 9, 7),
        "language": "de",
        "time_zone": "Europe/Berlin",
        "template": "final_reminder",
        "recipients": {"to": ["maria.weber@acme.example"]},
        "address": {"name": "ACME GmbH", "street": "Industriestraße 7", "postal_code": "80331", "city": "München"},
        "texts": {},
        "principal_minor": 650000,
        "credits_minor": -25000,
        "interest_minor": 25796,
        "fees_minor": 1500,
        "please_pay_minor": 652296,
    }

    def invoice(position, number, due, days, original, open_minor, level):
        return {
            "position": position,
            "type": "invoice",
            "invoice_key": f"salesforce:{number}",
            "invoice_id": number,
            "invoice_number": number,
            "instalment": 1,
            "level": level,
            "due_date": due,
            "days_overdue": days,
            "original_minor": original,
            "open_minor": open_minor,
            "amount_minor": open_minor,
            "advances": True,
        }

    details = [
        invoice(1, "A", date(2025, 5, 15), 108, 1000000, 600000, 3),
        invoice(2, "B", date(2025, 8, 20), 11, 50000, 50000, 1),
        {"position": 3, "type": "credit", "amount_minor": -25000, "reference": "CM1"},
        {"position": 4, "type": "carried_interest", "invoice_number": "A", "amount_minor": 20731},
        {"position": 5, "type": "interest", "invoice_number": "A", "amount_minor": 5065},
        {"position": 6, "type": "carried_fee", "level": 2, "amount_minor": 500},
        {"position": 7, "type": "fee", "level": 3, "amount_minor": 1000},
    ]
    return statement, details


@pytest.fixture
def golden() -> Path:
    return Path(__file__).parents[1] / "golden"
