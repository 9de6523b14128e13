"""The promise of the thresholds: of exchangeable images at most the asked share is refused, ties or none."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from ncapps.conformal import check_rate, false_alarm_band, images_needed, p_values, threshold
from ncapps.errors import InputError

RATES = [0.01, 0.05, 0.1, 0.29, 0.3, 0.5, 1 / 3, 0.999]


def test_p_values_by_hand():
    assert p_values(np.array([0.0, 1.0, 1.5, 2.0, 9.0]), np.array([3.0, 1.0, 2.0])).tolist() == [
        0.25,
        0.5,
        0.5,
        0.75,
        1.0,
    ]
    assert p_values(np.array([7.0, -7.0]), np.array([])).tolist() == [1.0, 1.0]
    assert p_values(np.array([-np.inf, np.inf]), np.array([0.0])).tolist() == [0.5, 1.0]


@given(
    calibration=st.lists(st.integers(0, 8), min_size=1, max_size=60),
    rate=st.one_of(st.sampled_from(RATES), st.floats(0.001, 0.999)),
)
def test_below_the_threshold_is_the_same_as_a_p_value_within_the_rate(calibration, rate):
    calibration = np.array(calibration, float)
    scores = np.arange(-1, 10, 0.5)
    values = p_values(scores, calibration)
    if len(calibration) < images_needed(rate):
        with pytest.raises(InputError, match="can't hold a false-alarm rate"):
            threshold(calibration, rate)
        assert values.min() > rate
    else:
        np.testing.assert_array_equal(scores < threshold(calibration, rate), values <= rate)


@pytest.mark.parametrize("rate", RATES)
def test_rates_that_are_no_binary_fractions_lose_no_image(rate):
    for count in range(images_needed(rate), 400):
        refused = sum(np.arange(count) < threshold(np.arange(float(count)), rate))
        # Every rank k with k / (n + 1) <= rate may be refused, and the largest is taken.
        assert (refused + 1) / (count + 1) <= rate < (refused + 2) / (count + 1)


def test_p_values_do_not_fall_with_the_score_and_ignore_any_monotone_change():
    random = np.random.default_rng(0)
    calibration, scores = random.standard_normal(50), np.sort(random.standard_normal(80))
    values = p_values(scores, calibration)
    assert (np.diff(values) >= 0).all()
    np.testing.assert_array_equal(values, p_values(np.exp(scores), np.exp(calibration)))
    np.testing.assert_array_equal(values, p_values(scores, random.permutation(calibration)))


@pytest.mark.parametrize("rate", [0.05, 0.2])
@pytest.mark.parametrize("tied", [False, True])
def test_exchangeable_images_are_refused_at_most_at_the_rate(rate, tied):
    random = np.random.default_rng(7)
    shares, outside, splits, calibration, tested = [], 0, 600, 99, 200
    low, high = false_alarm_band(calibration, tested, rate)
    for _ in range(splits):
        scores = random.gamma(2.0, size=calibration + tested)
        if tied:
            scores = np.round(scores)
        known, new = scores[:calibration], scores[calibration:]
        share = float(np.mean(new < threshold(known, rate)))
        assert share == np.mean(p_values(new, known) <= rate)
        shares.append(share)
        outside += not low <= share <= high
    error = 4 * np.std(shares) / np.sqrt(splits)
    if tied:
        assert np.mean(shares) <= rate + error
    else:
        # 100 divides the rate: without ties the promise is kept to the point, and the band's level is true.
        assert np.mean(shares) == pytest.approx(rate, abs=error)
        assert outside <= binom.ppf(0.9999, splits, 0.05)
        assert outside >= binom.ppf(0.0001, splits, 0.05 / 3)


def test_the_band_holds_its_level_and_narrows_with_more_images():
    bands = [false_alarm_band(count, count, 0.05) for count in (100, 1000, 10000)]
    widths = [high - low for low, high in bands]
    assert widths[0] > 2.5 * widths[1] > 6 * widths[2]
    assert all(low <= 0.05 <= high for low, high in bands)
    wide, narrow = (false_alarm_band(500, 500, 0.05, level) for level in (0.99, 0.5))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_the_band_of_one_image_is_its_chance_to_be_refused():
    # Of 20 exchangeable scores the last one is the lowest with probability 1 / 20.
    assert false_alarm_band(19, 1, 0.05, level=0.89) == (0.0, 0.0)
    assert false_alarm_band(19, 1, 0.05, level=0.91) == (0.0, 1.0)
    assert false_alarm_band(19, 1, 0.10, level=0.79) == (0.0, 0.0)
    assert false_alarm_band(19, 1, 0.10, level=0.81) == (0.0, 1.0)


@pytest.mark.parametrize("rate", RATES)
def test_images_needed_is_the_fewest(rate):
    needed = images_needed(rate)
    threshold(np.arange(float(needed)), rate)
    if needed > 1:
        with pytest.raises(InputError, match=f"^{needed - 1} calibration images can't hold .* {needed} or more"):
            threshold(np.arange(needed - 1.0), rate)


@pytest.mark.parametrize("count", [0, 3, 8, 11, 98])
def test_too_few_images_are_told_what_would_do(count):
    with pytest.raises(InputError) as caught:
        threshold(np.arange(float(count)), 0.01)
    text = str(caught.value)
    assert re.fullmatch(
        rf"{count} calibration images can't hold a false-alarm rate of 0\.01: 99 or more are needed, "
        r"or a rate of [\d.]+ or more",
        text,
    )
    # The rate that the message offers must do.
    offered = float(text.split("rate of ")[2].split()[0])
    if count:
        threshold(np.arange(float(count)), offered)
    with pytest.raises(InputError, match="99 or more are needed"):
        false_alarm_band(count, 100, 0.01)


@pytest.mark.parametrize("rate", [0, 1, -0.1, 5, float("nan")])
def test_rates_outside_zero_to_one_are_refused(rate):
    words = f"between 0 and 1, but {rate} came; write 0.05 for 5 %"
    for call in (check_rate, lambda rate: threshold(np.arange(9.0), rate), lambda rate: false_alarm_band(9, 9, rate)):
        with pytest.raises(InputError, match=words):
            call(rate)


def test_nan_scores_are_refused_for_they_would_count_as_known():
    good, bad = np.arange(30.0), np.array([0.0, np.nan, 2.0])
    with pytest.raises(InputError, match="1 of 3 scores are NaN; are the features finite"):
        p_values(bad, good)
    with pytest.raises(InputError, match="1 of 3 calibration scores are NaN"):
        p_values(good, bad)
    with pytest.raises(InputError, match="1 of 3 calibration scores are NaN"):
        threshold(bad, 0.5)
