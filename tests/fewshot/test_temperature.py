import numpy as np
import pytest
from scipy.special import log_softmax

from ncapps.fewshot.metrics import METRICS
from ncapps.fewshot.temperature import fit_temperature, left_out_scores
from ncapps.statistics import ClassStatistics


@pytest.mark.parametrize("name", METRICS)
def test_left_out_scores_are_those_of_prototypes_formed_without_the_image(name):
    random = np.random.default_rng(0)
    X, codes = random.standard_normal((150, 4)), np.repeat([0, 1, 2], 50)
    means = np.stack([X[codes == c].mean(axis=0) for c in range(3)])
    center = means.mean(axis=0)
    found = left_out_scores(METRICS[name].scores, X, codes, np.bincount(codes), means, center)
    for i in (0, 63, 64, 149):
        own = means.copy()
        rest = (codes == codes[i]) & (np.arange(150) != i)
        own[codes[i]] = X[rest].mean(axis=0)
        counts = np.bincount(codes) - (np.arange(3) == codes[i])
        expected = METRICS[name].scores(X[i : i + 1], own, counts, center)[0, codes[i]]
        assert np.isclose(found[i, codes[i]], expected)
        rest = np.arange(3) != codes[i]
        assert np.allclose(
            found[i, rest], METRICS[name].scores(X[i : i + 1], means, np.bincount(codes), center)[0, rest]
        )


def test_a_class_of_one_image_keeps_its_mean():
    X, codes = np.eye(2), np.array([0, 1])
    scores = left_out_scores(METRICS["euclidean"].scores, X, codes, np.array([1, 1]), X, X.mean(axis=0))
    assert np.isfinite(scores).all()


def test_the_fitted_temperature_has_the_least_loss():
    random = np.random.default_rng(1)
    codes = random.integers(0, 5, 4000)
    logits = random.standard_normal((4000, 5))
    logits[np.arange(4000), codes] += 1.5
    scores = 7.0 * logits
    best = fit_temperature(scores, codes)

    def loss(temperature):
        return -log_softmax(scores / temperature, axis=1)[np.arange(4000), codes].mean()

    assert loss(best) <= min(loss(best * factor) for factor in (0.5, 0.8, 1.25, 2.0))


def test_scaled_scores_scale_the_temperature():
    random = np.random.default_rng(2)
    scores, codes = random.standard_normal((500, 3)), random.integers(0, 3, 500)
    scores[np.arange(500), codes] += 1
    assert fit_temperature(100 * scores, codes) == pytest.approx(100 * fit_temperature(scores, codes), rel=1e-3)


def test_round_classes_get_twice_their_variance():
    X = 3.0 * np.random.default_rng(3).standard_normal((4000, 5))
    found = METRICS["euclidean"].spread_temperature(ClassStatistics.from_features(X, np.zeros(4000, int)))
    assert found == pytest.approx(18, rel=0.05)
    assert METRICS["mahalanobis"].spread_temperature(ClassStatistics.from_features(X, np.zeros(4000, int))) == 2 / 5
