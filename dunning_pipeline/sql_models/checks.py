"""Runs the declared checks of models; a check's rows are the failing ones, and they are kept to be looked at."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.sql_models.folder.project import Check
from dunning_pipeline.sql_models.folder.sql_errors import message_of
from dunning_pipeline.sql_models.runner import Renderer
from dunning_pipeline.sql_models.shapes import quoted
from dunning_pipeline.sql_models.time_limit import check_limit

KEPT_ROWS = 500  # failing rows kept per check
CHECKS_SCHEMA = "checks"


@dataclass(frozen=True)
class CheckResult:
    """How one check went; `failures` counts all failing rows, `kept_in` holds the first of them."""

    name: str
    model: str | None
    kind: str
    column: str | None
    severity: str
    status: str  # passed | failed | broken
    failures: int = 0
    kept_in: str | None = None
    error: str | None = None

    @property
    def is_blocking_failure(self) -> bool:
        return self.status != "passed" and self.severity == "error"


def check_sql(check: Check, table: str, renderer: Renderer) -> str:
    """The SELECT of the failing rows of `table`; raises InvalidDeclaration for a check that cannot be read."""
    column = quoted(check.column or "")
    if check.kind == "singular":
        return renderer.render_text(check.text, check.file)
    if check.kind == "unique":
        return (
            f"select {column}, count(*) as row_count from {table} "
            f"where {column} is not null group by {column} having count(*) > 1"
        )
    if check.kind == "not_null":
        return f"select * from {table} where {column} is null"
    if check.kind == "accepted_values":
        values = ", ".join("'" + str(value).replace("'", "''") + "'" for value in check.arguments["values"])
        return f"select * from {table} where cast({column} as varchar) not in ({values})"
    parent = _parent(check, renderer)
    field = quoted(str(check.arguments["field"]))
    return f"select child.* from {table} as child anti join {parent} as parent on child.{column} = parent.{field} " + (
        f"where child.{column} is not null"
    )


def _parent(check: Check, renderer: Renderer) -> str:
    found = re.search(r"ref\(\s*['\"](\w+)['\"]\s*\)", str(check.arguments.get("to", "")))
    model = renderer.project.models.get(found.group(1)) if found else None
    if model is None:
        raise InvalidDeclaration(
            f"{check.name}: `to: {check.arguments.get('to')}` names no model",
            file=check.file,
            line=check.line,
            remedy="write it as to: ref('accounts')",
        )
    return renderer.relation(model.schema, model.name)


def run_checks(
    con: duckdb.DuckDBPyConnection, checks: Iterable[Check], renderer: Renderer, *, table: str = ""
) -> list[CheckResult]:
    """Run the checks of one table (its full name, which may be the one built aside), or singular tests."""
    checks = list(checks)
    nulls = _null_counts(con, [c for c in checks if c.kind == "not_null"], renderer, table)
    return [_run(con, check, renderer, table, nulls.get(check.name)) for check in checks]


def _null_counts(con: duckdb.DuckDBPyConnection, checks: list[Check], renderer: Renderer, table: str) -> dict[str, int]:
    """All not_null checks of a table in one pass."""
    if not checks:
        return {}
    counts = ", ".join(f"count(*) filter (where {quoted(c.column or '')} is null)" for c in checks)
    try:
        with check_limit(con, checks[0], renderer.project.variables):
            row = con.execute(f"select {counts} from {table}").fetchone() or ()
    except (duckdb.Error, InvalidDeclaration):
        return {}  # one of the columns is not there: each check then says so itself
    return {check.name: count for check, count in zip(checks, row, strict=True)}


def _run(
    con: duckdb.DuckDBPyConnection, check: Check, renderer: Renderer, table: str, known: int | None
) -> CheckResult:
    failures, error, kept_in = known or 0, None, None
    kept = f"{CHECKS_SCHEMA}.{quoted(check.name)}"
    con.execute(f"drop table if exists {kept}")
    if known != 0:
        try:
            sql = check_sql(check, table, renderer)
            with check_limit(con, check, renderer.project.variables):
                failures = (con.execute(f"select count(*) from (\n{sql}\n)").fetchone() or (0,))[0]
                if failures:
                    con.execute(f"create table {kept} as select * from (\n{sql}\n) limit {KEPT_ROWS}")
                    kept_in = kept
        except duckdb.Error as broken:
            error = f"{check.file}:{check.line}: {message_of(broken)}"
        except InvalidDeclaration as broken:
            error = str(broken)
    status = "broken" if error else "failed" if failures else "passed"
    return CheckResult(
        check.name, check.model, check.kind, check.column, check.severity, status, failures, kept_in, error
    )
