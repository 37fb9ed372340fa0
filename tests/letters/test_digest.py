"""A digest's document and its shipped words: several accounts of one contact point, no currency added to another."""

from datetime import date
from decimal import Decimal

import pytest

from dunning_pipeline.letters.catalogue import Catalogue
from dunning_pipeline.letters.compiling import compile_template
from dunning_pipeline.letters.digest import digest_document
from dunning_pipeline.letters.fields import AT_SENDING, SHAPE
from dunning_pipeline.letters.rendering import render_email, render_sms
from tests.letters.test_document import same_fields


def item(account, number, open_amount, currency="EUR", days=5, **more):
    key = f"s:{number}"
    return {
        "account_key": account, "invoice_key": key, "invoice_id": number, "invoice_number": number, "instalment": 1,
        "effective_due_date": date(2025, 8, 20), "days_overdue": days, "currency": currency,
        "open_amount": Decimal(open_amount), **more,
    }  # fmt: skip


def owner(key, name):
    return {"account_key": key, "account_id": key[2:], "account_number": None, "account_name": name}


def digest(workspace, *accounts):
    return digest_document(
        accounts, language="de", time_zone=None, template="account_digest", on=date(2025, 8, 31),
        company=workspace.company,
    )  # fmt: skip


def test_a_digest_adds_no_currencies_and_has_the_declared_fields(workspace, sample):
    made = digest(
        workspace,
        (
            owner("s:2", "Zeta"),
            [item("s:2", "Z1", "0.10"), item("s:2", "Z2", "0.20", days=-3), item("s:2", "Z3", "5", "USD")],
            [],
        ),
        (owner("s:1", "alpha\u202e Ltd"), [item("s:1", "A1", "100.00", days=9)], []),
        (owner("s:3", None), [item("s:3", "J1", "500", "JPY", days=0)], []),
    )
    same_fields(SHAPE, {**made, **AT_SENDING})
    same_fields(SHAPE, {**sample("account_digest", "en"), **AT_SENDING})
    assert [account["name"] for account in made["accounts"]] == ["alpha Ltd", "Zeta", "3"]  # the longest overdue first
    names = ("currency", "open_amount", "overdue_amount", "account_count")
    sums = [tuple(row[name] for name in names) for row in made["digest"]["sums"]]
    assert sums == [("EUR", "100.30", "100.10", 2), ("JPY", "500", None, 1), ("USD", "5.00", "5.00", 1)]
    assert (made["digest"]["account_count"], made["digest"]["item_count"]) == (3, 5)
    assert made["account"]["name"] is None and made["items"] == [] and made["contact"]["full_name"] is None
    assert digest(workspace, (owner("s:1", "A"), [item("s:1", "A1", "1")], [])) == digest(
        workspace, (owner("s:1", "A"), [item("s:1", "A1", "1")], [])
    )


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_a_digest_of_one_account_and_of_very_many_reads_well(workspace, language):
    version = compile_template(Catalogue(workspace).find("account_digest", "email", language))
    one = render_email(version, digest(workspace, (owner("s:1", "<b>Nur & eins"), [item("s:1", None, "1.00")], [])))
    assert "Nur & eins" in one.subject and "1 " not in one.subject and "&lt;b&gt;Nur &amp; eins" in str(one.html)
    evil = render_email(
        version, digest(workspace, (owner("s:1", "Evil\r\nBcc: x@y.example"), [item("s:1", "A", "1.00")], []))
    )
    assert "\n" not in evil.subject and "\r" not in evil.subject
    many = digest(workspace, *((owner(f"s:{n}", f"N{n}"), [item(f"s:{n}", f"I{n}", "1.00")], []) for n in range(500)))
    told = render_email(version, many)
    assert len(str(told.html).encode()) < 102_000  # longer ones are clipped by mailboxes
    assert "+ 400" in str(told.html) and "+ 200" in str(told.text) and "500" in told.subject
    sms = compile_template(Catalogue(workspace).find("account_digest", "sms", language))
    assert "500" in render_sms(sms, many)


def test_credits_pay_what_is_overdue_first_and_for_no_other_account(workspace):
    def credit(amount):
        return {"currency": "EUR", "amount": Decimal(amount), "reference": "CM1"}

    made = digest(
        workspace,
        (owner("s:1", "A"), [item("s:1", "A1", "100.00"), item("s:1", "A2", "50.00", days=-3)], [credit("120.00")]),
        (owner("s:2", "B"), [item("s:2", "B1", "10.00")], []),
    )
    sums = {account["key"]: account["sums"][0] for account in made["accounts"]}
    told = ("open_amount", "overdue_amount", "credit_amount")
    assert [sums["s:1"][name] for name in told] == ["30.00", None, "120.00"]
    assert [sums["s:2"][name] for name in told] == ["10.00", "10.00", None]
    assert [made["digest"]["sums"][0][name] for name in told] == ["40.00", "10.00", "120.00"]
