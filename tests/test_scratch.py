"""What is needed for a while goes away: with its process, or with the next one where it was killed."""

import os
import subprocess
import sys
from pathlib import Path

from dunning_pipeline.settings.scratch import drop_unfinished, scratch_folder

WORKS = """
import sys
from pathlib import Path
from dunning_pipeline.settings.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1]), "work-") as folder:
    (folder / "copy").write_text("much")
    print(folder, flush=True)
    sys.stdin.read()
"""


def working(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that works in a folder below `parent`, which it made an hour ago."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKS, parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    os.utime(folder, (folder.stat().st_mtime - 3600,) * 2)
    return process, folder


def test_a_folder_goes_with_its_process_or_with_the_next_one(tmp_path: Path) -> None:
    (running, in_use), (killed, left) = working(tmp_path), working(tmp_path)
    killed.kill()
    killed.wait()
    assert left.is_dir()
    with scratch_folder(tmp_path, "work-") as mine:
        assert sorted(tmp_path.iterdir()) == sorted([mine, in_use])
    running.communicate("done")
    assert list(tmp_path.iterdir()) == []


def test_a_partial_file_that_nobody_goes_on_with_is_removed(tmp_path: Path) -> None:
    old, fresh, whole = (tmp_path / name for name in ("a.partial", "b.partial", "c.parquet"))
    for file in (old, fresh, whole):
        file.write_text("x")
    for file in (old, whole):
        os.utime(file, (file.stat().st_mtime - 7200,) * 2)
    drop_unfinished(tmp_path)
    assert sorted(tmp_path.iterdir()) == [fresh, whole]
