"""Which models this version brings, and which of them a workspace of an earlier version does not have."""

from pathlib import Path

from dunning_pipeline.settings.workspace import Workspace, shipped_folder

_NOT_OURS = ("segments", "target", "dbt_packages")  # segments are the analyst's own


def shipped_models() -> list[Path]:
    """The files of the shipped dbt_like_sql, relative to it."""
    shipped = shipped_folder() / "dbt_like_sql"
    files = (file.relative_to(shipped) for file in sorted(shipped.glob("*/**/*.sql")))
    return [file for file in files if file.parts[0] not in _NOT_OURS]


def missing_models(ws: Workspace) -> list[Path]:
    """Those that the workspace does not have: it keeps the models of the version that it was made with."""
    return [file for file in shipped_models() if not (ws.models / file).is_file()]
