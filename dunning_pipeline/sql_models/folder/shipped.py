"""Which models this version brings, and which of a workspace's are those of an earlier version."""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dunning_pipeline.settings.workspace import Workspace, shipped_folder

_NOT_OURS = ("segments", "target", "dbt_packages")  # segments are the analyst's own
_AS_BROUGHT = ".shipped.json"  # beside the models: file → digest of what the version brought that made the workspace


@dataclass(frozen=True)
class Unlike:
    """Models of a workspace that are not as this version brings them."""

    missing: list[Path]
    older: list[Path]  # as the version brought them that made the workspace: nobody edited them
    other: list[Path]  # edited; or older, where nothing tells what that version brought


def shipped_models() -> list[Path]:
    """The files of the shipped dbt_like_sql, relative to it."""
    shipped = shipped_folder() / "dbt_like_sql"
    files = (file.relative_to(shipped) for file in sorted(shipped.glob("*/**/*.sql")))
    return [file for file in files if file.parts[0] not in _NOT_OURS]


def unlike_shipped(ws: Workspace) -> Unlike:
    """A workspace keeps the models of the version that it was made with, and what was edited in them."""
    shipped, found = shipped_folder() / "dbt_like_sql", Unlike([], [], [])
    brought = ws.models / _AS_BROUGHT
    digests = json.loads(brought.read_text(encoding="utf-8")) if brought.is_file() else {}
    for file in shipped_models():
        if not (ws.models / file).is_file():
            found.missing.append(file)
        elif (here := _digest(ws.models / file)) != _digest(shipped / file):
            (found.older if here == digests.get(file.as_posix()) else found.other).append(file)
    return found


def note_shipped(models: Path) -> None:
    """Write down beside the models how this version brings them: a later one tells by it which were edited."""
    shipped = shipped_folder() / "dbt_like_sql"
    digests = {file.as_posix(): _digest(shipped / file) for file in shipped_models()}
    (models / _AS_BROUGHT).write_text(json.dumps(digests, indent=0) + "\n", encoding="utf-8")


def _digest(file: Path) -> str:
    lines = file.read_text(encoding="utf-8").splitlines()  # git may write other line ends
    return sha256("\n".join(lines).encode()).hexdigest()
