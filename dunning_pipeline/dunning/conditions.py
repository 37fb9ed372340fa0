"""A level's `condition`: a SQL boolean over account.*, invoice.*, bill_group.*, plan.*, checked and made runnable."""

from functools import cache, lru_cache
from pathlib import Path

import sqlglot
from sqlglot import exp

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.settings.yaml_files import read_yaml

# What an analyst may ask about besides the columns of the data model.
_COMPUTED = {
    "invoice": (
        "instalment", "due_date", "effective_due_date", "days_overdue", "original_amount", "open_amount",
        "is_disputed", "is_promised", "is_broken_promise", "last_level", "last_sent_on", "bill_group_key",
    ),
}  # fmt: skip
_TABLES = {"account": "accounts", "invoice": "invoices", "bill_group": "bill_groups", "plan": "collection_plans"}
_FORBIDDEN = (exp.Query, exp.Subquery, exp.Table, exp.Command, exp.Window, exp.Star, exp.Parameter, exp.Placeholder)
# No function reads a file, a clock or another table.
_FUNCTIONS = (
    exp.Connector, exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Lower, exp.Upper, exp.Trim, exp.Length, exp.Abs,
    exp.Round, exp.Greatest, exp.Least, exp.Cast, exp.TryCast, exp.StartsWith, exp.Contains, exp.RegexpLike,
    exp.RegexpFullMatch, exp.Year, exp.Month, exp.Substring, exp.Replace,
)  # fmt: skip
_MODELS = Path(__file__).resolve().parents[2] / "dbt_like_sql" / "data_model" / "schema.yml"
_SHIPPED = Path(__file__).resolve().parents[1] / "shipped" / "dbt_like_sql" / "data_model" / "schema.yml"


def check_condition(text: str) -> None:
    """Raise InvalidDeclaration (without a place) for anything but one boolean expression over known fields."""
    render_condition(text)


@lru_cache(maxsize=1024)
def render_condition(text: str) -> str:
    """The condition as DuckDB SQL over the aliases account, invoice, bill_group and plan; empty = true.

    Fields are matched without case, underscores and Salesforce's `__c`: account.PreventDunning__c is
    account.prevent_dunning.
    """
    if not text.strip():
        return "true"
    try:
        tree = sqlglot.parse_one(text, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise InvalidDeclaration(
            f"condition is no SQL: {str(error).splitlines()[0]}", remedy="write one SQL boolean"
        ) from None
    for node in tree.walk():
        if isinstance(node, _FORBIDDEN) or (isinstance(node, exp.Func) and not isinstance(node, _FUNCTIONS)):
            raise InvalidDeclaration(
                f"condition may not use {node.sql(dialect='duckdb')!r}",
                remedy="compare fields of account, invoice, bill_group and plan; for more write a segment",
            )
        if isinstance(node, exp.Column):
            _resolve(node)
    return tree.sql(dialect="duckdb")


def _resolve(column: exp.Column) -> None:
    table = column.table.lower()
    if table not in _TABLES:
        raise InvalidDeclaration(
            f"condition names {column.sql()!r}",
            remedy="write account.<field>, invoice.<field>, bill_group.<field> or plan.<field>",
        )
    known = _fields()[table]
    name = known.get(_plain(column.name))
    if name is None:
        raise InvalidDeclaration(
            f"condition names {column.sql()!r}, which does not exist",
            remedy=f"fields of {table}: {', '.join(sorted(set(known.values())))}",
        )
    column.set("this", exp.to_identifier(name))
    column.set("table", exp.to_identifier(table))


@cache
def _fields() -> dict[str, dict[str, str]]:
    file = _MODELS if _MODELS.is_file() else _SHIPPED
    declared = read_yaml(file)
    columns = {model["name"]: [column["name"] for column in model["columns"]] for model in declared["models"]}
    return {
        alias: {_plain(name): name for name in (*columns[model], *_COMPUTED.get(alias, ()))}
        for alias, model in _TABLES.items()
    }


def _plain(name: str) -> str:
    return name.lower().removesuffix("__c").replace("_", "")
