"""The real sets beside the checkout, with the shipped rules untouched."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import csv
from pathlib import Path
from typing import Any

import pytest

from dunning_pipeline.identity.rulesets import Ruleset
from tests.identity.conftest import Parties
from tests.identity.test_companies import with_tiers


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle, skipinitialspace=True))


def bulk(parties: Parties, table: str, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa

    stem = {"accounts": "account", "contacts": "contact"}[table]
    columns = {name: [row.get(name) or None for row in rows] for name in rows[0] if name != "key"}
    keys = [row["key"] for row in rows]
    columns |= {f"{stem}_key": [f"crm:{key}" for key in keys], f"{stem}_id": keys, "source": ["crm"] * len(keys)}
    parties.con.register("bulk", pa.table(columns))
    parties.con.execute(f"insert into data_model.{table} by name select * from bulk")
    parties.con.unregister("bulk")


def precision_and_recall(profiles: list[list[str]], truth: dict[str, str]) -> tuple[float, float]:
    def pairs(groups: list[list[str]]) -> set[tuple[str, str]]:
        return {(a, b) for group in groups for a in group for b in group if a < b}

    parties: dict[str, list[str]] = {}
    for record, party in truth.items():
        parties.setdefault(party, []).append(record)
    found, real = pairs(profiles), pairs(list(parties.values()))
    return (len(found & real) / len(found) if found else 1.0), len(found & real) / len(real)


def load_febrl(parties: Parties, file: Path) -> dict[str, str]:
    rows = rows_of(file)

    def born(text: str) -> str | None:
        text = text.strip()
        return (
            f"{text[:4]}-{text[4:6]}-{text[6:]}"
            if len(text) == 8 and "01" <= text[4:6] <= "12" and "01" <= text[6:] <= "28"
            else None
        )

    bulk(parties, "contacts", [
        {"key": r["rec_id"], "first_name": r["given_name"], "last_name": r["surname"], "street": f"{r['street_number']} {r['address_1']}".strip(),
         "city": r["suburb"], "postal_code": r["postcode"], "state": r["state"], "country": "AU", "birth_date": born(r["date_of_birth"])}
        for r in rows
    ])  # fmt: skip
    return {row["rec_id"]: row["rec_id"].split("-")[1] for row in rows}


def load_fake_1000(parties: Parties, file: Path) -> dict[str, str]:
    rows = rows_of(file)
    bulk(parties, "contacts", [
        {"key": r["unique_id"], "first_name": r["first_name"], "last_name": r["surname"], "email": r["email"], "city": r["city"],
         "birth_date": r["dob"] or None} for r in rows
    ])  # fmt: skip
    return {row["unique_id"]: row["cluster"] for row in rows}


def test_febrl_tier_a_makes_no_wrong_link(parties: Parties, shared_data: Path) -> None:
    truth = load_febrl(parties, shared_data / "identity" / "febrl_dataset1.csv")
    parties.resolve()
    precision, recall = precision_and_recall(parties.profiles(), truth)
    assert precision == 1.0
    assert recall > 0.3


def test_fake_1000_tier_a_makes_no_wrong_link(parties: Parties, shared_data: Path) -> None:
    truth = load_fake_1000(parties, shared_data / "identity" / "splink_fake_1000.csv")
    parties.resolve()
    precision, recall = precision_and_recall(parties.profiles(), truth)
    assert precision == 1.0
    assert recall > 0.1


def test_restaurants_with_tier_b(parties: Parties, shared_data: Path) -> None:
    folder = shared_data / "identity"
    rows = [
        row | {"key": f"{name}{row['id']}"}
        for name in ("fodors", "zagats")
        for row in rows_of(folder / f"restaurants_{name}.csv")
    ]
    bulk(parties, "accounts", [
        {"key": r["key"], "name": r["name"], "street": r["addr"], "city": r["city"], "phone": r["phone"], "country": "US"} for r in rows
    ])  # fmt: skip
    truth = {row["key"]: row["key"] for row in rows}
    for match in rows_of(folder / "restaurants_matches_fodors_zagats.csv"):
        truth[f"zagats{match['zagats_id']}"] = f"fodors{match['fodors_id']}"

    parties.resolve()
    assert max(len(profile) for profile in parties.profiles("account")) == 1, (
        "without an official number nothing merges by itself"
    )
    parties.resolve(rulesets=with_tiers(parties, "A", "B"))
    precision, recall = precision_and_recall(parties.profiles("account"), truth)
    assert precision >= 0.99
    assert recall > 0.5


@pytest.mark.slow
def test_highradius_no_merge_by_name_and_one_profile_per_customer_number(parties: Parties, shared_data: Path) -> None:
    rows = rows_of(shared_data / "receivables" / "highradius" / "open_invoices.csv")
    accounts = [{"key": str(n), "name": row["name_customer"]} for n, row in enumerate(rows)]
    truth = {str(n): row["cust_number"] for n, row in enumerate(rows)}
    bulk(parties, "accounts", accounts)
    parties.resolve()
    assert max(len(profile) for profile in parties.profiles("account")) == 1

    parties.con.execute("delete from data_model.accounts")
    bulk(parties, "accounts", [account | {"account_number": truth[account["key"]]} for account in accounts])
    parties.resolve(rulesets=by_customer_number(parties))

    profiles = parties.profiles("account")
    assert precision_and_recall(profiles, truth) == (1.0, 1.0)
    assert len(profiles) == len(set(truth.values()))


def by_customer_number(parties: Parties) -> dict[str, Ruleset]:
    """The ruleset of a deployment whose names are noise: the customer number decides, forms do not count."""
    own = parties.rulesets["account"].model_dump()
    own["constraints"] = {"at_most_one": ["tax_id", "vat_id", "lei"]}
    own["guards"]["cluster_size"] = 10_000
    return parties.rulesets | {"account": Ruleset.model_validate(own)}


@pytest.mark.parametrize(
    "broken", ["rule: x\n    tier: A\n    criteria: [{field: name, method: fuzzy, precision: high}]"]
)
def test_a_rule_that_would_merge_by_name_is_refused_with_its_line(tmp_path: Path, broken: str) -> None:
    from dunning_pipeline.errors import InvalidDeclaration
    from dunning_pipeline.identity.rulesets import load_ruleset

    (tmp_path / "accounts.yaml").write_text(
        f'ruleset: accounts\nkind: account\nversion: "1"\nmatch_rules:\n  - {broken}\n'
    )
    with pytest.raises(InvalidDeclaration, match="needs an identifier") as error:
        load_ruleset(tmp_path, "account")
    assert error.value.line == 6
