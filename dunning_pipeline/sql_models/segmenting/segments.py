"""Segments as analysts edit them: what there is, with which parameters, and who would be in it right now."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import duckdb

from dunning_pipeline.errors import InvalidDeclaration, InvalidInput, NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.folder.project import MEMBER, WATERFALLS, Model, Project, load_project, read_model_file
from dunning_pipeline.sql_models.folder.sql_errors import explained, not_a_segment
from dunning_pipeline.sql_models.folder.templating import calls_of, did_you_mean
from dunning_pipeline.sql_models.reading import Rows
from dunning_pipeline.sql_models.runner import Renderer, folder_of
from dunning_pipeline.sql_models.snapshot import open_snapshot, snapshot_date
from dunning_pipeline.sql_models.time_limit import time_limit

SCHEMA = "segments"


@dataclass(frozen=True)
class Parameter:
    """A value that a custom segment lets a person fill in: decimal, integer, date or text."""

    name: str
    type: str
    description: str
    default: Any


@dataclass(frozen=True)
class Segment:
    """One segment as declared; `sql_sha256` changes when its file does."""

    name: str
    kind: str  # standard | custom | waterfall
    owner: str | None
    description: str
    parameters: tuple[Parameter, ...]
    model: Model

    @property
    def sql_sha256(self) -> str:
        return hashlib.sha256(self.model.text.encode()).hexdigest()


def load_segments(ws: Workspace, project: Project | None = None) -> list[Segment]:
    """Every segment of the workspace, waterfalls included, by name."""
    project = project or load_project(folder_of(ws))
    models = sorted((m for m in project.models.values() if m.schema == SCHEMA), key=lambda m: m.name)
    return [_segment(model) for model in models]


def find_segment(ws: Workspace, name: str, project: Project | None = None) -> Segment:
    """The segment of that name; raises NotThere with the nearest one."""
    segments = {segment.name: segment for segment in load_segments(ws, project)}
    if name not in segments:
        raise NotThere(f"no segment {name!r}", remedy=did_you_mean(name, segments, "see `dunning segment list`"))
    return segments[name]


def _segment(model: Model) -> Segment:
    declared = model.meta.get("parameters") or {}
    kind = "waterfall" if model.file.name == WATERFALLS else "custom" if declared else "standard"
    first = re.split(r"(?<=\.)\s+Owner:|\nOwner:", model.header)[0].replace("\n", " ")
    parameters = tuple(
        Parameter(name, str(entry.get("type", "text")), str(entry.get("description", "")), _default(model, name))
        for name, entry in declared.items()
    )
    return Segment(model.name, kind, model.owner, first, parameters, model)


def _default(model: Model, name: str) -> Any:
    for call in calls_of(model.text, model.file, ("var",)):
        if len(call.arguments) > 1 and call.arguments[0] == name:
            return call.arguments[1]
    return None


def checked_parameters(segment: Segment, values: Mapping[str, str]) -> dict[str, Any]:
    """What a person wrote as values that may stand in SQL; raises InvalidInput for unknown names and wrong types."""
    known = {parameter.name: parameter for parameter in segment.parameters}
    checked = {}
    for name, text in values.items():
        if name not in known:
            hint = did_you_mean(name, known, "this segment declares no such parameter")
            raise InvalidInput(f"{segment.name} has no parameter {name!r}", remedy=hint)
        checked[name] = _checked(known[name], text)
    return checked


def _checked(parameter: Parameter, text: str) -> Any:
    try:
        if parameter.type == "decimal":
            number = Decimal(text)
            if number.is_finite():
                return f"{number:f}"
            raise ValueError
        if parameter.type == "integer":
            return int(text)
        if parameter.type == "date":
            return date.fromisoformat(text).isoformat()
    except (ValueError, InvalidOperation):
        raise InvalidInput(f"{parameter.name} must be a {parameter.type}", value=text) from None
    return text.replace("'", "''")  # stands between quotes in the SQL


@contextmanager
def members_query(
    ws: Workspace,
    name: str,
    *,
    parameters: Mapping[str, str] | None = None,
    run_date: date | None = None,
    text: str | None = None,
) -> Iterator[tuple[duckdb.DuckDBPyConnection, str, Segment]]:
    """A snapshot connection with the segment's SQL, bound and good to run on it.

    `text` is an edited, unsaved version of the file. The business date is the snapshot's unless one is given.
    Raises InvalidDeclaration at the analyst's line, NotThere before the first build.
    """
    project = load_project(folder_of(ws))
    segment = find_segment(ws, name, project)
    model = segment.model
    if text is not None:
        model = read_model_file(model.file, text, set(project.models), project.sources, model.properties)
        segment = _segment(model)
    con = open_snapshot(ws)
    try:
        variables = checked_parameters(segment, parameters or {})
        renderer = Renderer(project, run_date=run_date or snapshot_date(con), variables=variables)
        sql = renderer.render(model)
        with time_limit(con, model, project.variables):
            _bind(con, sql, model)
            yield con, sql, segment
    finally:
        con.close()


def _bind(con: duckdb.DuckDBPyConnection, sql: str, model: Model) -> None:
    con.execute("set errors_as_json = true")
    with explaining(sql, model, prefix="describe "):
        columns = con.execute(f"describe {sql}").fetchall()
    if MEMBER not in {row[0] for row in columns}:
        raise not_a_segment(model)


@contextmanager
def explaining(sql: str, model: Model, *, prefix: str) -> Iterator[None]:
    """What DuckDB says of `prefix + sql` and whatever follows it, at the analyst's line."""
    try:
        yield
    except duckdb.Error as error:
        raise explained(error, rendered=sql, text=model.text, file=model.file, prefix=prefix) from None


def refuse_doubled(con: duckdb.DuckDBPyConnection, sql: str, model: Model) -> None:
    """Raises InvalidDeclaration where the segment's SQL yields an account twice or a row without one."""
    prefix = f"select count({MEMBER}) - count(distinct {MEMBER}), count(*) - count({MEMBER}) from (\n"
    with explaining(sql, model, prefix=prefix):
        twice, without = con.execute(f"{prefix}{sql}\n)").fetchall()[0]
    if twice or without:
        raise InvalidDeclaration(
            f"a segment has one row per account: {twice} rows are of one that is there already, {without} of none",
            file=model.file,
            line=len(model.text.rstrip().splitlines()) or 1,
            remedy=f"end with `select distinct {MEMBER}` or group by it, and leave out what is null",
        )


def preview(
    ws: Workspace,
    name: str,
    *,
    parameters: Mapping[str, str] | None = None,
    run_date: date | None = None,
    text: str | None = None,
    limit: int | None = None,
) -> Rows:
    """The rows that the segment's file yields now, with the account's name, on the published snapshot.

    Nothing is written. One SELECT, whatever the other files look like. Raises as members_query does.
    """
    with members_query(ws, name, parameters=parameters, run_date=run_date, text=text) as (con, sql, segment):
        bounded = f"\nlimit {int(limit)}" if limit is not None else ""
        prefix = "with members as (\n"
        named = (
            f"{prefix}{sql}\n)\nselect members.*, profiles.name as account_name from members\n"
            f"left join unified.unified_accounts as profiles on profiles.{MEMBER} = members.{MEMBER}\n"
            f"order by members.{MEMBER}{bounded}"
        )
        with explaining(sql, segment.model, prefix=prefix):
            return Rows(con.sql(named).to_arrow_table())
