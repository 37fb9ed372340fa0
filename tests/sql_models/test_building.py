"""Build aside, check, then publish: what is good stays until something better has passed."""

from pathlib import Path

import pytest

from dunning_pipeline.errors import InvalidDeclaration, NotThere
from dunning_pipeline.sql_models import building, materialising
from dunning_pipeline.sql_models.snapshot import KEPT_SNAPSHOTS, open_snapshot, snapshot_date, snapshot_file
from tests.sql_models.conftest import NOW, RUN_DATE, Small

ROOT = Path(__file__).resolve().parents[2]
ORDERS = "-- Orders.\nselect id, cast(amount as decimal(19, 4)) as amount from {{ source('mapped', 'orders') }}\n"
TOTALS = "-- Totals.\nselect count(*) as orders, sum(amount) as amount from {{ ref('orders') }}\n"
SEGMENT = "-- Big.\n-- Owner: me.\nselect cast(id as varchar) as unified_account_id from {{ ref('orders') }}\n"


@pytest.fixture
def orders(small: Small) -> Small:
    small.write("data_model/orders.sql", ORDERS)
    small.write("unified/totals.sql", TOTALS)
    small.write("segments/big.sql", SEGMENT)
    small.build()
    return small


def statuses(report) -> dict[str, str]:
    return {model.name: model.status for model in report.models}


def test_models_are_built_in_order_and_published(orders: Small) -> None:
    report = orders.build()
    assert next(model.name for model in report.models) == "orders"
    assert statuses(report) == {"orders": "built", "totals": "built", "big": "built"}
    assert orders.published("unified.totals") == [(1, pytest.approx(10))]
    assert report.snapshot == snapshot_file(orders.workspace)
    con = open_snapshot(orders.workspace)
    assert snapshot_date(con) == RUN_DATE
    con.close()


def test_a_model_that_fails_keeps_its_table_stops_its_descendants_and_withholds_the_snapshot(orders: Small) -> None:
    before = snapshot_file(orders.workspace)
    orders.rows = [(1, "10.00", "2025-11-01"), (2, "abc", "2025-11-01")]
    report = orders.build()
    assert statuses(report) == {"orders": "failed", "totals": "skipped", "big": "skipped"}
    assert "abc" in next(model.error for model in report.models if model.name == "orders")
    assert orders.rows_of("data_model.orders") == [(1, pytest.approx(10))]
    assert report.snapshot is None
    assert report.withheld == "the previous snapshot stays published, because of: orders"  # what to correct, no more
    assert snapshot_file(orders.workspace) == before


def test_a_broken_segment_fails_alone_and_the_others_publish(orders: Small) -> None:
    file = orders.write("segments/small.sql", "-- Small.\nselect unified_acount_id\nfrom {{ ref('orders') }}\n")
    report = orders.build()
    assert statuses(report) == {"orders": "built", "totals": "built", "big": "built", "small": "failed"}
    error = next(model.error for model in report.models if model.name == "small")
    assert error.startswith(f"{file}:2:8: ")
    assert report.snapshot is not None and report.failed == ["small"]
    assert orders.published("segments.big") == [("1",)]


ENDLESS = (
    "with recursive n as (select 1 as i union all select i + 1 from n) select i::varchar as unified_account_id from n"
)


@pytest.mark.parametrize("config", ["", "materialized='view', "])
def test_an_endless_segment_is_stopped_and_the_others_publish(orders: Small, config: str) -> None:
    orders.write("segments/big.sql", "-- Big.\n{{ config(" + config + "meta={'seconds': 0.3}) }}\n" + ENDLESS)
    file = orders.write("segments/another.sql", SEGMENT).with_name("big.sql")
    report = orders.build()
    assert statuses(report) == {"orders": "built", "totals": "built", "another": "built", "big": "failed"}
    error = next(model.error for model in report.models if model.name == "big")
    assert error.startswith(f"{file}:1: stopped after 0.3 seconds") and "meta={'seconds': 600}" in error
    assert report.snapshot is not None
    assert orders.rows_of("segments.big") == [("1",)]  # what stood before


def test_the_project_says_how_long_its_models_may_run(orders: Small) -> None:
    file = orders.workspace.models / "dbt_project.yml"
    file.write_text(f"{file.read_text()}vars: {{segment_seconds: 0.2}}\n")
    orders.write("segments/big.sql", ENDLESS)
    assert "stopped after 0.2 seconds" in next(m.error for m in orders.build().models if m.name == "big")
    orders.write("segments/big.sql", SEGMENT + "-- {{ config(meta={'seconds': 'long'}) }}")
    assert "'long' are no seconds" in next(m.error for m in orders.build().models if m.name == "big")


