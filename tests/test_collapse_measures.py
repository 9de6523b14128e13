"""The single formulas, where a report alone would not tell them apart."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncapps import collapse_measures as measures
from ncapps.simplex import SimplexETF


def draw(n_classes, width, seed):
    random = np.random.default_rng(seed)
    means = random.standard_normal((n_classes, width))
    root = random.standard_normal((width, width))
    return root @ root.T, means - means.mean(axis=0)


@given(n_classes=st.integers(2, 12), width=st.integers(1, 10), seed=st.integers(0, 10**6))
def test_nc1_by_singular_vectors_is_the_pseudo_inverse_form(n_classes, width, seed):
    within, centered = draw(n_classes, width, seed)
    between = centered.T @ centered / n_classes
    expected = np.trace(within @ np.linalg.pinv(between, rcond=1e-11, hermitian=True))
    assert measures.nc1_undivided(within, centered) == pytest.approx(expected, rel=1e-6)


def test_nc1_of_class_means_on_a_line_or_with_dead_columns():
    within, centered = draw(5, 4, 0)
    centered[:, 2] = 0.0
    kept = [0, 1, 3]
    got = measures.nc1_undivided(within, centered)
    assert got == pytest.approx(measures.nc1_undivided(within[np.ix_(kept, kept)], centered[:, kept]))
    line = np.outer(np.arange(5) - 2.0, [1.0, 0, 0, 0])
    assert measures.nc1_undivided(within, line) == pytest.approx(within[0, 0] / 2)


def test_nc1_where_the_means_coincide():
    assert measures.nc1_undivided(np.eye(3), np.zeros((4, 3))) == math.inf
    assert measures.nc1_undivided(np.zeros((3, 3)), np.zeros((4, 3))) == 0.0


def test_ratio_and_spread_at_zero():
    assert measures.ratio(1.0, 0.0) == math.inf
    assert measures.ratio(0.0, 0.0) == 0.0
    assert measures.ratio(1.0, 4.0) == 0.25
    assert measures.spread(np.zeros(3)) == 0.0
    assert measures.spread(np.array([1.0, 3.0])) == 0.5


def test_cdnv_of_two_classes_by_hand():
    means = np.array([[0.0, 0.0], [3.0, 4.0]])
    assert measures.cdnv(np.array([2.0, 8.0]), means) == pytest.approx(10 / 50)
    assert measures.cdnv(np.zeros(2), np.zeros((2, 2))) == 0.0
    assert measures.cdnv(np.array([0.0, 1.0]), np.zeros((2, 2))) == math.inf


def test_uniformity_is_least_for_the_simplex():
    def of(points):
        return measures.uniformity(measures.pair_cosines(points))

    best = of(SimplexETF.construct(6, 8, seed=0).vertices)
    random = np.random.default_rng(0)
    for _ in range(20):
        other = of(random.standard_normal((6, 8)))
        assert best[0] < other[0]
        assert best[2] < other[2]
    assert best[1] == pytest.approx(0, abs=1e-20)
    assert best[3] == pytest.approx(0, abs=1e-20)


def test_simplex_error_of_a_simplex_of_its_mirror_and_of_nothing():
    simplex = SimplexETF.construct(5, 7, seed=0).vertices
    assert measures.etf_error(7 * simplex @ simplex.T) == pytest.approx(0, abs=1e-12)
    # Both sides have length one: the mirror image is two away, and nothing at all one.
    assert measures.etf_error(-simplex @ simplex.T) == pytest.approx(2)
    assert measures.etf_error(np.zeros((5, 5))) == pytest.approx(1)


def test_simplex_distance_where_none_exists():
    assert measures.etf_distance(np.random.default_rng(0).standard_normal((5, 3))) is None
    assert measures.etf_distance(np.ones((3, 5))) == 1.0
    # Rounding alone tells these means apart.
    assert measures.etf_distance(np.array([[0.1 + 0.2, 1.0], [0.3, 1.0]])) == 1.0


def test_head_measures_of_a_mirrored_and_a_turned_head():
    simplex = SimplexETF.construct(4, 4, seed=0).vertices
    mirrored = measures.head_measures(-simplex, simplex)
    assert mirrored["nc3"] == pytest.approx(4)
    assert mirrored["nc3_product"] == pytest.approx(2)
    assert mirrored["nc3_cosine"] == pytest.approx(2)
    assert mirrored["nc3_uniformity"] == pytest.approx(0, abs=1e-20)
    swapped = measures.head_measures(simplex[[1, 0, 3, 2]], simplex)
    assert swapped["nc3_cosine"] == pytest.approx(1 + 1 / 3)
    assert measures.head_measures(np.zeros((4, 4)), simplex)["nc3"] == pytest.approx(1)
    assert tuple(mirrored) == measures.HEAD_MEASURES


def test_unknown_images_at_right_angles_have_no_nc5():
    means = np.eye(4)[:3]
    unknown = np.array([[0.0, 0.0, 0.0, 2.0], [0.0, 0.0, 0.0, 4.0]])
    assert measures.orthogonality_to_unknown(means, unknown) == 0.0
    assert measures.orthogonality_to_unknown(means, means[:1]) == pytest.approx(1 / 3)
    assert measures.orthogonality_to_unknown(means, -means[:1]) == pytest.approx(1 / 3)
