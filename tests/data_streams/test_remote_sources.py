"""Salesforce by the Bulk API against a loopback org, and databases by their query: pages first land as files."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data_streams.conftest import Inbox
from tests.data_streams.salesforce_org import SalesforceOrg

pytest.importorskip("simple_salesforce")


def account(identifier: str, name: str, modified: str, deleted: str = "false") -> dict[str, str]:
    return {"Id": identifier, "Name": name, "SystemModstamp": modified, "IsDeleted": deleted, "Odd__c": "x"}


@pytest.fixture
def org(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[SalesforceOrg]:
    """An org with five accounts, and a workspace whose salesforce stream reads accounts from it."""
    declaration = inbox.workspace.policies / "streams" / "salesforce.yaml"
    text = declaration.read_text(encoding="utf-8").replace("kind: file ", "kind: salesforce_bulk ", 1)
    declaration.write_text(text, encoding="utf-8")
    monkeypatch.setattr("simple_salesforce.bulk2.sleep", lambda _: None)
    rows = [account(f"00{n}", f"Company {n}", f"2025-10-0{n}T10:00:00.000Z") for n in range(1, 6)]
    with SalesforceOrg({"Account": rows}) as org:
        for name, value in org.environment.items():
            monkeypatch.setenv(name, value)
        yield org


def fetch(inbox: Inbox) -> object:
    return inbox.ingest(sources=["salesforce"], objects=["Account"])["salesforce.Account"]


def test_pages_land_as_files_and_are_loaded(inbox: Inbox, org: SalesforceOrg) -> None:
    report = fetch(inbox)
    assert (report.error, report.rows_loaded) == (None, 5)  # type: ignore[attr-defined]
    pages = sorted(path.name for path in (inbox.workspace.landing / "salesforce" / "Account").rglob("*.csv"))
    assert pages == [f"Account-part-0000{n}.csv" for n in (1, 2, 3)]
    asked = org.queries[0]
    assert asked["operation"] == "queryAll"
    assert "Odd__c" not in asked["query"] and "WHERE" not in asked["query"]
    assert inbox.rows("select count(*) from mapped.accounts") == [(5,)]


def test_the_next_fetch_starts_five_minutes_before_the_newest_change_and_brings_deletes(
    inbox: Inbox, org: SalesforceOrg
) -> None:
    fetch(inbox)
    org.objects["Account"] += [account("006", "New", "2025-10-06T10:00:00.000Z")]
    org.objects["Account"][0] = account("001", "Company 1", "2025-10-07T10:00:00.000Z", deleted="true")
    report = fetch(inbox)
    assert org.queries[1]["query"].endswith("WHERE SystemModstamp >= 2025-10-05T09:55:00Z")
    assert (report.rows_changed, report.rows_closed) == (2, 1)  # type: ignore[attr-defined]
    found = inbox.rows("select account_id from mapped.accounts order by 1")
    assert [row[0] for row in found] == ["002", "003", "004", "005", "006"]


@pytest.mark.parametrize(
    ("fragment", "status", "content", "said"),
    [
        ("/jobs/query", 401, [{"errorCode": "INVALID_SESSION_ID", "message": "expired"}], "refused the login"),
        ("/jobs/query", 403, [{"errorCode": "API_DISABLED_FOR_ORG", "message": "no"}], "forbids it"),
        ("/describe", 404, [{"errorCode": "NOT_FOUND", "message": "no"}], "no such object"),
        ("/results", 503, "busy", "not ready"),
        ("/jobs/query", 400, [{"errorCode": "INVALIDFIELD", "message": "No such column"}], "No such column"),
    ],
)
def test_refusals_are_told_and_the_rows_stay(
    inbox: Inbox, org: SalesforceOrg, fragment: str, status: int, content: object, said: str
) -> None:
    fetch(inbox)
    org.failing[fragment] = (status, content)
    report = fetch(inbox)
    assert report.status == "failed"  # type: ignore[attr-defined]
    assert said in report.error  # type: ignore[attr-defined]
    assert inbox.rows("select count(*) from mapped.accounts") == [(5,)]


def test_a_failed_job_and_a_missing_login(inbox: Inbox, org: SalesforceOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    org.job_state = "Failed"
    assert "out of limits" in fetch(inbox).error  # type: ignore[attr-defined]
    for name in org.environment:
        monkeypatch.delenv(name)
    assert "no Salesforce login is configured" in fetch(inbox).error  # type: ignore[attr-defined]


def test_a_database_by_its_query(inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "billing.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("create table customer (id integer, name text)")
        connection.executemany("insert into customer values (?, ?)", [(1, "ACME"), (2, "Müller")])
    (inbox.workspace.policies / "streams" / "billing.yaml").write_text(
        "source: billing\nkind: sql\nconnection: env:BILLING_URL\nobjects:\n  customer:\n    key: [id]\n"
        "    query: select id, name from customer\n    columns: {id: text, name: text}\n"
        "mappings:\n  - dmo: accounts\n    object: customer\n"
        "    fields: {account_key: key(id), account_id: id, name: name}\n",
        encoding="utf-8",
    )
    assert "has no connection" in (inbox.ingest(sources=["billing"])["billing.customer"].error or "")
    for url in (f"sqlite:///{file}", f"sqlite+pysqlite:///{file}"):
        monkeypatch.setenv("BILLING_URL", url)
        assert inbox.ingest(sources=["billing"])["billing.customer"].error is None
    assert inbox.rows("select account_key, name from mapped.accounts order by 1") == [
        ("billing:1", "ACME"),
        ("billing:2", "Müller"),
    ]
    with sqlite3.connect(file) as connection:
        connection.execute("delete from customer where id = 1")
    assert inbox.ingest(sources=["billing"])["billing.customer"].rows_closed == 1
