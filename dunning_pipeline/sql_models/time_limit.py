"""How long one model may run: an endless one fails with words, and what comes after it goes on.

`vars` of dbt_project.yml set the seconds for all (`segment_seconds`, `model_seconds`), `meta: {seconds: N}` of a model
for this one.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import duckdb

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.sql_models.folder.project import LEAF_SCHEMAS, Model

SEGMENT_SECONDS = 60.0  # of the leaves; those shipped take below a second each for a million accounts
MODEL_SECONDS = 3600.0  # of all others: who hits it has no snapshot, so it is far from what any machine needs
_AGAIN = 0.1  # seconds until a next statement of the same model is interrupted too


def seconds_of(model: Model, variables: Mapping[str, Any]) -> float:
    """How long the model may run: as its meta says, else as the project's variables do. Raises InvalidDeclaration."""
    is_leaf = model.schema in LEAF_SCHEMAS
    name, default = ("segment_seconds", SEGMENT_SECONDS) if is_leaf else ("model_seconds", MODEL_SECONDS)
    said = model.meta.get("seconds", variables.get(name, default))
    with suppress(TypeError, ValueError):
        if (seconds := float(said)) > 0:
            return min(seconds, threading.TIMEOUT_MAX)
    raise InvalidDeclaration(
        f"{said!r} are no seconds that a model may run",
        file=model.file,
        line=1,
        remedy=f"write a number above zero, in its meta or as `{name}` under `vars` of dbt_project.yml",
    )


@contextmanager
def time_limit(con: duckdb.DuckDBPyConnection, model: Model, variables: Mapping[str, Any]) -> Iterator[None]:
    """Stops what runs on `con` inside once the model's time is over. Raises InvalidDeclaration then."""
    seconds = seconds_of(model, variables)
    done, is_over = threading.Event(), threading.Event()

    def watch() -> None:
        if not done.wait(seconds):
            is_over.set()
            con.interrupt()
        while is_over.is_set() and not done.wait(_AGAIN):
            con.interrupt()

    watcher = threading.Thread(target=watch, name=f"time of {model.name}", daemon=True)
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
            file=model.file,
            line=1,
            remedy="end its recursion, join by keys; where it needs longer: {{ config(meta={'seconds': 600}) }}",
        )
