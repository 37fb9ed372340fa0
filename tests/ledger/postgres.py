"""A private PostgreSQL server for tests, from Debian's binaries, in a folder of its own and for its user only."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest


class Server:
    """A running server; `fresh_database()` makes an empty database and gives its URL."""

    def __init__(self, binaries: Path, port: int) -> None:
        self._binaries, self._port, self._numbers = binaries, port, count(1)

    @classmethod
    @contextmanager
    def start(cls, folder: Path) -> Iterator["Server"]:
        binaries = _binaries()
        if binaries is None:
            pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
        user = _user()
        # an unprivileged user must reach the data: pytest's folders are for root only
        home = Path("/tmp") / f"pg-{os.getpid()}-{folder.name}"
        home.mkdir(mode=0o700)
        if user:
            shutil.chown(home, user)
        port = _free_port()
        data = home / "data"
        process = None
        try:
            _run(
                user, binaries / "initdb", "-D", data, "-U", "dunning", "--auth=trust", "-E", "UTF8", "--no-sync", "-N"
            )
            arguments = [
                binaries / "postgres",
                "-D",
                data,
                "-p",
                port,
                "-h",
                "127.0.0.1",
                "-k",
                home,
                "-c",
                "fsync=off",
            ]
            log = (folder / "log").open("wb")
            process = subprocess.Popen(_as(user, *arguments), stdout=log, stderr=log, cwd="/tmp")
            _wait(binaries, port)
            yield cls(binaries, port)
        finally:
            if process is not None:
                process.send_signal(signal.SIGINT)  # fast shutdown: does not wait for clients
                process.wait(timeout=20)
            shutil.rmtree(home, ignore_errors=True)

    def fresh_database(self) -> str:
        name = f"ledger_{next(self._numbers)}"
        where = ["-h", "127.0.0.1", "-p", str(self._port), "-U", "dunning"]
        subprocess.run([self._binaries / "createdb", *where, name], check=True, capture_output=True)
        return f"postgresql://dunning@127.0.0.1:{self._port}/{name}"


def has_postgres() -> bool:
    return _binaries() is not None


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)
    if found:
        return found[0].parent
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path else None


def _user() -> str | None:
    """PostgreSQL refuses to run as root; another user then runs it."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _as(user: str | None, *arguments: object) -> list[str]:
    command = [str(argument) for argument in arguments]
    return ["setpriv", f"--reuid={user}", "--regid=65534", "--clear-groups", *command] if user else command


def _run(user: str | None, *arguments: object) -> None:
    done = subprocess.run(_as(user, *arguments), capture_output=True, text=True, cwd="/tmp")
    assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(binaries: Path, port: int) -> None:
    """Until it answers queries: a port that is open is not yet a server that has started."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        ready = subprocess.run([binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], check=False)
        if ready.returncode == 0:
            return
        time.sleep(0.05)
    raise AssertionError("PostgreSQL did not start")
