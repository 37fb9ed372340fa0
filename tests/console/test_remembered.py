"""What is dear to count is counted once, shown while it is counted anew, and counted at once where it is too old."""

import threading

import pytest

from dunning_pipeline.console import remembered as module
from dunning_pipeline.console.remembered import remembered


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """A function that sets the clock; nothing is remembered before."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "_known", {})
    return lambda seconds: now.__setitem__(0, seconds)


def test_a_count_is_made_once_then_beside_and_at_once_when_it_is_old(clock) -> None:  # type: ignore[no-untyped-def]
    made, counted = [], threading.Event()

    def count() -> int:
        made.append(threading.current_thread().name)
        counted.set()
        return len(made)

    assert [remembered("k", count, seconds=10) for _ in range(3)] == [1, 1, 1]
    clock(111)
    counted.clear()
    assert remembered("k", count, seconds=10) == 1  # the old one, while it is counted anew beside
    assert counted.wait(10)
    module._beside.submit(int).result(10)  # behind it in the same line
    assert remembered("k", count, seconds=10) == 2
    clock(152)
    assert remembered("k", count, seconds=10) == 3  # too old to be shown
    assert made[0] == made[2] == threading.current_thread().name != made[1]


def test_a_count_that_fails_beside_is_tried_again(clock) -> None:  # type: ignore[no-untyped-def]
    assert remembered("k", lambda: 1, seconds=10) == 1
    clock(111)
    assert remembered("k", lambda: 1 // 0, seconds=10) == 1
    module._beside.submit(int).result(10)
    assert remembered("k", lambda: 2, seconds=10) == 1
    module._beside.submit(int).result(10)
    assert remembered("k", lambda: 3, seconds=10) == 2
