"""What is dear to count and may be some seconds old: counted by one request, remembered for the others."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

Value = TypeVar("Value")
MOST = 5_000  # values kept; all are forgotten above it
STALE = 4  # so many times its seconds an old value is still shown while it is counted anew beside the request

log = logging.getLogger(__name__)
_lock = threading.Lock()
_known: dict[Any, tuple[float, Any]] = {}  # key → when it was made (real clock), value
_counting: set[Any] = set()
_beside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="console-counting")


def remembered(key: Any, make: Callable[[], Value], *, seconds: float) -> Value:
    """The value of `key`. One older than `seconds` is made anew: beside the request where it is not much older."""
    now = time.monotonic()
    with _lock:
        made_at, old = _known.get(key, (None, None))
        is_fresh = made_at is not None and now < made_at + seconds
        is_usable = made_at is not None and now < made_at + seconds * STALE
        is_mine = not is_fresh and key not in _counting
        if is_mine:
            _counting.add(key)
    if is_mine and is_usable:
        _beside.submit(_made_beside, key, make)
    elif is_mine or made_at is None:
        return _made(key, make)
    return cast(Value, old)


def _made(key: Any, make: Callable[[], Value]) -> Value:
    try:
        value = make()
        with _lock:
            if len(_known) >= MOST:
                _known.clear()
            _known[key] = (time.monotonic(), value)
        return value
    finally:
        with _lock:
            _counting.discard(key)


def _made_beside(key: Any, make: Callable[[], Any]) -> None:
    try:
        _made(key, make)
    except Exception:
        log.exception("%s cannot be counted", key)
