"""A level's `condition`: a SQL boolean over account.*, invoice.*, bill_group.*, plan.*, checked and made runnable."""

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.settings.yaml_files import read_yaml

if TYPE_CHECKING:
    from sqlglot import exp

# What an analyst may ask about besides the columns of the data model.
_COMPUTED = {
    "invoice": (
        "instalment", "due_date", "effective_due_date", "days_overdue", "original_amount", "open_amount",
        "is_disputed", "is_promised", "is_broken_promise", "last_level", "last_sent_on", "bill_group_key",
    ),
}  # fmt: skip
_TABLES = {"account": "accounts", "invoice": "invoices", "bill_group": "bill_groups", "plan": "collection_plans"}
# Most conditions are one comparison of a field with a constant; those are read without loading a parser of all SQL.
_SIMPLE = re.compile(
    r"(?i)\s*([a-z_]+)\.([a-z_0-9]+)\s*(=|<>|<=|>=|<|>|is(?:\s+not)?(?:\s+distinct\s+from)?)\s*"
    r"(true|false|null|'[^'\\]*'|-?\d+(?:\.\d+)?)\s*"
)
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
    if (simple := _SIMPLE.fullmatch(text)) and (field := _field(simple[1], simple[2])):
        return f"{field} {' '.join(simple[3].upper().split())} {simple[4]}"
    return _parsed(text)


def _parsed(text: str) -> str:
    import sqlglot
    from sqlglot import exp

    forbidden = (
        exp.Query, exp.Subquery, exp.Table, exp.Command, exp.Window, exp.Star, exp.Parameter, exp.Placeholder,
    )  # fmt: skip
    # no function reads a file, a clock or another table
    functions = (
        exp.Connector, exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Lower, exp.Upper, exp.Trim, exp.Length, exp.Abs,
        exp.Round, exp.Greatest, exp.Least, exp.Cast, exp.TryCast, exp.StartsWith, exp.Contains, exp.RegexpLike,
        exp.RegexpFullMatch, exp.Year, exp.Month, exp.Substring, exp.Replace,
    )  # fmt: skip
    try:
        tree = sqlglot.parse_one(text, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise InvalidDeclaration(
            f"condition is no SQL: {str(error).splitlines()[0]}", remedy="write one SQL boolean"
        ) from None
    for node in tree.walk():
        if isinstance(node, forbidden) or (isinstance(node, exp.Func) and not isinstance(node, functions)):
            raise InvalidDeclaration(
                f"condition may not use {node.sql(dialect='duckdb')!r}",
                remedy="compare fields of account, invoice, bill_group and plan; for more write a segment",
            )
        if isinstance(node, exp.Column):
            _resolve(node)
    return tree.sql(dialect="duckdb")


def _resolve(column: "exp.Column") -> None:
    from sqlglot import exp

    table = column.table.lower()
    if table not in _TABLES:
        raise InvalidDeclaration(
            f"condition names {column.sql()!r}",
            remedy="write account.<field>, invoice.<field>, bill_group.<field> or plan.<field>",
        )
    name = _field(table, column.name)
    if name is None:
        raise InvalidDeclaration(
            f"condition names {column.sql()!r}, which does not exist",
            remedy=f"fields of {table}: {', '.join(sorted(set(_fields()[table].values())))}",
        )
    column.set("this", exp.to_identifier(name.partition(".")[2]))
    column.set("table", exp.to_identifier(table))


def _field(table: str, name: str) -> str | None:
    """The field as the models have it (invoice.due_date); None where there is none."""
    known = _fields().get(table.lower(), {}).get(_plain(name))
    return f"{table.lower()}.{known}" if known else None


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