def test_an_endless_check_across_models_is_stopped_and_holds_the_snapshot_back(orders: Small) -> None:
    project = orders.workspace.models / "dbt_project.yml"
    project.write_text(f"{project.read_text()}vars: {{check_seconds: 0.2}}\n")
    file = orders.write("tests/no_end.sql", ENDLESS + " where {{ run_date() }} is not null -- {{ ref('orders') }}")
    report = orders.build()
    (check,) = [check for check in report.checks if check.name == "no_end"]
    assert check.status == "broken" and str(check.error).startswith(f"{file}:1: stopped after 0.2 seconds")
    assert "check_seconds" in str(check.error) and report.snapshot is None
    project.write_text(project.read_text().replace("0.2", "soon"))
    assert "'soon' are no seconds" in str(next(c.error for c in orders.build().checks if c.name == "no_end"))


def test_nothing_is_written_for_a_typo_that_only_binding_can_find(orders: Small) -> None:
    orders.rows = [(1, "10.00", "2025-11-01"), (2, "5.00", "2025-11-01")]
    orders.write("data_model/orders.sql", ORDERS.replace("cast(amount", "cast(amuont"))
    report = orders.build()
    assert statuses(report)["orders"] == "failed"
    assert orders.rows_of("data_model.orders") == [(1, pytest.approx(10))]


def test_a_failed_check_never_replaces_what_was_good(orders: Small) -> None:
    orders.write(
        "data_model/schema.yml",
        "models:\n  - name: orders\n    columns:\n      - {name: id, data_tests: [unique, not_null]}\n",
    )
    orders.rows = [(1, "10.00", "2025-11-01"), (1, "11.00", "2025-11-02"), (None, "1.00", "2025-11-02")]
    report = orders.build()
    failed = {check.name: check.failures for check in report.checks if check.status == "failed"}
    assert failed == {"unique_orders_id": 1, "not_null_orders_id": 1}
    assert statuses(report)["orders"] == "failed" and statuses(report)["totals"] == "skipped"
    assert orders.rows_of("data_model.orders") == [(1, pytest.approx(10))]
    assert orders.rows_of("checks.unique_orders_id") == [(1, 2)]


def test_a_check_that_only_warns_is_reported_with_its_rows_and_blocks_nothing(orders: Small) -> None:
    orders.write(
        "data_model/schema.yml",
        """
models:
  - name: orders
    columns:
      - name: id
        data_tests:
          - accepted_values: {arguments: {values: [1, 2]}, config: {severity: warn}}
          - relationships: {arguments: {to: ref('totals'), field: orders}, config: {severity: warn}}
""",
    )
    orders.rows = [(1, "10.00", "2025-11-01"), (7, "5.00", "2025-11-01")]
    report = orders.build()
    failures = {check.kind: check.failures for check in report.checks if check.severity == "warn"}
    assert failures == {"accepted_values": 1, "relationships": 2}
    assert report.failed == [] and report.snapshot is not None
    assert orders.published("checks.accepted_values_orders_id") == [(7, pytest.approx(5))]


def test_a_singular_test_withholds_the_snapshot_unless_it_only_warns(orders: Small) -> None:
    text = "-- No order is free.\nselect * from {{ ref('orders') }} where amount <= 0\n"
    orders.write("tests/no_free_orders.sql", text)
    orders.rows = [(1, "0.00", "2025-11-01")]
    report = orders.build()
    assert report.snapshot is None and report.failed == ["no_free_orders"]
    orders.write("tests/no_free_orders.sql", "{{ config(severity='warn') }}\n" + text)
    assert orders.build().snapshot is not None


def test_a_segment_must_yield_each_unified_account_once(orders: Small) -> None:
    orders.write("segments/nobody.sql", "-- None.\nselect id from {{ ref('orders') }}\n")
    orders.write(
        "segments/twice.sql",
        "-- Twice.\nselect 'A' as unified_account_id from {{ ref('orders') }} union all select 'A'\n",
    )
    report = orders.build()
    errors = {model.name: model.error for model in report.models if model.status == "failed"}
    assert "a segment yields unified_account_id" in errors["nobody"]
    assert "unique_twice_unified_account_id: 1 rows" in errors["twice"]
    assert report.snapshot is not None


def test_a_selection_builds_only_what_was_named(orders: Small) -> None:
    orders.rows = [(1, "10.00", "2025-11-01"), (2, "5.00", "2025-11-01")]
    assert list(statuses(orders.build(select="totals"))) == ["totals"]
    assert orders.rows_of("unified.totals") == [(1, pytest.approx(10))]  # orders was not built again
    assert set(statuses(orders.build(select="orders+"))) == {"orders", "totals", "big"}
    assert set(statuses(orders.build(select="+big"))) == {"orders", "big"}
    assert set(statuses(orders.build(select="segments, totals"))) == {"big", "totals"}
    with pytest.raises(NotThere, match="did you mean 'totals'"):
        orders.build(select="totlas")


