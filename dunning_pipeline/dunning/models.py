"""Reads and renders the SQL files of dbt_like_sql/dunning for the scratch database, without the rest of the project."""

from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import orjson

from dunning_pipeline.ledger.types import canonical_json
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.folder.project import Model, Project, read_model_file
from dunning_pipeline.sql_models.runner import RenderedModel, Renderer, folder_of

FOLDER = "dunning"
_DATE = date(1, 1, 1)  # stands for the run date until it is known; no model names this day
Part = Literal["all", "debts", "recipients"]
# What a run does not need: models of the other kind of statement, and those that only people ask for (`up_to`).
_BALANCES = ("invoice_balances", "account_balances")
_KINDS = {
    "dunning": ("account_statements", "account_statement_details"),
    "account": ("proposed_statements", "draft_channels"),
}


class _AnySource(dict[tuple[str, str], Mapping[str, str]]):
    """Sources are tables of the scratch database; whether they are declared for the build does not matter here."""

    def __contains__(self, key: object) -> bool:
        return True


def rendered_models(
    ws: Workspace,
    *,
    run_date: date,
    kind: str,
    variables: Mapping[str, Any],
    catalogs: Mapping[str, str],
    relations: Mapping[str, str],
    part: Part = "all",
    up_to: str | None = None,
) -> list[RenderedModel]:
    """The decision's models in dependency order, those of the other kind of statement left out.

    `part` "recipients" is who is written to and what depends on it, "debts" everything before; `up_to` names one
    model: only it and what it stands on. Raises InvalidDeclaration with the analyst's file and line.
    """
    arguments = canonical_json({"variables": variables, "catalogs": catalogs, "relations": relations})
    return [
        RenderedModel(model, sql.replace(_DATE.isoformat(), run_date.isoformat()))
        for model, sql in _rendered(*_files(ws), kind, arguments, part, up_to)
    ]


def ledger_tables(ws: Workspace, model: str) -> frozenset[str]:
    """The tables of `ops` that a model and what it stands on read."""
    read = _read(*_files(ws), model).models.values()
    return frozenset(table for one in read for source, table in one.sources if source == "ops")


@lru_cache(maxsize=32)
def _rendered(
    folder: Path, files: tuple[tuple[Path, int, int], ...], kind: str, arguments: str, part: Part, up_to: str | None
) -> tuple[tuple[Model, str], ...]:
    """Model and SQL with _DATE in place of the run date: a simulation renders once for all its days."""
    project = _read(folder, files, up_to)
    renderer = Renderer(project, run_date=_DATE, **orjson.loads(arguments))
    left_out = () if up_to else (*_KINDS[kind], *_BALANCES)
    chosen = [model for model in project.ordered() if model.schema == FOLDER and model.name not in left_out]
    if part != "all":
        late = _about_recipients(chosen)
        chosen = [model for model in chosen if (model.name in late) == (part == "recipients")]
    return tuple((model, renderer.render(model)) for model in chosen)


def _about_recipients(models: Iterable[Model]) -> set[str]:
    found: set[str] = set()
    for model in models:  # in dependency order
        if model.name.startswith("recipient_") or found.intersection(model.refs):
            found.add(model.name)
    return found


def _files(ws: Workspace) -> tuple[Path, tuple[tuple[Path, int, int], ...]]:
    folder = folder_of(ws)
    files = sorted(file for file in folder.rglob("*.sql") if "target" not in file.parts)
    return folder, tuple((file, *_signature(file)) for file in files)


def _signature(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=8)
def _read(folder: Path, files: tuple[tuple[Path, int, int], ...], up_to: str | None = None) -> Project:
    paths = [file for file, _, _ in files]
    macros = tuple(file for file in paths if file.parent.name == "macros")
    known = {file.stem: file for file in paths if file.parent.name not in ("macros", "tests")}
    read: dict[str, Model] = {}
    waiting = [up_to] if up_to else list(known)
    while waiting:
        name = waiting.pop()
        if name in known and name not in read:
            read[name] = _model(known[name], set(known))
            waiting += read[name].refs
    # in the order of the files, whatever was asked for: equal questions render equal SQL
    ordered = {name: read[name] for name in known if name in read}
    return Project(folder=folder, models=ordered, sources=_AnySource(), singular=(), variables={}, macro_files=macros)


def _model(file: Path, names: set[str]) -> Model:
    """A model of the decision as it is written; of the others only the name: they are tables already."""
    if file.parent.name != FOLDER:
        return Model(file.stem, file.parent.name, file, "")
    return read_model_file(file, file.read_text(encoding="utf-8"), names, _AnySource())
