"""Names processes so that a lease or a claim can be told to be a dead one's, on this machine or elsewhere."""

import os
import platform
import socket
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path


def process_mark(process_id: int | None = None) -> str:
    """host:pid:start of a process: a reused pid has another start, so a dead process is never taken for a live one."""
    process_id = os.getpid() if process_id is None else process_id
    return f"{socket.gethostname()}:{process_id}:{_start_of(process_id)}"


def is_dead(holder: str, *, live_leases: Collection[str] | None = None) -> bool:
    """True where the process that `holder` begins with (host:pid:start, then anything after : or /) is surely gone.

    A process of another machine is gone where `live_leases` are given and its mark is not among them.
    """
    host, process_id, start = [*holder.partition("/")[0].split(":"), "", ""][:3]
    if host != socket.gethostname():
        return live_leases is not None and f"{host}:{process_id}:{start}" not in live_leases
    return not process_id.isdigit() or _start_of(int(process_id)) != start


def _start_of(process_id: int) -> str:
    """When the process started, in ticks since this boot; empty where no such process runs."""
    try:
        if platform.system() == "Linux":
            fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
            return "" if fields[0] in ("Z", "X") else f"{fields[19]}-{_boot_id()}"
        os.kill(process_id, 0)
    except PermissionError:
        return "1"
    except (OSError, IndexError):
        return ""
    return "1"


@lru_cache(maxsize=1)
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
