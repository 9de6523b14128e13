"""Functions in step: together at each call, an error of one ends all, and nothing is left running."""

import threading

import pytest

from ncapps.compression.in_step import InStep


def counting(log, name, until=3):
    def work(hand_over):
        try:
            for n in range(until):
                log.append((name, n))
                hand_over(n)
        finally:
            log.append((name, "end"))

    return work


def test_each_goes_on_when_all_have_called_back():
    log = []
    with InStep([counting(log, name) for name in "ab"]) as both:
        assert next(both) == [0, 0]
        assert log == [("a", 0), ("b", 0)]
        assert list(both) == [[1, 1], [2, 2]]
    # The first to end is the first to be asked again.
    assert [entry for entry in log if entry[0] == "a"] == [("a", 0), ("a", 1), ("a", 2), ("a", "end")]
    assert [entry for entry in log if entry[0] == "b"] == [("b", 0), ("b", 1), ("b", 2), ("b", "end")]


@pytest.mark.parametrize("asked", [0, 1])
def test_leaving_early_ends_all(asked):
    log, before = [], threading.active_count()
    with InStep([counting(log, name) for name in "abc"]) as three:
        for _ in range(asked):
            next(three)
    assert threading.active_count() == before
    assert [name for name, what in log if what == "end"] == (["c", "b", "a"] if asked else [])


def test_an_error_of_one_is_the_callers():
    def broken(hand_over):
        raise KeyError("lost")

    log, before = [], threading.active_count()
    with pytest.raises(KeyError, match="lost"), InStep([counting(log, "a"), broken]) as both:
        next(both)
    assert threading.active_count() == before
    assert log == [("a", 0), ("a", "end")]
