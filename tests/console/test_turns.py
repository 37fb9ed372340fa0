"""Pages take turns, and none waits for ever behind a long one."""

import threading
from concurrent.futures import ThreadPoolExecutor

from dunning_pipeline.console.turns import Turns


def test_short_pages_are_made_one_after_the_other() -> None:
    turns, inside, together = Turns(patience=60), [], []

    def page(number: int) -> bool:
        with turns.taken() as has_turn:
            inside.append(number)
            together.append(len(inside))
            inside.remove(number)
            return has_turn

    with ThreadPoolExecutor(8) as people:
        assert all(people.map(page, range(200)))
    assert set(together) == {1}


def test_nobody_waits_behind_a_long_page() -> None:
    turns, is_in, may_end = Turns(patience=0.01), threading.Event(), threading.Event()

    def long_page() -> bool:
        with turns.taken() as has_turn:
            is_in.set()
            may_end.wait(60)
            return has_turn

    with ThreadPoolExecutor(1) as person:
        first = person.submit(long_page)
        is_in.wait(60)
        with turns.taken() as has_turn:
            assert not has_turn and not first.done()
        may_end.set()
        assert first.result()
    with turns.taken() as has_turn:
        assert has_turn


def test_a_page_that_fails_gives_its_turn_back() -> None:
    turns = Turns(patience=60)
    try:
        with turns.taken():
            raise RuntimeError
    except RuntimeError:
        pass
    with turns.taken() as has_turn:
        assert has_turn
