"""What the catalogue shows of a model after it ran: row count, first rows, columns and where each comes from."""

from types import TracebackType
from typing import Any

import dagster as dg

from assets.model_specs import TESTS
from assets.place import model_key
from assets.tables import as_markdown
from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.building import ModelResult
from dunning_pipeline.sql_models.checks import CheckResult
from dunning_pipeline.sql_models.folder.project import Project
from dunning_pipeline.sql_models.lineage import Origins, column_lineage
from dunning_pipeline.sql_models.warehouse import open_warehouse

SHOWN_ROWS = 5
SHOWN_FAILURES = 20


class Shown:
    """Reads what is to be shown of freshly built models; opened once for all of them, while the step holds the pool."""

    def __init__(self, ws: Workspace, project: Project) -> None:
        self._ws = ws
        self._warehouse = open_warehouse(ws)
        self._project = project
        self._lineage: dict[str, Origins] | None = None

    def __enter__(self) -> "Shown":
        self._con = self._warehouse.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._warehouse.__exit__(kind, error, at)

    def model(self, result: ModelResult) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "dagster/row_count": result.rows,
            "seconds": round(result.seconds, 3),
            "first rows": dg.MetadataValue.md(self.rows(result.schema, result.name, SHOWN_ROWS)),
            "dagster/column_schema": self._columns(result),
        }
        lineage = self._column_lineage(result)
        if lineage is not None:
            metadata["dagster/column_lineage"] = lineage
        return metadata

    def rows(self, schema: str, table: str, count: int) -> str:
        """The first rows as Markdown, personal data masked; long documents are cut."""
        relation = self._con.table(f'"{schema}"."{table}"').limit(count)
        names = relation.columns
        return as_markdown([dict(zip(names, row, strict=True)) for row in relation.fetchall()], masked=True)

    def identity(self) -> dict[str, Any]:
        tables = self._con.execute("select table_name from duckdb_tables() where schema_name = 'identity' order by 1")
        counts = {
            name: self._con.table(f'"identity"."{name}"').count("*").fetchall()[0][0] for (name,) in tables.fetchall()
        }
        return {name: int(count) for name, count in counts.items()}

    def _columns(self, result: ModelResult) -> dg.TableSchema:
        declared = self._project.models[result.name].properties.columns
        return dg.TableSchema(
            [
                dg.TableColumn(
                    name, str(kind).lower(), description=str(declared.get(name, {}).get("description") or "") or None
                )
                for name, kind in result.columns.items()
            ]
        )

    def _column_lineage(self, result: ModelResult) -> dg.TableColumnLineage | None:
        """Where each column comes from; None where the SQL cannot be followed, or nothing is published yet."""
        if self._lineage is None:
            try:
                self._lineage = column_lineage(self._ws, self._project)
            except NotThere:
                self._lineage = {}
        origins = self._lineage.get(result.key)
        if not origins:
            return None
        known = {model.key: model_key(model.schema, model.name) for model in self._project.models.values()}
        return dg.TableColumnLineage(
            {
                column: [dg.TableColumnDep(known[table], name) for table, name in sources if table in known]
                for column, sources in origins.items()
            }
        )


def outcome_of_tests(
    result: ModelResult, key: dg.AssetKey, tests: list[CheckResult], shown: Shown
) -> dg.AssetCheckResult:
    """The tests of one model as one check: how many rows failed in each, and the first of them as far as kept."""
    failed = [test for test in tests if test.status != "passed"]
    is_error = result.status != "built" or any(test.is_blocking_failure for test in failed)
    rows = [{"test": test.name, "severity": test.severity, "failing rows": test.failures} for test in tests]
    metadata: dict[str, Any] = {"tests": dg.MetadataValue.md(as_markdown(rows, longest=200))}
    for test in failed:
        metadata[test.name] = dg.MetadataValue.md(test.error or _failing_rows(test, shown))
    return dg.AssetCheckResult(
        check_name=TESTS,
        asset_key=key,
        passed=result.status == "built" and not failed,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description=result.error or f"{len(failed)} of {len(tests)} tests failed",
        metadata=metadata,
    )


def _failing_rows(test: CheckResult, shown: Shown) -> str:
    if not test.kept_in:
        return f"{test.failures} failing rows"
    schema, _, table = test.kept_in.partition(".")
    rows = shown.rows(schema, table.strip('"'), SHOWN_FAILURES)
    return f"{test.failures} failing rows, in `{test.kept_in}` of the snapshot:\n\n{rows}"
