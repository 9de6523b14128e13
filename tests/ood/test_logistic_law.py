import numpy as np
import pytest
from scipy.stats import logistic

from ncapps.ood.logistic_law import fit_law, log_p


def test_log_p_is_the_logistic_lower_tail():
    scores = np.linspace(-40, 40, 33)
    expected = logistic.logcdf(scores, loc=2.0, scale=3.0 * np.sqrt(3) / np.pi)
    assert np.allclose(log_p(scores, np.float64(2.0), np.float64(3.0)), expected, rtol=1e-12)


def test_the_law_of_a_logistic_sample_is_found():
    sample = np.random.default_rng(0).logistic(5.0, 2.0, (100_000, 1))
    median, spread = fit_law(sample)
    assert median[0] == pytest.approx(5.0, abs=0.05)
    assert spread[0] == pytest.approx(2.0 * np.pi / np.sqrt(3), rel=0.02)


def test_only_the_lower_side_counts():
    sample = np.random.default_rng(1).standard_normal((10_001, 1))
    median = np.median(sample)
    stretched = np.where(sample > median, median + 9 * (sample - median), sample)
    assert np.allclose(fit_law(sample), fit_law(stretched))


def test_far_below_the_fall_is_linear_and_never_infinite():
    values = log_p(np.array([-1e6, -2e6]), np.float64(0.0), np.float64(1.0))
    assert np.isfinite(values).all()
    assert values[1] == pytest.approx(2 * values[0])


def test_a_constant_score_has_no_spread_and_rounding_is_none():
    sample = np.full((50, 2), 0.7)
    sample[::2, 1] += 1e-15
    assert fit_law(sample)[1].tolist() == [0.0, 0.0]
