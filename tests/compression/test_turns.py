"""Taking turns with a function that calls back: its items, its error, and its end."""

import threading

import pytest

from ncapps.compression.turns import Turns


def counting(log, until=3):
    def work(hand_over):
        try:
            for n in range(until):
                log.append(n)
                hand_over(n)
        finally:
            log.append("end")

    return work


def test_the_items_come_one_at_a_time_and_nothing_runs_ahead():
    log = []
    with Turns(counting(log)) as turns:
        assert log == []
        assert next(turns) == 0
        assert log == [0]
        assert list(turns) == [1, 2]
        assert next(turns, None) is None
    assert log == [0, 1, 2, "end"]


def test_an_error_is_the_callers_and_stays():
    def work(hand_over):
        hand_over(1)
        raise KeyError("lost")

    with Turns(work) as turns:
        assert next(turns) == 1
        for _ in range(2):
            with pytest.raises(KeyError, match="lost"):
                next(turns)


@pytest.mark.parametrize("asked", [0, 1])
def test_leaving_early_ends_the_function_and_its_thread(asked):
    log, before = [], threading.active_count()
    with Turns(counting(log)) as turns:
        for _ in range(asked):
            next(turns)
    assert log == ([0, "end"] if asked else [])
    assert threading.active_count() == before
