"""Which columns a column comes from: read out of the SQL by sqlglot, kept by the text that it was read from."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.lineage import Node, lineage

from dunning_pipeline.errors import DunningError
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.folder.project import Model, Project, load_project
from dunning_pipeline.sql_models.runner import Renderer, folder_of
from dunning_pipeline.sql_models.snapshot import open_snapshot

Origins = dict[str, list[tuple[str, str]]]  # column → [(schema.table, column), …]


def column_lineage(ws: Workspace, project: Project | None = None) -> dict[str, Origins]:
    """For each model ("schema.name"), each column's columns of origin in the models and sources that it reads.

    Needs a published snapshot for the models' columns; models that cannot be followed are left out. Results are kept
    in `.dunning/lineage.json` under the hash of SQL and columns, so that an unchanged model costs nothing.
    """
    project = project or load_project(folder_of(ws))
    renderer = Renderer(project, run_date=date(2025, 1, 1))
    schema = _published_columns(ws)
    kept_in = ws.state / "lineage.json"
    kept = json.loads(kept_in.read_text(encoding="utf-8")) if kept_in.is_file() else {}
    found, used = {}, {}
    for model in project.models.values():
        if model.error is not None or model.name not in schema.get(model.schema, {}):
            continue
        try:
            sql = renderer.render(model)
        except DunningError:
            continue  # edited since it was published; a build tells what is wrong with it
        key = _key(sql, model, project, schema)
        used[key] = kept[key] if key in kept else _origins(sql, _read_by(model, project, schema))
        found[model.key] = {column: [(t, c) for t, c in origins] for column, origins in used[key].items()}
    if used != kept:
        kept_in.parent.mkdir(parents=True, exist_ok=True)
        kept_in.write_text(json.dumps(used), encoding="utf-8")
    return found


def _published_columns(ws: Workspace) -> dict[str, dict[str, dict[str, str]]]:
    con = open_snapshot(ws)
    try:
        rows = con.execute(
            "select schema_name, table_name, column_name, data_type from duckdb_columns() "
            "where not internal order by schema_name, table_name, column_index"
        ).fetchall()
    finally:
        con.close()
    columns: dict[str, dict[str, dict[str, str]]] = {}
    for schema, table, column, kind in rows:
        columns.setdefault(schema, {}).setdefault(table, {})[column] = kind
    return columns


def _read_by(model: Model, project: Project, schema: Mapping[str, Any]) -> dict[str, dict[str, dict[str, str]]]:
    """The tables that the model reads, as far as their columns are known."""
    read = [(project.models[ref].schema, ref) for ref in model.refs if ref in project.models] + list(model.sources)
    shapes: dict[str, dict[str, dict[str, str]]] = {}
    for part, table in read:
        if columns := schema.get(part, {}).get(table):
            shapes.setdefault(part, {})[table] = columns
    return shapes


def _key(sql: str, model: Model, project: Project, schema: Mapping[str, Any]) -> str:
    shapes = json.dumps(_read_by(model, project, schema), sort_keys=True)
    return hashlib.sha256(f"{sql}\n{shapes}".encode()).hexdigest()


def _origins(sql: str, schema: Mapping[str, Any]) -> Origins:
    try:
        # trimming copies each statement once per column: five times the time, and nobody shows the text
        roots = lineage(None, sql, dict(schema), dialect="duckdb", trim_selects=False)
    except (sqlglot.errors.SqlglotError, ValueError, KeyError):
        return {}
    assert isinstance(roots, dict)
    return {column: _leaves(root) for column, root in roots.items()}


def _leaves(root: Node) -> list[tuple[str, str]]:
    return sorted(
        {
            (f"{node.source.db}.{node.source.name}", node.name.rsplit(".", maxsplit=1)[-1].strip('"'))
            for node in root.walk()
            if isinstance(node.source, exp.Table) and not node.downstream
        }
    )
