"""One model becomes a table or a view; one whose meta names `slices_of` is made in parts that fit into memory."""

from collections.abc import Callable

import duckdb

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.sql_models.folder.project import Model, Project
from dunning_pipeline.sql_models.folder.sql_errors import explained
from dunning_pipeline.sql_models.folder.templating import did_you_mean
from dunning_pipeline.sql_models.runner import Renderer
from dunning_pipeline.sql_models.shapes import quoted

SLICE_ROWS = 1_650_000  # of the tables that `slices_of` names together: one part stays below the build's memory


def create(
    con: duckdb.DuckDBPyConnection,
    name: str,
    model: Model,
    project: Project,
    rendering: Callable[..., Renderer],
    *,
    finer: int = 1,
) -> None:
    """Create `name` (quoted, with its schema) from the model's SELECT; `rendering` gives a renderer with variables.

    A model in slices has `finer` times as many as its rows ask for. Raises InvalidDeclaration at the analyst's file,
    line and column for SQL that cannot be run, and duckdb.OutOfMemoryException where more slices would help.
    """
    slices = _slices(con, model, project) * finer
    if slices == 1:
        _run(con, f"create {'view' if model.is_view else 'table'} {name} as ", model, rendering())
        return
    for number in range(slices):
        renderer = rendering(slices=slices, slice=number)
        _make_views(con, model, project, renderer)
        _run(con, f"insert into {name} " if number else f"create table {name} as ", model, renderer)
    _make_views(con, model, project, rendering())


def _slices(con: duckdb.DuckDBPyConnection, model: Model, project: Project) -> int:
    rows = 0
    for name in model.meta.get("slices_of", ()):
        if name not in project.models:
            hint = did_you_mean(name, project.models, "there is no file of that name")
            raise InvalidDeclaration(f"slices_of names no model: {name!r}", file=model.file, line=1, remedy=hint)
        table = project.models[name]
        rows += con.table(f"{quoted(table.schema)}.{quoted(table.name)}").count("*").fetchall()[0][0]
    return max(1, -(-rows // SLICE_ROWS))


def _make_views(con: duckdb.DuckDBPyConnection, model: Model, project: Project, renderer: Renderer) -> None:
    """The views that the model reads, narrowed to the renderer's slice: no filter reaches into them from outside."""
    for view in (project.models[ref] for ref in model.refs if project.models[ref].is_view):
        con.execute(f"create or replace view {quoted(view.schema)}.{quoted(view.name)} as {renderer.render(view)}")


def _run(con: duckdb.DuckDBPyConnection, prefix: str, model: Model, renderer: Renderer) -> None:
    sql = renderer.render(model)
    try:
        con.execute(f"{prefix}{sql}")
    except duckdb.Error as error:
        if isinstance(error, duckdb.OutOfMemoryException) and model.meta.get("slices_of"):
            raise
        raise explained(error, rendered=sql, text=model.text, file=model.file, prefix=prefix) from None
