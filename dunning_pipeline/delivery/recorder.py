"""One thread that writes for all workers of a process: many facts per transaction, so one sync pays for many."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")
MAX_PER_TRANSACTION = 256
_Work = tuple[Callable[[Connection], Any], "Future[Any]"]


class Recorder:
    """Group commit: what is handed in while a transaction runs goes into the next one, in order.

    A Future is done when its work is committed; what a work raises comes out of its own Future and undoes only its
    own writes.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger-recorder", daemon=True)
        self._thread.start()

    def post(self, work: Callable[[Connection], T]) -> "Future[T]":
        """Hand in a work and go on; the Future tells when it is durable."""
        future: Future[T] = Future()
        self._waiting.put((work, future))
        return future

    def run(self, work: Callable[[Connection], T]) -> T:
        """Hand in a work and wait until it is durable."""
        return self.post(work).result()

    def close(self) -> None:
        """Write what is waiting, then end."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, ends = [first], False
            while len(batch) < MAX_PER_TRANSACTION and not self._waiting.empty():
                more = self._waiting.get()
                if more is None:
                    ends = True
                    break
                batch.append(more)
            self._commit(batch)
            if ends:
                return

    def _commit(self, batch: list[_Work]) -> None:
        try:
            with self._engine.begin() as connection:
                results = [work(connection) for work, _ in batch]
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
            else:  # find the one that fails; the others stand
                for one in batch:
                    self._commit([one])
            return
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(result)
