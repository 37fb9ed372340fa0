"""Checks every model before the first write: binds them in order against empty copies of the tables they read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import duckdb

from dunning_pipeline.errors import DunningError, InvalidDeclaration
from dunning_pipeline.sql_models.folder.project import MEMBER, Model, Project
from dunning_pipeline.sql_models.folder.sql_errors import explained, not_a_segment
from dunning_pipeline.sql_models.runner import Renderer
from dunning_pipeline.sql_models.shapes import Columns, columns_of, quoted

CHECKING = "checking"  # in-memory catalog of the empty copies


@dataclass
class Bound:
    """What the check found: the columns of each good model, and what is wrong with each bad one."""

    columns: dict[str, Columns] = field(default_factory=dict)
    errors: dict[str, DunningError] = field(default_factory=dict)


def bind_models(con: duckdb.DuckDBPyConnection, project: Project, renderer: Renderer, models: Iterable[Model]) -> Bound:
    """Bind `models` (in dependency order) without reading or writing a row.

    `renderer` must send every schema of the project to the catalog CHECKING. Models that are not among them are
    taken as they stand in the warehouse. A descendant of a bad model is not checked.
    """
    bound = Bound()
    con.execute(f"attach if not exists ':memory:' as {CHECKING}")
    con.execute("set errors_as_json = true")
    try:
        chosen = list(models)
        names = {model.name for model in chosen}
        for model in chosen:
            if any(ref in names and ref not in bound.columns for ref in model.refs):
                continue
            _bind(con, project, renderer, model, bound)
    finally:
        con.execute("set errors_as_json = false")
        con.execute(f"detach {CHECKING}")
    return bound


def _bind(con: duckdb.DuckDBPyConnection, project: Project, renderer: Renderer, model: Model, bound: Bound) -> None:
    sql = ""
    prefix = f"create or replace table {CHECKING}.{quoted(model.schema)}.{quoted(model.name)} as "
    try:
        sql = renderer.render(model)
        _copy_inputs(con, project, model, bound)
        con.execute(f"create schema if not exists {CHECKING}.{quoted(model.schema)}")
        con.execute(f"{prefix}{sql}\nwith no data")
    except duckdb.Error as error:
        bound.errors[model.name] = explained(error, rendered=sql, text=model.text, file=model.file, prefix=prefix)
    except DunningError as error:
        bound.errors[model.name] = error
    else:
        columns = columns_of(con, model.schema, model.name, catalog=CHECKING)
        if model.schema == "segments" and MEMBER not in columns:
            bound.errors[model.name] = not_a_segment(model)
        else:
            bound.columns[model.name] = columns


def _copy_inputs(con: duckdb.DuckDBPyConnection, project: Project, model: Model, bound: Bound) -> None:
    others = [(project.models[r].schema, r) for r in model.refs if r in project.models and r not in bound.columns]
    for schema, table in [*model.sources, *others]:
        if columns_of(con, schema, table, catalog=CHECKING):
            continue
        columns = columns_of(con, schema, table) or project.sources.get((schema, table), {})
        if not columns:
            raise InvalidDeclaration(
                f"{schema}.{table} is not in the warehouse yet",
                file=model.file,
                line=next((n for n, text in enumerate(model.text.splitlines(), 1) if table in text), 1),
                remedy="build it first (`dunning ingest`, `dunning build`), or declare its columns under `sources:`",
            )
        make_empty(con, schema, table, columns, catalog=CHECKING)


def make_empty(
    con: duckdb.DuckDBPyConnection, schema: str, table: str, columns: Mapping[str, str], catalog: str | None = None
) -> None:
    """An empty table with the given columns (name → DuckDB type)."""
    parent = ".".join(quoted(part) for part in ([catalog] if catalog else []) + [schema])
    con.execute(f"create schema if not exists {parent}")
    body = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns.items())
    con.execute(f"create table {parent}.{quoted(table)} ({body})")
