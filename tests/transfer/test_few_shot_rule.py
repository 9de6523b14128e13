import numpy as np
import pytest
from scipy.stats import multivariate_normal

from ncapps.statistics import ClassStatistics
from ncapps.transfer.few_shot_rule import few_shot_rule, two_covariance_scores, two_covariances


def test_the_coordinates_make_both_covariances_plain(clouds):
    statistics = ClassStatistics.from_features(*clouds())
    turn, strength = two_covariances(statistics)
    within = statistics.within_covariance
    within = 0.5 * within + 0.5 * np.trace(within) / 8 * np.eye(8)
    np.testing.assert_allclose(turn.T @ within @ turn, np.eye(8), atol=1e-6)
    assert (strength >= 0).all()


def test_the_scores_are_log_predictive_densities():
    """The predictive density by conditioning one joint Gaussian of the class mean, its images and the asked image."""
    random = np.random.default_rng(0)
    strength, counts = np.array([0.5, 2.0, 0.0]), np.array([[1], [4]])
    means, rows = random.normal(size=(2, 3)), random.normal(size=(5, 3))
    expected = np.zeros((5, 2))
    for code, n in enumerate(counts[:, 0]):
        for column, psi in enumerate(strength):
            # Joint covariance of (mean of n images, asked image): both hang on the class mean alone.
            seen, both = psi + 1 / n, psi
            center, variance = both / seen * means[code, column], 1 + psi - both**2 / seen
            expected[:, code] += multivariate_normal.logpdf(rows[:, column], center, variance)
    found = two_covariance_scores(rows, means, counts, strength)
    # Equal up to a term of the image alone.
    np.testing.assert_allclose(np.diff(found, axis=1), np.diff(expected, axis=1), atol=1e-12)


def test_few_shots_and_many_compete_on_equal_terms(clouds):
    features, codes = clouds(n_classes=30, per_class=40, width=20, within=1.0)
    known, new = codes < 20, codes >= 20
    shots = np.concatenate([np.flatnonzero(codes == code)[:2] for code in range(20, 30)])
    asked = np.concatenate([np.flatnonzero(codes == code)[30:] for code in range(30)])
    many = np.setdiff1d(np.flatnonzero(known), asked)
    named = few_shot_rule(features[many], codes[many], features[shots], codes[shots], features[asked])
    assert (named == codes[asked])[new[asked]].mean() > 0.6
    assert (named == codes[asked])[known[asked]].mean() > 0.8
    assert abs((named >= 20).mean() - 1 / 3) < 0.08


@pytest.mark.parametrize("width", [2, 5])
def test_collapsed_classes_are_named_right(width):
    points = np.random.default_rng(0).normal(size=(4, width))
    codes = np.repeat([0, 1, 2], 4)
    named = few_shot_rule(points[codes], codes, points[[3]], np.array([3]), points)
    assert named.tolist() == [0, 1, 2, 3]


def test_constant_features_do_not_crash():
    codes = np.repeat([0, 1], 3)
    assert few_shot_rule(np.ones((6, 2)), codes, np.ones((1, 2)), np.array([2]), np.ones((4, 2))).shape == (4,)
