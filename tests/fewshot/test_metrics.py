import numpy as np
import pytest

from ncapps.fewshot.metrics import METRICS, cosine, euclidean


@pytest.mark.parametrize("name", METRICS)
def test_a_prototype_is_most_like_itself(name):
    prototypes = np.random.default_rng(0).standard_normal((5, 8))
    scores = METRICS[name](prototypes, prototypes, prototypes.mean(axis=0))
    assert (scores.argmax(axis=1) == np.arange(5)).all()


def test_cosine_is_taken_about_the_centre():
    center = np.array([10.0, 10.0])
    prototypes = center + np.array([[1.0, 0.0], [0.0, 1.0]])
    scores = cosine(center + np.array([[2.0, 0.0]]), prototypes, center)
    assert np.allclose(scores, [[1.0, 0.0]])


def test_an_image_at_the_centre_has_cosine_zero_and_not_nan():
    assert np.array_equal(cosine(np.zeros((1, 2)), np.eye(2), np.zeros(2)), [[0.0, 0.0]])


def test_euclidean_does_not_cancel_far_from_the_origin():
    prototypes = 1e6 + np.eye(3)
    assert np.allclose(euclidean(prototypes, prototypes, np.zeros(3)), -2 * (1 - np.eye(3)), atol=1e-9)
