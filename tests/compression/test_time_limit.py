"""A call with a time limit: its value, its error, or TimeoutError."""

import threading
import time

import pytest

from ncapps.compression.time_limit import call_with_time_limit


def test_the_value_comes_back():
    assert call_with_time_limit(lambda: 6 * 7, 5) == 42


def test_an_error_is_the_callers():
    with pytest.raises(KeyError, match="lost"):
        call_with_time_limit(lambda: {}["lost"], 5)


def test_an_endless_loop_is_left_and_its_thread_ends():
    before = set(threading.enumerate())

    def endless():
        while True:
            pass

    start = time.perf_counter()
    with pytest.raises(TimeoutError, match=r"not finished after 0\.1 s"):
        call_with_time_limit(endless, 0.1)
    assert time.perf_counter() - start < 5
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()
