"""Pages are made one after the other: the interpreter runs one thread at a time, and changing between them costs more.

The ledger's driver lets the interpreter go at each row; with several pages under way each row would wait for its turn.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """One turn at a time, but nobody waits behind one that takes longer than `patience` (seconds)."""

    def __init__(self, patience: float = 0.1) -> None:
        self.patience = patience
        self._turn = threading.Lock()
        self._since = 0.0

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Waits for the turn; yields whether this one has it, or goes on beside a long one."""
        left = self._since + self.patience - time.monotonic()
        has_turn = self._turn.acquire(timeout=min(max(left, 0.0), self.patience))
        if has_turn:
            self._since = time.monotonic()
        try:
            yield has_turn
        finally:
            if has_turn:
                self._turn.release()
