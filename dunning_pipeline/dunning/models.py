"""The SQL of dbt_like_sql/dunning, rendered for the scratch database and kept until a file of it changes.

Rendering thirty templates takes longer than deciding on one account, so every process would begin with it; what was
rendered is kept in the state folder, by the models' files and everything that goes into them.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson

from dunning_pipeline.errors import NotThere
from dunning_pipeline.ledger.types import canonical_json
from dunning_pipeline.settings.workspace import Workspace

_DATE = date(1, 1, 1)  # stands for the run date until it is known; no model names this day
_SQL_MODELS = Path(__file__).parents[1] / "sql_models"
_RENDERERS = (
    Path(__file__).with_name("rendering.py"),
    *(_SQL_MODELS / name for name in ("runner.py", "folder/templating.py", "folder/jail.py")),
)
_KEPT = 100  # questions of one state of the files; single invoices make one each
Part = Literal["all", "debts", "recipients"]
Files = tuple[tuple[Path, int, int], ...]


class DecisionModel(NamedTuple):
    """A model of the decision and the SELECT that makes it."""

    name: str
    is_view: bool
    sql: str


def rendered_models(
    ws: Workspace,
    *,
    run_date: date,
    kind: str,
    variables: Mapping[str, Any],
    catalogs: Mapping[str, str],
    relations: Mapping[str, str],
    part: Part = "all",
    up_to: Sequence[str] = (),
) -> list[DecisionModel]:
    """The decision's models in dependency order, those of the other kind of statement left out.

    `part` "recipients" is who is written to and what depends on it, "debts" everything before; `up_to` names
    some: only they and what they stand on. Raises InvalidDeclaration with the analyst's file and line.
    """
    asked = {"variables": variables, "catalogs": catalogs, "relations": relations}
    question = canonical_json({**asked, "kind": kind, "part": part, "up_to": up_to})
    return [
        DecisionModel(name, is_view, sql.replace(_DATE.isoformat(), run_date.isoformat()))
        for name, is_view, sql in _rendered(ws.models, ws.state, _files(ws), question)
    ]


def ledger_tables(ws: Workspace, model: str) -> frozenset[str]:
    """The tables of `ops` that a model and what it stands on read."""
    return _tables(ws.models, ws.state, _files(ws), model)


@lru_cache(maxsize=32)
def _rendered(folder: Path, state: Path, files: Files, question: str) -> list[tuple[str, bool, str]]:
    """With _DATE in place of the run date: a simulation renders once for all its days."""

    def render() -> list[tuple[str, bool, str]]:
        from dunning_pipeline.dunning.rendering import render as rendered

        return rendered(folder, tuple(file for file, _, _ in files), run_date=_DATE, **orjson.loads(question))

    return _kept(state, files, question, render)


@lru_cache(maxsize=32)
def _tables(folder: Path, state: Path, files: Files, model: str) -> frozenset[str]:
    def read() -> list[str]:
        from dunning_pipeline.dunning.rendering import tables_read

        return tables_read(folder, tuple(file for file, _, _ in files), model)

    return frozenset(_kept(state, files, f"tables of {model}", read))


def _kept(state: Path, files: Files, question: str, answer: Callable[[], Any]) -> Any:
    """The answer to a question about these files: as it was kept, or made now and kept."""
    made_by = [(str(file), *_signature(file)) for file in _RENDERERS]
    folder = state / "rendered" / sha256(canonical_json([files, made_by]).encode()).hexdigest()[:16]
    file = folder / f"{sha256(question.encode()).hexdigest()[:32]}.json"
    with suppress(OSError, ValueError):
        return orjson.loads(file.read_bytes())
    made = answer()
    with suppress(OSError):  # nothing is lost by a state folder that cannot be written: the next one renders again
        if not folder.is_dir() or len(list(folder.iterdir())) >= _KEPT:
            shutil.rmtree(folder.parent, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{id(made)}.partial")
        partial.write_bytes(orjson.dumps(made))
        partial.replace(file)
    return made


def _files(ws: Workspace) -> tuple[tuple[Path, int, int], ...]:
    if not (ws.models / "dbt_project.yml").is_file():
        raise NotThere(
            f"{ws.models} holds no SQL models (no dbt_project.yml)", remedy="run `dunning init` or name another"
        )
    files = sorted(file for file in ws.models.rglob("*.sql") if "target" not in file.parts)
    return tuple((file, *_signature(file)) for file in files)


def _signature(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size
