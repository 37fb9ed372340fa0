"""Renders the SQL files of dbt_like_sql/dunning without the rest of the project; its answers are kept by models.py."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from dunning_pipeline.sql_models.folder.project import Model, Project, read_model_file
from dunning_pipeline.sql_models.runner import Renderer

FOLDER = "dunning"
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


def render(
    folder: Path,
    files: tuple[Path, ...],
    *,
    run_date: date,
    kind: str,
    variables: Mapping[str, Any],
    catalogs: Mapping[str, str],
    relations: Mapping[str, str],
    part: str,
    up_to: Sequence[str],
) -> list[tuple[str, bool, str]]:
    """(name, is it a view, SQL) of the models that `models.rendered_models` describes, in dependency order."""
    project = _project(folder, files, up_to)
    renderer = Renderer(project, run_date=run_date, variables=variables, catalogs=catalogs, relations=relations)
    left_out = () if up_to else (*_KINDS[kind], *_BALANCES)
    chosen = [model for model in project.ordered() if model.schema == FOLDER and model.name not in left_out]
    if part != "all":
        late = _about_recipients(chosen)
        chosen = [model for model in chosen if (model.name in late) == (part == "recipients")]
    return [(model.name, model.is_view, renderer.render(model)) for model in chosen]


def tables_read(folder: Path, files: tuple[Path, ...], model: str) -> list[str]:
    """The tables of `ops` that a model and what it stands on read."""
    read = _project(folder, files, [model]).models.values()
    return sorted({table for one in read for source, table in one.sources if source == "ops"})


def _about_recipients(models: Iterable[Model]) -> set[str]:
    found: set[str] = set()
    for model in models:  # in dependency order
        if model.name.startswith("recipient_") or found.intersection(model.refs):
            found.add(model.name)
    return found


def _project(folder: Path, paths: tuple[Path, ...], up_to: Sequence[str] = ()) -> Project:
    macros = tuple(file for file in paths if file.parent.name == "macros")
    known = {file.stem: file for file in paths if file.parent.name not in ("macros", "tests")}
    read: dict[str, Model] = {}
    waiting = list(up_to or known)
    while waiting:
        name = waiting.pop()
        if name in known and name not in read:
            read[name] = _model(known[name], known[name].stat().st_mtime_ns, frozenset(known))
            waiting += read[name].refs
    # in the order of the files, whatever was asked for: equal questions render equal SQL
    ordered = {name: read[name] for name in known if name in read}
    return Project(folder=folder, models=ordered, sources=_AnySource(), singular=(), variables={}, macro_files=macros)


@lru_cache(maxsize=512)
def _model(file: Path, changed_at: int, names: frozenset[str]) -> Model:
    """A model of the decision as it is written; of the others only the name: they are tables already."""
    if file.parent.name != FOLDER:
        return Model(file.stem, file.parent.name, file, "")
    return read_model_file(file, file.read_text(encoding="utf-8"), set(names), _AnySource())
