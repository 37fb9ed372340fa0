"""Spreads delivery over several processes; each is a worker of its own that may die without harm."""

import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import orjson

from dunning_pipeline.ledger.troubles import in_words
from dunning_pipeline.settings.workspace import Workspace


def run_processes(
    ws: Workspace,
    *,
    now: datetime,
    send_now: bool,
    threads: Sequence[int],
    total: int,
    progress: Callable[[str, int, int], None] | None,
) -> dict[str, Any]:
    """One process per entry of `threads`, with so many workers; the sum of what they did.

    A process that dies is told in `errors`; its claims are taken back by the caller.
    """
    done: Counter[str] = Counter()
    errors: list[str] = []
    lock = threading.Lock()

    def follow(process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            told = orjson.loads(line)
            with lock:
                if "errors" in told:
                    errors.extend(told["errors"])
                done.update({name: number for name, number in told.items() if isinstance(number, int)})
                if progress is not None:
                    progress("sending", sum(done.values()), total)
        if process.wait() not in (0, -signal.SIGTERM):
            errors.append(f"a delivering process ended with {process.returncode}")

    started = [_start(ws, now, send_now, number, len(threads)) for number in threads if number]
    followers = [threading.Thread(target=follow, args=(process,), daemon=True) for process in started]
    try:
        for follower in followers:
            follower.start()
        for follower in followers:
            follower.join()
    except BaseException:
        for process in started:
            process.terminate()
        raise
    return {**done, "errors": errors, "apart": True}


def _start(ws: Workspace, now: datetime, send_now: bool, threads: int, shares: int) -> "subprocess.Popen[bytes]":
    told = {"root": str(ws.root), "now": now.isoformat(), "send_now": send_now, "threads": threads, "shares": shares}
    command = [sys.executable, "-m", "dunning_pipeline.delivery.working.processes", orjson.dumps(told).decode()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "DUNNING_PARENT": str(os.getpid())})


def _main() -> None:
    gc.set_threshold(50_000, 20, 20)  # as the command itself: rows in bulk are no garbage
    _end_with_parent()
    told = orjson.loads(sys.argv[1])
    try:
        errors = _worked(told)
    except Exception as error:
        if (words := in_words(error)) is None:
            raise
        errors = [str(words)]
    sys.stdout.buffer.write(orjson.dumps({"errors": errors}) + b"\n")


def _worked(told: dict[str, Any]) -> list[str]:
    """Deliver until nothing is due, telling the counts; the errors that a person should know."""
    from dunning_pipeline.delivery.working.session import Session
    from dunning_pipeline.delivery.working.worker import run_threads

    now, last = datetime.fromisoformat(told["now"]), Counter[str]()
    session = Session(Workspace(told["root"]), now=now, send_now=told["send_now"], shares=told["shares"], progress=None)

    def progress(text: str, done: int, total: int) -> None:
        if done - sum(last.values()) >= 25:
            _tell(session.counts, last)

    try:
        result = run_threads(session, told["threads"], progress=progress)
        _tell(session.counts, last)
    finally:
        session.close()
    return list(result["errors"])


def _tell(counts: "Counter[str]", last: "Counter[str]") -> None:
    fresh = {name: number - last[name] for name, number in counts.items() if number != last[name]}
    last.update(fresh)
    sys.stdout.buffer.write(orjson.dumps(fresh) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_parent() -> None:
    """Where the parent is killed, finish the message in flight and end (Linux; elsewhere go on until done)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
        if os.getppid() != int(os.environ.get("DUNNING_PARENT", os.getppid())):
            os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    _main()
