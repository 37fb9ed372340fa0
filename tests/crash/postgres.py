"""A PostgreSQL server of its own for a test: a fresh cluster on a Unix socket and a free port, gone afterwards."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def postgres_bin() -> Path | None:
    """The folder of PostgreSQL's programs; None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).resolve().parent if named else None


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database that lives in `folder` while the block runs."""
    programs = postgres_bin()
    assert programs is not None
    cluster = folder / "cluster"
    cluster.mkdir(parents=True)
    as_user: dict[str, Any] = {}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        for path in (folder, *folder.parents):
            if path.stat().st_uid == 0 and path != Path("/tmp") and path != Path("/"):
                path.chmod(path.stat().st_mode | 0o011)
        shutil.chown(cluster, "postgres", "postgres")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    subprocess.run(
        [programs / "initdb", "-D", cluster, "-U", "dunning", "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=True, **quiet, **as_user,
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [programs / "postgres", "-D", cluster, "-p", str(port), "-h", "127.0.0.1", "-k", cluster], **quiet, **as_user
    )
    try:
        ready = [programs / "pg_isready", "-q", "-t", "20", "-h", "127.0.0.1", "-p", str(port)]
        for _ in range(100):
            if subprocess.run(ready, check=False, **quiet).returncode == 0:
                break
            subprocess.run(["sleep", "0.1"], check=False)
        yield f"postgresql://dunning@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(20)
