"""Every mistake of an analyst names the analyst's file, line and column, and a way out."""

from pathlib import Path

import pytest

from dunning_pipeline.dunning.models import rendered_models
from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.sql_models.runner import render_models
from tests.sql_models.conftest import RUN_DATE, Small

GOOD = "-- Orders.\nselect id, amount, placed_on from {{ source('mapped', 'orders') }}\n"

# what is written in unified/wrong.sql, line and column expected, part of the message, part of the hint
MISTAKES = [
    ("select id\nfrom {{ ref('ordrs') }}", 2, 14, "ref('ordrs') names no model", "did you mean 'orders'?"),
    ("select 1\nfrom {{ source('mapped', 'order') }}", 2, 27, "is not declared", "did you mean 'orders'?"),
    ("select id,\n    'ü' as u, amuont\nfrom {{ ref('orders') }}", 2, 15, '"amuont" not found', "'amount'"),
    ("select o.amuont\nfrom {{ ref('orders') }} as o", 1, 8, "amuont", "'amount'"),
    ("select\n    summ(id) as s\nfrom {{ ref('orders') }}", 2, 5, "summ does not exist", "'sum'"),
    ("select id,\nfrom from {{ ref('orders') }}", 2, 6, "syntax error", ""),
    ("select id from {{ ref('orders') }}\nwhere amount + 1 > placed_on + true", 2, None, "No function matches", "cast"),
    ("select {{ var('minimum') }}", 1, None, "var('minimum') has no value", "default"),
    ("select 1\n, {{ run_dat() }}", 2, 6, "'run_dat' is undefined", "run_date"),
    ("select 1\n, {{ run_date( }}", 2, 3, "Jinja", ""),
    ("select 1 {% for n in [1, 2] %}\n, {{ n }} as n{{ n }}\n{% endfor %}\n, missing from {{ ref('orders') }}",
     4, 3, '"missing" not found', ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "column", "message", "hint"), MISTAKES)
def test_a_mistake_is_found_in_the_analysts_file(
    small: Small, text: str, line: int, column: int | None, message: str, hint: str
) -> None:
    small.write("data_model/orders.sql", GOOD)
    file = small.write("unified/wrong.sql", text)
    report = small.build()
    [wrong] = [model for model in report.models if model.name == "wrong"]
    assert wrong.status == "failed"
    place, _, rest = wrong.error.partition(": ")
    assert place.startswith(f"{file}:{line}"), wrong.error
    if column is not None:
        assert place == f"{file}:{line}:{column}", wrong.error
    assert message in rest and hint in wrong.error
    assert next(model.status for model in report.models if model.name == "orders") == "built"


OUTSIDE = [  # what an analyst may write beside the tables, where it is told, and in which words
    ("select id\nfrom read_csv('/etc/passwd')", 2, 6, "read_csv() may not be read"),
    ("select (select content from read_text('/etc/hostname')) as id", 1, 29, "read_text() may not be read"),
    ("with files as (select file as id from glob('/etc/*'))\nselect id from files", 1, 39, "glob() may not be read"),
    ("select * from query('select 1 as id')", 1, 15, "query() may not be read"),
    ("select * from sqlite_scan('ledger.sqlite', 'sends')", 1, 15, "sqlite_scan() may not be read"),
    ("select * from duckdb_settings()", 1, 15, "duckdb_settings() may not be read"),
    ("select * from '/etc/passwd'", 1, 15, "'/etc/passwd' is a file or an address"),
    ('select id\nfrom "people.csv"', 2, 6, "'people.csv' is a file or an address"),
    ("select id from people.csv.gz", 1, 16, "'people.csv.gz' is a file or an address"),
    ("summarize 'people.parquet'", 1, None, "'people.parquet' is a file or an address"),
    ("select * from 'https://example.com/x.csv'", 1, 15, "'https://example.com/x.csv' is a file or an address"),
    ("-- Copies.\nwith done as (copy (select 1 as id) to 'x.csv')\nselect 1 as id", 2, 28, "a step may not copy"),
    ("with a as (delete from data_model.orders returning id) select id from a", 1, None, "a step may not delete"),
    ("select *\nfrom (pivot {{ ref('orders') }} on id using count(*))", 2, 7, "a pivot names its values"),
    ("select 1 as id) union all\n(select content from read_text('x')", 1, 15, 'syntax error at or near ")"'),
    ("/* x */ copy (select 1 as id) to 'x.csv'", 1, 9, "this is no query"),
    ("-- Attaches.\nattach 'x.db' as x", 2, 1, "this is no query"),
    ("install httpfs", 1, 1, "this is no query"),
    ("pragma database_list", 1, 1, "this is no query"),
    ("set memory_limit = '100GB'", 1, 1, "this is no query"),
    ("select 1 as id;\ndrop table mapped.orders", 1, None, "a second statement begins here"),
]


