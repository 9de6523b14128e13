import numpy as np
import pytest

from ncapps.covariance import oas_amount, shrink
from ncapps.fewshot.metrics import METRICS, cosine, euclidean, mahalanobis, whitening
from ncapps.statistics import ClassStatistics


@pytest.mark.parametrize("name", METRICS)
def test_a_prototype_is_most_like_itself(name):
    prototypes = np.random.default_rng(0).standard_normal((5, 8))
    scores = METRICS[name].scores(prototypes, prototypes, np.full(5, 9), prototypes.mean(axis=0))
    assert (scores.argmax(axis=1) == np.arange(5)).all()


def test_cosine_is_taken_about_the_centre():
    center = np.array([10.0, 10.0])
    prototypes = center + np.array([[1.0, 0.0], [0.0, 1.0]])
    scores = cosine(center + np.array([[2.0, 0.0]]), prototypes, np.ones(2), center)
    assert np.allclose(scores, [[1.0, 0.0]])


def test_an_image_at_the_centre_has_cosine_zero_and_not_nan():
    assert np.array_equal(cosine(np.zeros((1, 2)), np.eye(2), np.ones(2), np.zeros(2)), [[0.0, 0.0]])


def test_euclidean_does_not_cancel_far_from_the_origin():
    prototypes = 1e6 + np.eye(3)
    assert np.allclose(euclidean(prototypes, prototypes, np.ones(3), np.zeros(3)), -2 * (1 - np.eye(3)), atol=1e-9)


def test_mahalanobis_is_the_tied_gaussian_written_out():
    random = np.random.default_rng(1)
    X, y = (
        random.standard_normal((300, 4)) * [1, 2, 3, 9] + np.repeat(np.eye(4)[:3] * 5, 100, axis=0),
        np.arange(300) // 100,
    )
    stats = ClassStatistics.from_features(X, y)
    W = whitening(stats)
    scores = mahalanobis(X @ W, stats.means @ W, stats.counts, stats.center @ W)
    inverse = np.linalg.inv(shrink(stats.within_covariance, oas_amount(stats.within_covariance, 300)))
    gap = X[:, None] - stats.means
    distances = np.einsum("ncd,de,nce->nc", gap, inverse, gap)
    unit = distances[np.arange(300), y].mean()
    assert np.allclose(scores, 0.01 - distances / unit)


def test_a_mean_of_few_images_is_given_more_room():
    prototypes, query = np.array([[0.0], [2.0]]), np.array([[1.0]])
    scores = mahalanobis(query, prototypes, np.array([1000, 5]), np.zeros(1))[0]
    assert scores[1] - scores[0] == pytest.approx(1 / 5 - 1 / 1000)


def test_in_whitened_coordinates_images_lie_one_from_their_mean():
    random = np.random.default_rng(4)
    X, y = random.standard_normal((200, 6)) * np.arange(1, 7), np.arange(200) // 50
    stats = ClassStatistics.from_features(X, y)
    assert np.mean(np.sum(((X - stats.means[y]) @ whitening(stats)) ** 2, axis=1)) == pytest.approx(1)


def test_classes_without_any_spread_are_not_whitened():
    assert whitening(ClassStatistics.from_features(np.eye(3), ["a", "b", "c"])) is None
