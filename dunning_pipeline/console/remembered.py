"""What is dear to count and may be some seconds old: counted by one request, remembered for the others."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")
MOST = 5_000  # values kept; all are forgotten above it

_lock = threading.Lock()
_known: dict[Any, tuple[float, Any]] = {}
_counting: set[Any] = set()


def remembered(key: Any, make: Callable[[], Value], *, seconds: float) -> Value:
    """The value of `key`, at most `seconds` old (real clock); while one request makes it anew, others get the old."""
    now = time.monotonic()
    with _lock:
        known = _known.get(key)
        if known is not None and (known[0] > now or key in _counting):
            old: Value = known[1]
            return old
        _counting.add(key)
    try:
        value = make()
        with _lock:
            if len(_known) >= MOST:
                _known.clear()
            _known[key] = (time.monotonic() + seconds, value)
        return value
    finally:
        with _lock:
            _counting.discard(key)
