"""Each report with chart, table, CSV, PDF and HTML over the columns that its model has, and mailed to a colleague.

A run reports of itself why what is owed was not dunned."""

import csv
import io
import json
import re
from datetime import date
from decimal import Decimal
from email import message_from_bytes, policy
from typing import Any

import pyarrow.parquet
import pytest
import sqlglot

from dunning_pipeline.console import published
from dunning_pipeline.console.jobs import run_next
from dunning_pipeline.console.pages.reports import REPORTS
from tests.conftest import ROOT
from tests.console.world import NOW, Console

MONEY = {
    "amount",
    "open_amount",
    "sales_90_days",
    "reminded_amount",
    "recovered_amount",
    "charged",
    "reversed",
    "waived",
}
VALUES: dict[str, Any] = {
    "currency": "EUR", "month_end": date(2025, 10, 31), "month": date(2025, 10, 1), "started_on": date(2025, 10, 1),
    "is_held_out": False, "type": "fee", "channel": "email", "kind": "dunning", "template": "friendly_reminder",
    "process": "standard", "campaign": "monthly", "occurrence": "2025-10-01", "paid_percent": 12.5,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())


def columns_of(model: str) -> list[str]:
    """The columns that the model's last step names."""
    text = (ROOT / "dbt_like_sql" / f"{model.replace('.', '/')}.sql").read_text(encoding="utf-8")
    tree = sqlglot.parse_one(re.sub(r"{{.*?}}", "t", text), read="duckdb")
    steps = {step.alias: step.this for step in tree.ctes}

    def names(select: sqlglot.exp.Select) -> list[str]:
        own = select.named_selects
        return own if "*" not in own else names(steps[select.find(sqlglot.exp.Table).name]) + own[1:]

    return names(tree)


def a_row(model: str) -> dict[str, Any]:
    names = columns_of(model)
    assert names and "*" not in names, model
    is_money = MONEY | ({"paid"} if model.endswith("fee_yield") else set())
    return {n: VALUES.get(n, Decimal("1234.5000") if n in is_money else 7) for n in names}


@pytest.fixture
def reports(console: Console, monkeypatch: pytest.MonkeyPatch) -> Console:
    def rows(_workspace: Any, sql: str, _parameters: Any = ()) -> list[dict[str, Any]]:
        return [a_row(sql.removeprefix("select * from "))]

    monkeypatch.setattr(published, "rows", rows)
    return console


@pytest.mark.parametrize("name", list(REPORTS))
def test_a_report_has_chart_table_csv_pdf_and_html(reports: Console, name: str) -> None:
    svg = reports.get(f"/reports/{name}.svg")
    assert svg.status_code == 200 and svg.text.startswith("<svg")
    assert reports.get(f"/reports/{name}.pdf").content.startswith(b"%PDF-")
    page, file = reports.get(f"/reports/{name}?language=de").text, reports.get(f"/reports/{name}.html").text
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]+"', "", file) and "<svg" in file and "src=" not in file
    (row,) = csv.DictReader(io.StringIO(reports.get(f"/reports/{name}.csv").text))
    assert list(row) == columns_of(REPORTS[name].model)
    if MONEY & set(row):
        assert "1.234,50\xa0€" in page and "€1,234.50" in file and "1234.50" in row.values()


@pytest.mark.parametrize("name", list(REPORTS))
def test_every_column_has_a_german_name(name: str) -> None:
    german = json.loads((ROOT / "dunning_pipeline/console/words/de.json").read_text(encoding="utf-8"))
    assert [c for c in columns_of(REPORTS[name].model) if c.replace("_", " ") not in german] == []


def test_a_report_is_mailed_with_its_pdf(reports: Console) -> None:
    answer = reports.post("/reports/ageing/mail", to="boss@northwind.example")
    assert answer.status_code == 303
    assert run_next(reports.workspace, reports.app.state.engine)
    assert "mailed to boss@northwind.example by outbox" in reports.get(answer.headers["location"]).text
    (file,) = reports.workspace.outbox.glob("report-*.eml")
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert mail["to"] == "boss@northwind.example" and mail["subject"] == "Ageing, 3 Nov 2025"
    kinds = [part.get_content_type() for part in mail.walk()]
    assert "text/html" in kinds and "application/pdf" in kinds
    wrong = reports.post("/reports/ageing/mail", to="no address")
    assert wrong.status_code == 422 and "no address" in wrong.text


def test_a_run_tells_why_what_is_owed_was_not_dunned(console: Console) -> None:
    folder = console.workspace.decisions
    folder.mkdir(parents=True, exist_ok=True)
    rows = {"included": [True, False, False, False], "reason": ["advances", "rate_missing", "rate_missing", "not_due"]}
    pyarrow.parquet.write_table(pyarrow.table(rows), folder / "r.parquet")
    page = console.get("/runs/r?language=de").text
    assert "<dt>kein Wechselkurs</dt><dd>2</dd>" in page and "noch nicht fällig" not in page
    assert "kein Wechselkurs" not in console.get("/runs/r?language=de", who="kim").text  # sees only some accounts