@pytest.mark.parametrize(("text", "line", "column", "message"), OUTSIDE)
@pytest.mark.parametrize("path", ["unified/wrong.sql", "tests/wrong.sql"])
def test_a_file_of_an_analyst_reads_tables_and_nothing_else(
    small: Small, path: str, text: str, line: int, column: int | None, message: str
) -> None:
    small.write("data_model/orders.sql", GOOD)
    file = small.write(path, text)
    report = small.build()
    told = {m.name: m.error for m in report.models} | {c.name: c.error for c in report.checks if c.kind == "singular"}
    assert told["wrong"].startswith(f"{file}:{line}" if column is None else f"{file}:{line}:{column}: "), told["wrong"]
    assert message in told["wrong"] and told["orders"] is None
    assert small.rows_of("mapped.orders") == [(1, "10.00", "2025-11-01")]


def test_rows_may_be_made_of_what_a_query_itself_says(small: Small) -> None:
    small.rows = []
    small.write("data_model/orders.sql", "with recursive days as (\n  select 1 as day union all select day + 1 "
                "from days where day < 3\n)\nselect days.day, hour from days, range(2) as hours(hour) "
                "union all from (values (9, 9))\n")  # fmt: skip
    [model] = small.build().models
    assert (model.status, model.rows) == ("built", 7)


def test_the_decisions_models_are_held_to_it_too(small: Small) -> None:
    small.write("dunning/wrong.sql", "select 1 as id from read_text('/etc/hostname')")
    with pytest.raises(InvalidDeclaration, match=r"wrong.sql:1:21: read_text\(\) may not be read"):
        rendered_models(small.workspace, run_date=RUN_DATE, kind="dunning", variables={}, catalogs={}, relations={})


def test_a_mistake_that_only_rows_show_is_found_in_the_file_too(small: Small) -> None:
    small.rows = [(1, "many", "2025-11-01")]
    file = small.write("data_model/orders.sql", "select id,\n  cast(amount as decimal(19, 4)) as amount\n"
                       "from {{ source('mapped', 'orders') }}")  # fmt: skip
    [model] = small.build().models
    assert model.error.startswith(f"{file}:2:") and "many" in model.error


def test_an_unknown_test_and_broken_yaml_name_their_line(small: Small) -> None:
    small.write("data_model/orders.sql", GOOD)
    small.write(
        "data_model/schema.yml", "models:\n  - name: orders\n    columns:\n      - {name: id, data_tests: [uniqe]}\n"
    )
    with pytest.raises(InvalidDeclaration, match=r"schema.yml:4: 'uniqe' is no test"):
        small.build()
    small.write("data_model/schema.yml", "models:\n  - name: [orders\n")
    with pytest.raises(InvalidDeclaration, match=r"schema.yml:3"):
        small.build()


def test_a_template_reaches_nothing_outside_itself(small: Small) -> None:
    small.write("data_model/orders.sql", "select '{{ ref.__globals__ }}' as x")
    [model] = small.build().models
    assert model.status == "failed" and "unsafe" in model.error


def test_models_can_be_rendered_for_another_catalog(small: Small) -> None:
    small.write("data_model/orders.sql", GOOD)
    small.write("unified/late.sql", "select * from {{ ref('orders') }} where placed_on < {{ run_date() }}")
    late = render_models(
        small.workspace, run_date=RUN_DATE, select="late", catalogs={"data_model": "snapshot"}, relations={}
    )
    assert [model.name for model in late] == ["late"]
    assert late[0].sql == "select * from snapshot.data_model.orders where placed_on < cast('2025-11-03' as date)"
    assert isinstance(late[0].model.file, Path)
