"""The benchmark of the statistics measures what it says, on sizes that take no time."""

import numpy as np
import pytest

from ncapps.benchmarks import statistics_speed
from ncapps.benchmarks.statistics_speed import SpeedSettings, measure_statistics_speed
from ncapps.errors import InputError
from ncapps.statistics import ClassStatistics


def test_every_arm_is_timed_in_every_round():
    settings = SpeedSettings(rows=5000, width=8, classes=5, rounds=3, streamed_rows=(2000, 15_000))
    result = measure_statistics_speed(settings)
    for name in ("statistics", "product", "product_with_conversion"):
        assert len(result["seconds"][name]) == 3
        assert result["minimum"][name] == min(result["seconds"][name]) > 0
        assert result["median"][name] == sorted(result["seconds"][name])[1]
    expected = result["minimum"]["product"] / result["minimum"]["statistics"]
    assert result["speed_against_product"]["by_minima"] == pytest.approx(expected)
    assert set(result["memory"]) == {"2000", "15000"}
    assert result["memory_growth_bytes"] == result["memory"]["15000"] - result["memory"]["2000"]


def test_the_data_are_drawn_from_the_seed_and_streamed_in_full():
    settings = SpeedSettings(rows=25_000, width=3, classes=4)
    features, labels = statistics_speed._draw(settings)
    again, _ = statistics_speed._draw(settings)
    np.testing.assert_array_equal(features, again)
    assert (features.dtype, set(labels.tolist())) == (np.float32, {0, 1, 2, 3})
    stats = ClassStatistics.from_batches(statistics_speed._batches(25_000, settings))
    assert stats.total == 25_000


def test_memory_held_is_memory_told():
    before = statistics_speed._peak_memory()
    held = np.ones(30_000_000)
    assert statistics_speed._peak_memory() - before > 0.5 * held.nbytes


@pytest.mark.parametrize("name", ["rows", "width", "classes", "rounds"])
def test_sizes_below_one_are_refused(name):
    with pytest.raises(InputError, match=f"{name} must be 1 or more, but 0 came"):
        SpeedSettings(**{name: 0})
