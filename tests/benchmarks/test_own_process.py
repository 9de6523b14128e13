"""A call in a process of its own: its value, its error, its end, or TimeoutError."""

import math
import os
import time

import pytest

from ncapps.benchmarks.own_process import call_in_own_process


def test_the_value_comes_from_another_process():
    assert call_in_own_process(os.getpid, seconds=60) != os.getpid()


def test_an_error_is_told_in_one_line():
    with pytest.raises(RuntimeError, match=r"^ValueError: .*math domain|^ValueError: expected"):
        call_in_own_process(math.sqrt, -1.0, seconds=60)


def test_what_hangs_is_killed_in_time():
    start = time.perf_counter()
    with pytest.raises(TimeoutError, match=r"not finished after 0\.5 s"):
        call_in_own_process(time.sleep, 60, seconds=0.5)
    assert time.perf_counter() - start < 30


def test_a_process_that_dies_is_no_hang():
    with pytest.raises(RuntimeError, match=r"ended without a result \(exit code 7\)"):
        call_in_own_process(os._exit, 7, seconds=60)
