"""The shipped models on the generated company: keys hold, sums agree with a second calculation, nothing leaks."""

import json
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from dunning_pipeline.errors import InvalidInput, NotThere
from dunning_pipeline.money import _MINOR_UNITS_NOT_TWO, amount_text, from_minor, to_minor
from dunning_pipeline.reports.ageing import ageing, parse_buckets
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.folder.project import load_project
from dunning_pipeline.sql_models.graphs.graph import read_graphs
from dunning_pipeline.sql_models.graphs.merge_fields import graph_fields
from dunning_pipeline.sql_models.lineage import column_lineage
from dunning_pipeline.sql_models.runner import render_models
from tests.sql_models.conftest import RUN_DATE


def test_every_model_is_published(demo: Workspace, snapshot: duckdb.DuckDBPyConnection) -> None:
    tables = {
        f"{schema}.{table}"
        for schema, table in snapshot.execute(
            "select table_schema, table_name from information_schema.tables"
        ).fetchall()
    }
    served = [m.key for m in load_project(demo.models).models.values() if m.schema != "data_lake"]
    assert set(served) <= tables
    assert not any(name.startswith(("landing.", "mapped.", "ops.", "data_lake.")) for name in tables)


def test_the_data_model_has_exactly_the_declared_columns(snapshot: duckdb.DuckDBPyConnection, demo: Workspace) -> None:
    for model in load_project(demo.models).models.values():
        if model.schema == "data_model":
            described = snapshot.execute(f"describe data_model.{model.name}").fetchall()
            declared = {name: column["data_type"].upper() for name, column in model.properties.columns.items()}
            assert {row[0]: row[1] for row in described} == declared, model.name


def test_rows_are_read_as_polars_pandas_and_arrow(demo: Workspace) -> None:
    invoices = demo.model("invoices")
    assert len(invoices) == invoices.pl().height == len(invoices.df()) == invoices.arrow().num_rows > 1000
    assert demo.model("dunning.open_items").columns[0] == "invoice_key"
    assert set(demo.segment("overdue_1_30").columns) == {"unified_account_id"}
    with pytest.raises(NotThere, match="did you mean 'invoices'"):
        demo.model("invoicse")


def open_by_hand(snapshot: duckdb.DuckDBPyConnection, as_of) -> dict[str, Decimal]:
    """Open principal per currency from the data model alone, invoice by invoice, in Python."""
    money: dict[str, Decimal] = defaultdict(Decimal)
    invoices = {
        row[0]: [row[1], row[2] + (row[3] or 0) - (row[4] or 0)]
        for row in snapshot.execute(
            "select invoice_key, currency, total_amount, adjustment_amount, written_off_amount "
            "from data_model.invoices where status = 'posted' and invoice_date <= ?",
            [as_of],
        ).fetchall()
    }
    movements = snapshot.execute(
        """
        select invoice_key, case when allocation_type = 'unapplied' then -lines.amount else lines.amount end
        from data_model.payment_allocations as lines left join data_model.payments as payments using (payment_key)
        where coalesce(payments.status, 'processed') = 'processed'
            and coalesce(applied_date, payment_date, date '1970-01-01') <= $day
        union all
        select invoice_key, case when application_type = 'unapplied' then -lines.amount else lines.amount end
        from data_model.credit_applications as lines left join data_model.credit_memos as memos using (credit_memo_key)
        where coalesce(memos.status, 'posted') = 'posted'
            and coalesce(lines.effective_date, credit_date, date '1970-01-01') <= $day
        union all
        select invoice_key, settled_amount from data_model.invoices
        where settled_amount <> 0 and coalesce(settled_date, invoice_date) <= $day
        """,
        {"day": as_of},
    ).fetchall()
    for key, amount in movements:
        if key in invoices:
            invoices[key][1] -= amount
    for currency, amount in invoices.values():
        if amount > 0:
            money[currency] += amount
    return dict(money)


@pytest.mark.parametrize("days_before", [0, 40, 200])
def test_ageing_of_any_date_adds_up_to_what_is_open_on_it(
    demo: Workspace, snapshot: duckdb.DuckDBPyConnection, days_before: int
) -> None:
    as_of = RUN_DATE - timedelta(days=days_before)
    sums: dict[str, Decimal] = defaultdict(Decimal)
    rows = ageing(demo, as_of=as_of, buckets=(15, 30, 60))
    for row in rows:
        sums[row["currency"]] += Decimal(row["amount"])
    by_hand = open_by_hand(snapshot, as_of)
    assert dict(sums) == by_hand and len(by_hand) == 4
    days = [(row["from_days"], row["to_days"]) for row in rows if row["currency"] == "EUR"]
    assert days == [(None, None), (1, 15), (16, 30), (31, 60), (61, None)]
    assert all(row["amount"].isdigit() for row in rows if row["currency"] == "JPY")


def test_the_ageing_report_of_the_build_agrees_with_the_command(demo: Workspace) -> None:
    built = {(row["currency"], row["from_days"]): row for row in demo.model("reports.ageing").rows()}
    for row in ageing(demo, as_of=RUN_DATE):
        model = built[(row["currency"], row["from_days"])]
        assert (row["items"], to_minor(row["amount"], row["currency"])) == (
            model["items"], to_minor(model["amount"], row["currency"]),
        )  # fmt: skip
    with pytest.raises(InvalidInput):
        parse_buckets("30,15")


