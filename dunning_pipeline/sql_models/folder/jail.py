"""A model is one query over tables of this database: it opens no file, no address and no other SQL, and writes nothing.

Analysts' files run with the rights of the product; who may edit a segment may not read the machine's files by it.
"""

import json
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.sql_models.folder.sql_errors import place

# Table functions that make rows of their own arguments. All others are refused: DuckDB's read files, run SQL that
# stands in a text, or tell of the machine, and each version brings new ones.
_FUNCTIONS = frozenset(
    {"range", "generate_series", "unnest", "generate_subscripts", "repeat", "json_each", "json_tree"}
)
# DuckDB 2.0 takes `with a as (copy …)`, insert, update and delete as steps of a query
_QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_FILE = re.compile(
    r"[/\\*?\[]|\.(csv|tsv|txt|json|jsonl|ndjson|parquet|db|duckdb|sqlite|xlsx|avro)(\.\w+)?$", re.IGNORECASE
)
_COMMENTS = re.compile(r"(\s|--[^\n]*|/\*.*?\*/)*", re.DOTALL)
_PIVOT = re.compile(r"\bpivot\b", re.IGNORECASE)
_TABLES = "read tables by ref() and source(); what is in a file comes in as a data stream (policies/streams)"


class _Mistake(NamedTuple):
    message: str
    offset: int  # bytes into the SQL
    remedy: str


def refuse_what_is_no_query(sql: str, text: str, file: Path) -> None:
    """Raises InvalidDeclaration at the place in `text`, the template of `sql`, that does more than read tables."""
    if (found := _first_mistake(sql)) is not None:
        line, column = place(sql, text, found.offset)
        raise InvalidDeclaration(found.message, file=file, line=line, column=column, remedy=found.remedy)


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1, "enable_external_access": False})


@lru_cache(maxsize=1000)  # a server renders the same files again and again
def _first_mistake(sql: str) -> _Mistake | None:
    with _parser().cursor() as con:
        serialised = (
            "json_serialize_sql(cast(? as varchar), skip_null := true, skip_empty := true, skip_default := true)"
        )
        [(answer,)] = con.execute(f"select {serialised}", [sql]).fetchall()
    read = json.loads(answer)
    if read["error"] and read["error_type"] == "parser":  # SQL of ours around it might make it whole
        return _Mistake(read["error_message"], int(read.get("position", 0)), "correct the SQL at this place")
    statements = duckdb.extract_statements(sql)
    if len(statements) > 1:
        first = statements[0].query.rstrip()
        end = len(sql[: sql.find(first) + len(first)].encode())
        return _Mistake(
            "a second statement begins here: a model is one query", end, "remove what follows the semicolon"
        )
    if read["error"] and (pivot := _PIVOT.search(sql)) and statements[0].type is duckdb.StatementType.MULTI:
        message = "a pivot names its values: columns that depend on the rows cannot be checked before they are read"
        return _Mistake(message, len(sql[: pivot.start()].encode()), "write `pivot … on kind in ('a', 'b')`")
    if read["error"]:
        begin = len(_COMMENTS.match(sql)[0].encode())  # type: ignore[index]  # it fits every text
        return _Mistake("this is no query: a model is one `select`", begin, "begin it with `with` or `select`")
    return next(_mistakes(read.get("statements")), None)


def _mistakes(node: Any) -> Iterator[_Mistake]:
    for inner in node if isinstance(node, list) else node.values() if isinstance(node, dict) else ():
        yield from _mistakes(inner)
    kind = node.get("type") if isinstance(node, dict) else None
    if not isinstance(kind, str):
        return
    if kind == "TABLE_FUNCTION" and node["function"]["function_name"].lower() not in _FUNCTIONS:
        name = node["function"]["function_name"]
        yield _Mistake(f"{name}() may not be read: a model reads tables", _offset(node), _TABLES)
    elif kind == "BASE_TABLE":
        name = ".".join(filter(None, (node.get(part) for part in ("catalog_name", "schema_name", "table_name"))))
        if _FILE.search(name):
            yield _Mistake(f"{name!r} is a file or an address: a model reads tables", _offset(node), _TABLES)
    elif kind.endswith("_NODE") and kind not in _QUERIES:
        verb = kind.removesuffix("_NODE").removesuffix("_QUERY").lower()
        yield _Mistake(f"a step may not {verb}: a model is one query and changes nothing", _offset(node), "remove it")


def _offset(node: Any) -> int:
    """Where the node begins; where it does not say so, its first part that does."""
    if isinstance(node, dict) and isinstance(at := node.get("query_location"), int):
        return at
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return min((offset for part in parts if (offset := _offset(part))), default=0)
