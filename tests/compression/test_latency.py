import pytest

from ncapps.compression.latency import Latency, measure_latency
from ncapps.errors import InputError


def test_arms_run_turn_by_turn_and_the_first_changes():
    calls = []
    found = measure_latency({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, runs=3, warmup=1)
    assert calls == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert [len(one.times_ms) for one in found.values()] == [3, 3]


def test_percentiles_and_ratio_by_hand():
    fast, slow = Latency(times_ms=(1.0, 2.0, 4.0)), Latency(times_ms=(3.0, 4.0, 20.0))
    assert (fast.p50_ms, slow.p50_ms) == (2.0, 4.0)
    assert fast.p95_ms == pytest.approx(3.8)
    assert fast.speed_up_over(slow) == 3.0
    assert slow.speed_up_over(fast) == pytest.approx(1 / 3)


def test_work_of_others_in_one_round_leaves_the_ratio_alone():
    fast, slow = Latency(times_ms=(1.0, 10.0, 1.0, 1.0)), Latency(times_ms=(2.0, 20.0, 2.0, 2.0))
    assert fast.speed_up_over(slow) == 2.0


def test_mistakes_get_one_line():
    with pytest.raises(InputError, match="runs=1 and warmup=0 are the least, but 1, 0 and 10 came"):
        measure_latency({"a": int}, runs=0)
    with pytest.raises(InputError, match="but 0, 50 and 10 came"):
        measure_latency({})
    with pytest.raises(InputError, match="measure both in one call"):
        Latency(times_ms=(1.0,)).speed_up_over(Latency(times_ms=(1.0, 2.0)))
