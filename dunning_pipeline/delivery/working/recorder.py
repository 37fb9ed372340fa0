"""One thread that writes for all workers of a process: many facts per transaction, so one sync pays for many."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741
MAX_PER_TRANSACTION = 256


@dataclass(slots=True)
class _Work:
    """One thing to write: `all_of` is called once per transaction with everything that was asked of it."""

    all_of: Callable[[Connection, list[Any]], Sequence[Any]]
    asked: Any
    done: "Future[Any]" = field(default_factory=Future)


class Recorder:
    """Group commit: what is handed in while a transaction runs goes into the next one.

    A Future is done when its work is committed; what a work raises comes out of its own Future and undoes only its
    own writes.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None  # kept: taking one from the pool costs as much as a commit
        self._waiting: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger-recorder", daemon=True)
        self._thread.start()

    def post(self, work: Callable[[Connection], T]) -> "Future[T]":
        """Hand in a work and go on; the Future tells when it is durable."""
        return self.together(_one_by_one, work)

    def run(self, work: Callable[[Connection], T]) -> T:
        """Hand in a work and wait until it is durable."""
        return self.post(work).result()

    def together(self, all_of: Callable[[Connection, list[I]], Sequence[Any]], asked: I) -> "Future[Any]":
        """Hand in what `all_of` writes at once for many askers; it answers each, in the order of its list."""
        work = _Work(all_of, asked)
        self._waiting.put(work)
        return work.done

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
                break
        self._let_go()

    def _commit(self, batch: list[_Work]) -> None:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            with self._connection.begin():
                answers = [(work, answer) for same in _alike(batch) for work, answer in self._written(same)]
        except Exception as error:
            self._let_go()
            if len(batch) == 1:
                batch[0].done.set_exception(error)
            else:  # find the one that fails; the others stand
                for one in batch:
                    self._commit([one])
            return
        for work, answer in answers:
            work.done.set_result(answer)

    def _written(self, same: list[_Work]) -> "zip[tuple[_Work, Any]]":
        assert self._connection is not None
        return zip(same, same[0].all_of(self._connection, [work.asked for work in same]), strict=True)

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _alike(batch: list[_Work]) -> list[list[_Work]]:
    """Works of the same kind together, kinds in the order in which they came."""
    kinds: dict[Any, list[_Work]] = {}
    for work in batch:
        kinds.setdefault(work.all_of, []).append(work)
    return list(kinds.values())


def _one_by_one(connection: Connection, works: list[Callable[[Connection], Any]]) -> list[Any]:
    return [work(connection) for work in works]