def test_a_view_becomes_a_table_and_back(orders: Small) -> None:
    orders.write("unified/totals.sql", "{{ config(materialized='view') }}\n" + TOTALS)
    orders.write("unified/seen.sql", "{{ config(materialized='view') }}\n" + ORDERS)
    assert statuses(orders.build())["totals"] == "built"
    assert orders.published("unified.totals") == [(1, pytest.approx(10))]
    assert orders.published("unified.seen") == [(1, pytest.approx(10))]  # what it reads is not served, its rows are
    orders.write("unified/totals.sql", TOTALS)
    assert statuses(orders.build())["totals"] == "built"
    assert orders.published("unified.totals") == [(1, pytest.approx(10))]


def test_a_model_made_in_slices_has_the_rows_of_one_made_at_once(
    orders: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders.rows = [(number, "10.00", "2025-11-01") for number in range(40)]
    orders.write("macros/slices.sql", (ROOT / "dbt_like_sql" / "macros" / "slices.sql").read_text())
    view = "{{ config(materialized='view') }}\nselect id, hash(id) as made from {{ ref('orders') }} where "
    orders.write("data_model/narrow.sql", view + "{{ in_slice('id') }}")
    text = "select * from {{ ref('narrow') }}"
    orders.write("data_model/whole.sql", text)
    orders.write("data_model/sliced.sql", "{{ config(meta={'slices_of': ['orders']}) }}\n" + text)
    monkeypatch.setattr(materialising, "SLICE_ROWS", 9)
    assert statuses(orders.build())["sliced"] == "built"
    assert sorted(orders.published("data_model.sliced")) == sorted(orders.published("data_model.whole"))
    assert len(orders.published("data_model.narrow")) == 40  # the view itself shows everything afterwards


def test_a_model_made_in_slices_that_does_not_fit_into_memory_is_made_in_more_of_them(
    orders: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders.rows = [(number, "10.00", "2025-11-01") for number in range(64)]
    text = "select id, list(repeat('x', 2000000) || id) as long from {{ ref('orders') }} where {{ in_slice('id') }} "
    config = "{{ config(meta={'slices_of': ['orders']}) }}\n"
    lengths = "select id, list_sum([strlen(text) for text in long])::integer as length from ({}) group by all"
    orders.write("data_model/large.sql", lengths.format(text + "group by id"))
    orders.write("data_model/sliced.sql", config + lengths.format(text + "group by id"))
    monkeypatch.setattr(building, "MEMORY_LIMIT", "60MB")
    made = {model.name: model for model in orders.build().models}
    assert "failed to allocate" in str(made["large"].error)
    assert (made["sliced"].status, made["sliced"].rows) == ("built", 64)


def test_old_snapshots_are_pruned_and_an_open_one_stays_readable(orders: Small) -> None:
    con = open_snapshot(orders.workspace)
    for _ in range(KEPT_SNAPSHOTS + 1):
        orders.build()
    assert con.execute("select count(*) from data_model.orders").fetchall() == [(1,)]
    con.close()
    assert len(list(orders.workspace.serving.glob("*.duckdb"))) == KEPT_SNAPSHOTS


def test_before_the_first_build_nothing_is_published(small: Small) -> None:
    with pytest.raises(NotThere, match="nothing is published yet"):
        open_snapshot(small.workspace)


def test_models_in_a_circle_are_refused(small: Small) -> None:
    small.write("data_model/a.sql", "select * from {{ ref('b') }}")
    small.write("data_model/b.sql", "select * from {{ ref('a') }}")
    with pytest.raises(InvalidDeclaration, match="in a circle"):
        small.build()


def test_two_models_of_one_name_are_refused(orders: Small) -> None:
    orders.write("reports/orders.sql", "select 1 as one")
    with pytest.raises(InvalidDeclaration, match="a second model named 'orders'"):
        orders.build()


def test_progress_and_results_are_told_while_building(orders: Small) -> None:
    said, results = [], []
    orders.build(progress=lambda what, done, total: said.append(what), on_model=results.append)
    assert "data_model.orders" in said and said[-1] == "publishing the snapshot"
    assert next(result.name for result in results) == "orders"
    assert results[0].columns == {"id": "INTEGER", "amount": "DECIMAL(19,4)"} and results[0].rows == 1
    assert NOW.year == 2025
