"""The merge document: exact amounts, own account only, the same bytes for the same rows."""

import json
from decimal import Decimal

import pytest

from dunning_pipeline.errors import Refused
from dunning_pipeline.ledger.types import canonical_json
from dunning_pipeline.letters.document import statement_document
from dunning_pipeline.letters.fields import AT_SENDING, IN_DIGESTS, SHAPE, field_paths, nearest
from dunning_pipeline.settings.company import LegalEntity

GRAPH = {
    "account_key": "salesforce:001A",
    "account": {"account_key": "salesforce:001A", "account_id": "001A", "name": "ACME GmbH", "account_number": "10042"},
    "bill_group": {"name": "Supply contract"},
    "contacts": [
        {"account_key": "salesforce:001A", "full_name": "Maria Weber", "email": "MARIA.weber@acme.example"},
        {"account_key": "salesforce:999Z", "full_name": "Eve", "email": "maria.weber@acme.example"},
    ],
    "invoices": [{"invoice_key": "salesforce:A", "account_key": "salesforce:001A", "reference": "PO 4711"}],
}  # fmt: skip


def document(workspace, reference, graph=None, **changes):
    statement, details = reference
    return statement_document(
        statement={**statement, **changes}, details=details, graph=graph, company=workspace.company
    )


def test_the_reference_statement_in_words(workspace, reference):
    made = document(workspace, reference, GRAPH)
    assert made["totals"] == {
        "principal": "6500.00", "credits": "-250.00", "interest": "257.96", "fees": "15.00", "charges": "272.96",
        "please_pay": "6522.96", "item_count": 2, "days_overdue": 108,
    }  # fmt: skip
    assert [item["open_amount"] for item in made["items"]] == ["6000.00", "500.00"]
    assert made["items"][0]["paid_amount"] == "4000.00"
    assert made["items"][0]["reference"] == "PO 4711"
    assert made["statement"]["deadline"] == "2025-09-07"
    assert made["contact"]["full_name"] == "Maria Weber"
    assert made["locale"] == "de_DE"


def test_lines_add_up_to_what_is_to_pay(workspace, reference):
    made = document(workspace, reference)
    lines = [item["open_amount"] for item in made["items"]]
    lines += [row["amount"] for row in [*made["charges"], *made["credits"]]]
    assert sum(map(Decimal, lines)) == Decimal(made["totals"]["please_pay"])


def test_it_is_json_and_the_same_for_the_same_rows_in_any_order(workspace, reference):
    statement, details = reference
    made = document(workspace, reference, GRAPH)
    assert json.loads(canonical_json(made)) == made
    turned = document(workspace, (statement, details[::-1]), GRAPH)
    assert canonical_json(turned) == canonical_json(made)


def test_a_graph_of_another_account_is_refused(workspace, reference):
    other = {**GRAPH, "account_key": "salesforce:999Z"}
    with pytest.raises(Refused, match="another billing account"):
        document(workspace, reference, other)


def test_rows_of_a_sibling_account_never_reach_the_document(workspace, reference):
    foreign = {"invoice_key": "salesforce:A", "account_key": "salesforce:999Z", "reference": "SECRET"}
    made = document(workspace, reference, {**GRAPH, "invoices": [foreign]})
    text = canonical_json(made)
    assert "SECRET" not in text and "Eve" not in text


def test_before_the_due_date_there_is_no_new_deadline(workspace, reference):
    statement, details = reference
    early = [{**details[0], "days_overdue": -5}]
    made = statement_document(statement=statement, details=early, graph=None, company=workspace.company)
    assert made["statement"]["deadline"] is None


def test_yen_have_no_decimals_and_dinars_three(workspace, reference):
    assert document(workspace, reference, currency="JPY")["totals"]["please_pay"] == "652296"
    assert document(workspace, reference, currency="KWD")["totals"]["please_pay"] == "652.296"


def test_a_legal_entity_is_the_creditor(workspace, reference):
    entity = LegalEntity.model_validate(
        {
            "name": "Northwind Schweiz AG",
            "address": {"street": "Seeweg 1", "city": "Zug", "postal_code": "6300", "country": "CH"},
            "bank": {"iban": "CH93 0076 2011 6238 5295 7"},
        }
    )
    company = workspace.company.model_copy(update={"legal_entities": {"CH": entity}})
    statement, details = reference
    made = statement_document(
        statement={**statement, "legal_entity": "CH"}, details=details, graph=None, company=company
    )
    assert made["company"]["name"] == made["payment"]["holder"] == "Northwind Schweiz AG"
    assert made["payment"]["iban"] == "CH9300762011623852957"
    assert "Zug" in made["company"]["postal_line"] and "Hamburg" not in canonical_json(made)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("https://pay.example/{invoice_number}", None),  # two invoices: a page of one must not stand for both
        ("https://pay.example/s/{statement_number}", "https://pay.example/s/D-2025-000123"),
        ("https://pay.example/", "https://pay.example/"),
        (None, None),
    ],
)
def test_payment_link(workspace, reference, pattern, expected):
    company = workspace.company.model_copy(update={"payment_page": pattern})
    statement, details = reference
    made = statement_document(statement=statement, details=details, graph=None, company=company)
    assert made["payment"]["link"] == expected


def test_names_lose_control_characters_and_overrides(workspace, reference):
    made = document(workspace, reference, account_name="Evil\r\nBcc: x\u202e\x00Ltd")
    assert made["account"]["name"] == "Evil\nBcc: xLtd"


def same_fields(shape, value, path=""):
    if isinstance(shape, dict):
        assert set(shape) == set(value), path
        for name, inner in shape.items():
            same_fields(inner, value[name], f"{path}.{name}")
    elif isinstance(shape, list) and shape:
        for row in value:
            same_fields(shape[0], row, f"{path}[]")


def test_every_field_is_declared_and_every_declared_field_is_there(workspace, reference):
    alone = {name: shape for name, shape in SHAPE.items() if name not in IN_DIGESTS}
    same_fields(alone, {**document(workspace, reference, GRAPH), **AT_SENDING})
    assert "items[].open_amount" in field_paths()
    assert nearest("statement.numbr") == "statement.number"