def test_a_graph_holds_nothing_of_another_account(snapshot: duckdb.DuckDBPyConnection) -> None:
    rows = snapshot.execute("select account_key, bill_group_key, document from data_graph.account_graphs").fetchall()
    owners = dict(snapshot.execute("select invoice_key, account_key from data_model.invoices").fetchall())
    payers = dict(snapshot.execute("select payment_key, account_key from data_model.payments").fetchall())
    assert len({row[:2] for row in rows}) == len(rows) > 200
    for account_key, _, text in rows:
        document = json.loads(text)
        assert document["account"]["account_key"] == account_key
        for invoice in document["invoices"] or []:
            assert owners[invoice["invoice_key"]] == invoice["account_key"] == account_key
        assert all(payers[payment["payment_key"]] == account_key for payment in document["payments"] or [])
        assert all(contact["account_key"] == account_key for contact in document["contacts"] or [])
        for plan in document["plans"] or []:
            assert all(owners[item["invoice_key"]] == account_key for item in plan["items"] or [])


def test_the_graphs_open_amounts_are_those_of_the_open_items(snapshot: duckdb.DuckDBPyConnection) -> None:
    shown: dict[str, Decimal] = defaultdict(Decimal)
    for (text,) in snapshot.execute("select document from data_graph.account_graphs").fetchall():
        for invoice in json.loads(text)["invoices"] or []:
            shown[invoice["currency"]] += Decimal(invoice["open_amount"])
            parts = [Decimal(part["open_amount"]) for part in invoice["instalments"]]
            assert sum(parts) == Decimal(invoice["open_amount"])
    expected = snapshot.execute("select currency, sum(open_amount) from dunning.open_items group by all").fetchall()
    assert dict(shown) == dict(expected)


def paths_of(value: object, prefix: str = "") -> set[str]:
    if isinstance(value, dict):
        return {path for key, inner in value.items() for path in paths_of(inner, f"{prefix}.{key}".lstrip("."))}
    if isinstance(value, list):
        return {path for inner in value for path in paths_of(inner, f"{prefix}[]")}
    return {prefix}


def test_documents_have_the_declared_fields_and_no_others(demo: Workspace, snapshot: duckdb.DuckDBPyConnection) -> None:
    names = snapshot.execute("select distinct account_key from data_graph.account_graphs order by all").fetchall()
    found: set[str] = set()
    for (name,) in names[::7]:
        for document in read_graphs(demo, name):
            found |= paths_of(document)
    declared = set(graph_fields(demo.models))
    lists = {"contacts", "invoices", "payments", "credits", "plans", "statements", "bill_group", "company.bank"}
    ends = {path for path in found if path.rsplit(".", maxsplit=1)[-1] in ("lines", "items", "contact_points")} | lists
    assert found - declared - ends == set()
    assert {p for p in declared if not p.startswith(("statements", "plans", "credits"))} - found == set()


def test_an_account_is_found_by_key_id_number_name_and_unified_id(
    demo: Workspace, snapshot: duckdb.DuckDBPyConnection
) -> None:
    [row] = snapshot.execute(
        "select account_key, account_id, account_number, name from data_model.accounts "
        "where account_number is not null order by account_key limit 1"
    ).fetchall()
    for name in row[:3]:
        assert {document["account_key"] for document in read_graphs(demo, name)} == {row[0]}
    assert read_graphs(demo, row[0])[0]["company"]["name"] == demo.company.name
    with pytest.raises(NotThere):
        read_graphs(demo, "nobody")


def test_amounts_as_text_follow_the_currencys_decimals_in_sql_as_in_python(tmp_path: Path, demo: Workspace) -> None:
    cases = [(1234567, code) for code in ("EUR", "USD", *_MINOR_UNITS_NOT_TWO)]
    (tmp_path / "macros").mkdir()
    for file in (demo.models / "macros").glob("*.sql"):
        (tmp_path / "macros" / file.name).write_text(file.read_text())
    (tmp_path / "m").mkdir()
    (tmp_path / "dbt_project.yml").write_text("name: t\nmodel-paths: [m]\n")
    (tmp_path / "m" / "texts.sql").write_text(
        "select code, {{ amount_text('amount', 'code') }}, {{ from_minor('minor', 'code') }} from cases"
    )
    con = duckdb.connect()
    con.execute("create table cases (code varchar, amount decimal(19, 4), minor bigint)")
    con.executemany("insert into cases values (?, ?, ?)", [(c, from_minor(n, c), n) for n, c in cases])
    [model] = render_models(tmp_path, run_date=RUN_DATE)
    for code, text, amount in con.execute(model.sql).fetchall():
        assert text == amount_text(1234567, code) and amount == from_minor(1234567, code), code


def test_each_column_knows_where_it_comes_from(demo: Workspace) -> None:
    lineage = column_lineage(demo)
    assert lineage["segments.overdue_1_30"]["unified_account_id"] == [
        ("unified.unified_open_items", "unified_account_id")
    ]
    assert ("mapped.invoices", "due_date") in lineage["data_model.invoices"]["due_date"]
    assert set(lineage) >= {m.key for m in load_project(demo.models).models.values() if m.schema != "data_lake"}
    assert [model for model, columns in lineage.items() if not columns] == []
    assert column_lineage(demo) == lineage
