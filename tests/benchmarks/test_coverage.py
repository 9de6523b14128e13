"""Scores that are exchangeable stay in the band as often as it says, and a wrong band is found out."""

import time

import numpy as np
import pytest
from scipy.stats import betabinom, binom

from ncapps.benchmarks import coverage
from ncapps.benchmarks.coverage import share_in_band
from ncapps.conformal import false_alarm_band
from ncapps.errors import InputError


def some(images=1200, seed=0):
    return np.random.default_rng(seed).standard_normal(images)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1])
def test_the_share_is_the_one_that_the_law_tells(rate):
    low, high = false_alarm_band(200, 1000, rate)
    rank = int(rate * 201)
    law = betabinom(1000, rank, 201 - rank)
    told = law.cdf(round(high * 1000)) - law.cdf(round(low * 1000) - 1)
    assert 0.95 <= told < 0.98
    inside = share_in_band(some(), 200, rate, splits=4000) * 4000
    assert binom.ppf(1e-4, 4000, told) <= inside <= binom.ppf(1 - 1e-4, 4000, told)


def test_a_band_that_forgets_the_calibration_size_is_found_out(monkeypatch):
    def forgetful(n_calibration, n_images, rate):
        return binom.ppf(0.025, n_images, rate) / n_images, binom.ppf(0.975, n_images, rate) / n_images

    assert share_in_band(some(), 200, 0.05) >= 0.9
    monkeypatch.setattr(coverage, "false_alarm_band", forgetful)
    assert share_in_band(some(), 200, 0.05) < 0.75


def test_a_threshold_that_is_off_by_a_fifth_is_found_out(monkeypatch):
    threshold = coverage.threshold
    monkeypatch.setattr(coverage, "threshold", lambda scores, rate: threshold(scores, 1.2 * rate))
    assert share_in_band(some(4000), 2000, 0.1) < 0.6


def test_ties_are_told():
    # All alike: nothing is refused, and of 1,000 images that is far too few for 10 %.
    assert share_in_band(np.zeros(1200), 200, 0.1) == 0.0
    assert share_in_band(np.round(some()), 200, 0.1) < 0.5


def test_ranks_and_the_seed_decide():
    scores = some()
    share = share_in_band(scores, 100, 0.05, splits=60)
    assert share == share_in_band(np.exp(scores), 100, 0.05, splits=60)
    assert len({share_in_band(scores, 100, 0.05, splits=60, seed=seed) for seed in range(8)}) > 1
    # Images are drawn, not ranks: another detector has another share on the same splits.
    assert len({share_in_band(some(seed=seed), 100, 0.05, splits=60) for seed in range(8)}) > 1


def test_all_detectors_and_rates_take_seconds():
    scores = some(10_806)
    start = time.perf_counter()
    share_in_band(scores, 1000, 0.05)
    # 75 of these are a benchmark's: 25 detectors at 3 rates.
    assert time.perf_counter() - start < 0.4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_calibration": 50}, "50 of 50 images are to calibrate, which leaves none to measure"),
        ({"splits": 0}, "splits must be 1 or more, but 0 came"),
        ({"n_calibration": 10}, "10 calibration images can't hold a false-alarm rate of 0.05"),
        ({"reject_rate": 5}, "between 0 and 1, but 5 came"),
        ({"scores": np.array([np.nan, *range(49)])}, "1 of 50 scores are NaN"),
    ],
)
def test_bad_input_is_told_in_one_line(arguments, words):
    with pytest.raises(InputError, match=words) as caught:
        share_in_band(**{"scores": some(50), "n_calibration": 25, "reject_rate": 0.05, **arguments})
    assert "\n" not in str(caught.value)
