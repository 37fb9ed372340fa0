"""How long one model or check may run: an endless one fails with words, and what comes after it goes on.

`vars` of dbt_project.yml set the seconds for all (`segment_seconds`, `model_seconds`, `check_seconds`), `meta:
{seconds: N}` of a model for this one.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.sql_models.folder.project import LEAF_SCHEMAS, Check, Model

SEGMENT_SECONDS = 60.0  # of the leaves; those shipped take below a second each for a million accounts
MODEL_SECONDS = 3600.0  # of all others: who hits it has no snapshot, so it is far from what any machine needs
CHECK_SECONDS = 3600.0  # of each check across models, and of those that only warn
_AGAIN = 0.1  # seconds until a next statement of the same model is interrupted too


def seconds_of(model: Model, variables: Mapping[str, Any]) -> float:
    """How long the model may run: as its meta says, else as the project's variables do. Raises InvalidDeclaration."""
    is_leaf = model.schema in LEAF_SCHEMAS
    name, default = ("segment_seconds", SEGMENT_SECONDS) if is_leaf else ("model_seconds", MODEL_SECONDS)
    return _seconds(model.meta.get("seconds", variables.get(name, default)), name, model.file)


def _seconds(said: Any, name: str, file: Path) -> float:
    with suppress(TypeError, ValueError):
        if (seconds := float(said)) > 0:
            return min(seconds, threading.TIMEOUT_MAX)
    raise InvalidDeclaration(
        f"{said!r} are no seconds that a query may run",
        file=file,
        line=1,
        remedy=f"write a number above zero, as `{name}` under `vars` of dbt_project.yml or in the meta of a model",
    )


@contextmanager
def time_limit(con: duckdb.DuckDBPyConnection, model: Model, variables: Mapping[str, Any]) -> Iterator[None]:
    """Stops what runs on `con` inside once the model's time is over. Raises InvalidDeclaration then."""
    remedy = "end its recursion, join by keys; where it needs longer: {{ config(meta={'seconds': 600}) }}"
    with _limit(con, seconds_of(model, variables), remedy, file=model.file):
        yield


@contextmanager
def check_limit(con: duckdb.DuckDBPyConnection, check: Check, variables: Mapping[str, Any]) -> Iterator[None]:
    """As time_limit, for a check that runs after the models: `check_seconds` of the project's variables."""
    seconds = _seconds(variables.get("check_seconds", CHECK_SECONDS), "check_seconds", check.file)
    remedy = "end its recursion, join by keys; where it needs longer: `check_seconds` under `vars` of dbt_project.yml"
    with _limit(con, seconds, remedy, file=check.file, line=check.line):
        yield


@contextmanager
def _limit(con: duckdb.DuckDBPyConnection, seconds: float, remedy: str, *, file: Path, line: int = 1) -> Iterator[None]:
    done, is_over = threading.Event(), threading.Event()

    def watch() -> None:
        if not done.wait(seconds):
            is_over.set()
            con.interrupt()
        while is_over.is_set() and not done.wait(_AGAIN):
            con.interrupt()

    watcher = threading.Thread(target=watch, name=f"time of {file.name}", daemon=True)
    watcher.start()
    try:
        yield
    except Exception:
        if not is_over.is_set():
            raise
    finally:
        done.set()
        watcher.join()
    if is_over.is_set():
        raise InvalidDeclaration(
            f"stopped after {seconds:g} seconds: a query without an end, or too much to join",
            file=file,
            line=line,
            remedy=remedy,
        )
