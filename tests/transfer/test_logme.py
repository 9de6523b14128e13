import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from ncapps.transfer.logme import logme


def slow(features, codes):
    """Maximise the evidence of each class's labels, a Gaussian with covariance I / b + F FT / a, by a plain search."""
    rows = features / np.sqrt((features**2).sum() / len(features))
    best = []
    for code in range(codes.max() + 1):
        labels = (codes == code).astype(float)

        def minus(logs, labels=labels):
            covariance = np.exp(-logs[1]) * np.eye(len(rows)) + np.exp(-logs[0]) * rows @ rows.T
            return -multivariate_normal.logpdf(labels, np.zeros(len(rows)), covariance) / len(rows)

        best.append(-minimize(minus, [-1.0, 5.0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9}).fun)
    return float(np.mean(best))


@pytest.mark.parametrize("width", [5, 90])
def test_it_is_the_maximal_evidence(clouds, width):
    features, codes = clouds(n_classes=3, per_class=20, width=width, within=1.5)
    assert logme(features, codes) == pytest.approx(slow(features, codes), abs=2e-4)


def test_scale_and_rotation_and_the_names_of_classes_do_not_matter(clouds):
    features, codes = clouds()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
    expected = logme(features, codes)
    assert logme(1e3 * features @ turn, codes) == pytest.approx(expected, rel=1e-8)
    assert logme(features, 5 - codes) == pytest.approx(expected, rel=1e-8)


def test_tighter_classes_score_higher(clouds):
    scores = [logme(*clouds(within=within)) for within in (0.1, 0.5, 2.0, 8.0)]
    assert scores == sorted(scores, reverse=True)


def test_columns_of_zeros_change_nothing(clouds):
    features, codes = clouds(within=1.0)
    padded = np.hstack([features, np.zeros((len(features), 300))])
    assert logme(padded, codes) == pytest.approx(logme(features, codes), abs=1e-9)


@pytest.mark.parametrize("features", [np.zeros((12, 3)), np.ones((12, 3)), np.eye(3)[np.arange(12) % 3]])
def test_degenerate_features_give_a_finite_number(features):
    assert np.isfinite(logme(features, np.arange(12) % 3))
