import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from ncapps.transfer.h_score import h_score


def slow(features, codes):
    """Replace each image by its class mean, and take both covariances plainly."""
    estimator = LedoitWolf().fit(features)
    means = np.array([features[codes == code].mean(axis=0) for code in codes])
    between = np.cov(means.T, bias=True)
    return (1 - estimator.shrinkage_) * np.trace(np.linalg.inv(estimator.covariance_) @ between)


@pytest.mark.parametrize("width", [4, 150])
def test_it_is_the_formula(clouds, width):
    features, codes = clouds(width=width)
    assert h_score(features, codes) == pytest.approx(slow(features, codes), rel=1e-8)


def test_it_is_bounded_by_the_classes_less_one(clouds):
    features, codes = clouds(within=1e-3)
    assert 0.9 * 5 < h_score(features, codes) < 5
    assert h_score(np.eye(6)[codes], codes) <= 5


def test_scale_rotation_and_shift_change_nothing(clouds):
    features, codes = clouds()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
    assert h_score(1e-4 * features @ turn + 3, codes) == pytest.approx(h_score(features, codes), rel=1e-6)


def test_wide_noise_scores_low_where_the_plain_form_would_not():
    random, codes = np.random.default_rng(0), np.arange(100) % 5
    assert h_score(random.normal(size=(100, 300)), codes) < 0.5


def test_constant_features_score_nothing():
    assert h_score(np.ones((12, 3)), np.arange(12) % 3) == 0
