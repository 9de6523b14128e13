import numpy as np
import pytest
from scipy.special import logsumexp

from ncapps.ood.subcentroids import neighbourhood, subcentroids


def clusters():
    random = np.random.default_rng(0)
    centres = random.standard_normal((2, 3, 5))
    X = np.repeat(centres.reshape(6, 5), 40, axis=0) + 0.01 * random.standard_normal((240, 5))
    return centres, X, np.repeat([0, 1], 120)


def test_centres_lie_nearer_to_the_images_than_their_class_mean():
    _, X, codes = clusters()
    found = subcentroids(X, codes, 3)
    assert found.shape == (6, 5)
    for half, code in ((found[:3], 0), (found[3:], 1)):
        own = X[codes == code]
        nearest = ((own[:, None] - half) ** 2).sum(axis=2).min(axis=1)
        assert nearest.mean() < 0.6 * ((own - own.mean(axis=0)) ** 2).sum(axis=1).mean()


def test_one_centre_is_the_mean_and_the_same_seed_gives_the_same_centres():
    _, X, codes = clusters()
    means = np.stack([X[codes == c].mean(axis=0) for c in (0, 1)])
    assert np.allclose(subcentroids(X, codes, 1), means, atol=1e-5)
    assert np.array_equal(subcentroids(X, codes, 3, seed=4), subcentroids(X, codes, 3, seed=4))


def test_a_small_class_has_few_centres_but_one():
    X = np.random.default_rng(1).standard_normal((26, 4))
    assert len(subcentroids(X, np.r_[np.zeros(25, int), 1], 16)) == 3


def test_the_neighbourhood_is_its_formula():
    random = np.random.default_rng(2)
    units, centres = random.standard_normal((20, 4)), random.standard_normal((7, 4)).astype(np.float32)
    squared = ((units[:, None] - centres) ** 2).sum(axis=2)
    assert neighbourhood(units, centres, (centres**2).sum(axis=1)) == pytest.approx(
        logsumexp(-30 * squared, axis=1), rel=1e-5
    )
