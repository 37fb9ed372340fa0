"""The asset graph as text; `python -m tests.assets.graph > tests/assets/asset_graph.txt` renews it."""

import sys
import tempfile
from pathlib import Path

from dunning_pipeline.settings.workspace import Workspace
from tests.conftest import copy_shipped

SNAPSHOT = Path(__file__).parent / "asset_graph.txt"


def shipped_workspace(folder: Path) -> Workspace:
    copy_shipped(folder)
    (folder / "inbox").mkdir()
    return Workspace(folder)


def graph_text(ws: Workspace) -> str:
    """group, key and parents of every asset, then jobs, schedules and sensors."""
    from assets.definitions import build_definitions

    defs = build_definitions(ws)
    lines = []
    for spec in defs.resolve_all_asset_specs():
        parents = ", ".join(sorted(dep.asset_key.to_user_string() for dep in spec.deps))
        lines.append(f"{spec.group_name:<13} {spec.key.to_user_string()}" + (f" <- {parents}" if parents else ""))
    repository = defs.get_repository_def()
    lines.sort()
    lines += sorted(f"job           {job.name}" for job in repository.get_all_jobs() if not job.name.startswith("__"))
    lines += sorted(f"schedule      {one.name} {one.cron_schedule}" for one in repository.schedule_defs)
    lines += sorted(f"sensor        {one.name}" for one in repository.sensor_defs)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(graph_text(shipped_workspace(Path(folder))))
