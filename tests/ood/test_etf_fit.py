import numpy as np
import pytest

from ncapps.ood.etf_fit import learn_etf, orthonormal_rows
from ncapps.ood.linear_head import LinearHead
from ncapps.statistics import ClassStatistics


def statistics(classes=4, width=6, each=50, seed=0):
    random = np.random.default_rng(seed)
    X = np.repeat(3 * random.standard_normal((classes, width)), each, axis=0)
    X += random.standard_normal(X.shape) * np.linspace(0.2, 1, width)
    return ClassStatistics.from_features(X, np.repeat(np.arange(classes), each))


def test_orthonormal_rows_span_the_same_and_no_more():
    random = np.random.default_rng(1)
    rows = random.standard_normal((3, 7))
    basis = orthonormal_rows(np.concatenate([rows, rows[:1] - 2 * rows[2:]]))
    assert basis.shape == (3, 7)
    assert np.allclose(basis @ basis.T, np.eye(3))
    assert np.allclose(rows @ basis.T @ basis, rows)
    assert orthonormal_rows(np.zeros((2, 7))).shape == (0, 7)


def test_whitened_noise_has_unit_variance():
    # Of so many images that there is nothing left to shrink.
    found = statistics(each=5000)
    learned = learn_etf(found, None, "means", np.zeros((0, 6)), 0)
    whitened = learned["whitener"] @ found.within_covariance @ learned["whitener"].T
    assert np.abs(whitened - np.eye(6)).max() < 0.02


def test_the_weights_stand_for_the_terms_that_vary():
    learned = learn_etf(statistics(), None, "auto", np.zeros((0, 6)), 0)
    *others, neighbours = learned["weights"]
    assert learned["weights"].sum() == pytest.approx(1)
    assert neighbours == 0
    assert np.allclose(others, np.array([2, 0.5, 1.5, 1]) / 5)
    # With as many classes as columns all energy lies inside the span, which then tells nothing.
    full = learn_etf(statistics(classes=8), None, "auto", np.zeros((0, 6)), 0)
    assert full["weights"][3] == 0


def test_the_same_seed_gives_the_same_laws():
    found = statistics()
    head = LinearHead.from_means(found)
    one, two, other = (learn_etf(found, head, "auto", np.zeros((0, 6)), seed) for seed in (0, 0, 1))
    assert np.array_equal(one["medians"], two["medians"])
    assert not np.array_equal(one["medians"], other["medians"])
    assert np.allclose(one["spreads"], other["spreads"], rtol=0.15)
