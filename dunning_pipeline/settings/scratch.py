"""Folders and files that are needed for a while: what a killed process left is removed by the next one."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

_YOUNG = 60.0  # seconds: a folder this young may not be locked yet
_UNFINISHED = 3600.0  # seconds after its last write that a partial file has nobody who goes on with it


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder of this process below `parent`, gone with the block.

    It is locked meanwhile, so that others know it from what a process left that was killed: that is removed here.
    """
    for left in parent.glob(f"{prefix}*"):
        with suppress(OSError), _opened(left) as handle:
            if time.time() - left.stat().st_mtime > _YOUNG:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # somebody works in it: OSError
                shutil.rmtree(left)
    with TemporaryDirectory(dir=parent, prefix=prefix) as folder, _opened(Path(folder)) as handle:
        with suppress(OSError):  # a file system without locks: nobody can remove it either
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield Path(folder)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield handle
    finally:
        os.close(handle)


def drop_unfinished(folder: Path) -> None:
    """Remove the partial files in `folder` that a killed process left; those that are being written stay."""
    for partial in folder.glob("*.partial"):
        with suppress(OSError):  # somebody else removed or renamed it
            if time.time() - partial.stat().st_mtime > _UNFINISHED:
                partial.unlink()
