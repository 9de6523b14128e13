"""Scores against prototypes: the plain definitions, also far from the origin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncapps.prototypes import cosine_scores, euclidean_scores, placed_euclidean_scores, squared_distances, unit_rows


@given(seed=st.integers(0, 10**6), shift=st.sampled_from([0.0, 1.0, 1e6]))
def test_squared_distances_are_those_of_the_definition(seed, shift):
    random = np.random.default_rng(seed)
    features, prototypes = random.standard_normal((7, 5)) + shift, random.standard_normal((3, 5)) + shift
    expected = [[((row - prototype) ** 2).sum() for prototype in prototypes] for row in features]
    np.testing.assert_allclose(squared_distances(features, prototypes), expected, rtol=1e-9)
    np.testing.assert_array_equal(euclidean_scores(features, prototypes), -squared_distances(features, prototypes))


@given(seed=st.integers(0, 10**6))
def test_prototypes_that_stand_ready_score_alike(seed):
    random = np.random.default_rng(seed)
    features, prototypes = random.standard_normal((7, 5)), random.standard_normal((3, 5))
    features[0] = prototypes[1]
    scores = placed_euclidean_scores(features, prototypes, (prototypes**2).sum(axis=1))
    np.testing.assert_allclose(scores, euclidean_scores(features, prototypes), rtol=1e-9, atol=1e-12)
    assert scores.max() <= 0


def test_distances_are_never_negative():
    points = np.random.default_rng(0).standard_normal((200, 30)) * 1e-3 + 1e3
    distances = squared_distances(points, points)
    assert distances.min() >= 0
    assert np.diag(distances).max() < 1e-15


def test_the_inputs_are_left_alone():
    features, prototypes = np.ones((2, 3)), np.zeros((2, 3))
    squared_distances(features, prototypes)
    cosine_scores(features, prototypes)
    assert (features.min(), prototypes.max()) == (1, 0)


@given(scale=st.floats(1e-100, 1e100))
def test_cosines_have_no_unit(scale):
    random = np.random.default_rng(0)
    features, prototypes = random.standard_normal((7, 5)), random.standard_normal((3, 5))
    expected = [[a @ b / np.sqrt((a @ a) * (b @ b)) for b in prototypes] for a in features]
    np.testing.assert_allclose(cosine_scores(scale * features, prototypes), expected, atol=1e-13)


def test_a_zero_row_stays_zero():
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [-5.0, 0.0]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]])
    assert cosine_scores(np.zeros((1, 2)), np.ones((1, 2))).item() == 0


def test_higher_is_more_alike():
    prototypes = np.array([[1.0, 0.0], [0.0, 1.0]])
    for scores in (euclidean_scores, cosine_scores):
        assert scores(np.array([[0.9, 0.2]]), prototypes).argmax() == 0
    assert euclidean_scores(prototypes, prototypes).max() == pytest.approx(0)
