"""Every mistake of an analyst names the analyst's file, line and column, and a way out."""

from pathlib import Path

import pytest

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
