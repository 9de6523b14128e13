"""`SimplexETF`: the known optimal arrangements, and the nearest simplex by a search that knows no formula."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import etf_distance
from scipy.linalg import expm
from scipy.optimize import minimize

from ncapps.errors import InputError
from ncapps.simplex import SimplexETF


def largest_cosine(points):
    cosines = points @ points.T
    return cosines[np.triu_indices(len(points), 1)].max()


@given(n_classes=st.integers(2, 12), spare=st.integers(-1, 6), seed=st.integers(0, 10**6))
def test_up_to_width_plus_one_classes_form_the_regular_simplex(n_classes, spare, seed):
    simplex = SimplexETF.construct(n_classes, n_classes + spare, seed)
    expected = np.full((n_classes, n_classes), -1 / (n_classes - 1)) + np.eye(n_classes) * n_classes / (n_classes - 1)
    np.testing.assert_allclose(simplex.vertices @ simplex.vertices.T, expected, atol=1e-12)
    np.testing.assert_allclose(simplex.vertices.sum(axis=0), 0, atol=1e-12)
    assert (simplex.scale, simplex.distance, np.abs(simplex.center).max()) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(("n_classes", "dim"), [(4, 2), (5, 3), (6, 3), (12, 8), (16, 8)])
def test_up_to_twice_the_width_the_largest_cosine_is_rankins_zero(n_classes, dim):
    points = SimplexETF.construct(n_classes, dim, seed=3).vertices
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    assert largest_cosine(points) == pytest.approx(0.0, abs=1e-12)


# Proven optimal codes: regular polygons, the icosahedron, and the roots of D4 (kissing number 24).
OPTIMAL = [(5, 2, np.cos(2 * np.pi / 5)), (9, 2, np.cos(2 * np.pi / 9)), (12, 3, 1 / np.sqrt(5)), (24, 4, 0.5)]


@pytest.mark.parametrize(("n_classes", "dim", "best"), OPTIMAL)
def test_beyond_that_the_largest_cosine_comes_near_the_best_known(n_classes, dim, best):
    found = min(largest_cosine(SimplexETF.construct(n_classes, dim, seed).vertices) for seed in range(3))
    assert best - 1e-9 <= found <= best + 0.05


@pytest.mark.parametrize(("n_classes", "dim"), [(50, 10), (100, 16)])
def test_beyond_that_random_points_are_beaten_by_a_margin(n_classes, dim):
    points = SimplexETF.construct(n_classes, dim, seed=0).vertices
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    random = np.random.default_rng(0).standard_normal((20, n_classes, dim))
    random /= np.linalg.norm(random, axis=2, keepdims=True)
    cosines = points @ points.T - np.eye(n_classes)
    welch = np.sqrt((n_classes - dim) / (dim * (n_classes - 1)))
    assert np.abs(cosines).max() >= welch - 1e-12
    assert 0 < largest_cosine(points) < min(map(largest_cosine, random)) - 0.2


def test_the_seed_turns_it_and_nothing_else_does():
    first, again, other = (SimplexETF.construct(4, 6, seed).vertices for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    SimplexETF.construct(30, 4, 0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@given(
    n_classes=st.integers(2, 9),
    spare=st.integers(-1, 5),
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-100, 100),
    seed=st.integers(0, 10**6),
)
def test_a_turned_scaled_and_shifted_simplex_is_found_again(n_classes, spare, scale, shift, seed):
    perfect = SimplexETF.construct(n_classes, n_classes + spare, seed)
    means = scale * perfect.vertices + shift
    fitted = SimplexETF.fit(means)
    assert fitted.distance == pytest.approx(0.0, abs=1e-11 * (1 + abs(shift) / scale))
    assert fitted.scale == pytest.approx(scale, rel=1e-9)
    np.testing.assert_allclose(fitted.points, means, atol=1e-11 * (scale + abs(shift)))
    np.testing.assert_allclose(fitted.vertices, perfect.vertices, atol=1e-9 * (1 + abs(shift) / scale))


def test_a_distance_far_below_the_root_of_the_rounding_error_is_told():
    noise = np.random.default_rng(0).standard_normal((5, 8))
    one, tenth = (
        SimplexETF.fit(SimplexETF.construct(5, 8, 0).vertices + size * noise).distance for size in (1e-10, 1e-11)
    )
    assert one == pytest.approx(10 * tenth, rel=1e-3)
    assert 1e-11 < one < 1e-9


@pytest.mark.parametrize(("n_classes", "dim"), [(2, 2), (3, 2), (3, 3), (4, 3)])
def test_the_distance_is_that_of_a_numeric_search(n_classes, dim):
    random = np.random.default_rng(n_classes * 10 + dim)
    means = random.standard_normal((n_classes, dim)) * 2 + 1
    centered = means - means.mean(axis=0)
    start = SimplexETF.construct(n_classes, dim, seed=5).vertices
    pairs = list(itertools.combinations(range(dim), 2))

    def residual(parameters, mirror):
        skew = np.zeros((dim, dim))
        for value, (i, j) in zip(parameters[1:], pairs, strict=True):
            skew[i, j], skew[j, i] = value, -value
        turned = (start * mirror) @ expm(skew)
        return ((centered - parameters[0] * turned) ** 2).sum()

    best = np.inf
    for mirror in (np.ones(dim), np.array([-1.0] + [1.0] * (dim - 1))):
        for _ in range(6):
            guess = np.concatenate([[1.0], random.uniform(-np.pi, np.pi, len(pairs))])
            found = minimize(residual, guess, args=(mirror,), method="BFGS", options={"gtol": 1e-10})
            best = min(best, found.fun)
    fitted = SimplexETF.fit(means)
    assert fitted.distance * np.linalg.norm(centered) == pytest.approx(np.sqrt(best), abs=1e-6)
    assert np.linalg.norm(fitted.points - means) == pytest.approx(np.sqrt(best), abs=1e-6)
    assert fitted.distance == pytest.approx(etf_distance(means), abs=1e-9)


@given(n_classes=st.integers(2, 8), spare=st.integers(-1, 4), seed=st.integers(0, 10**6))
def test_the_fitted_points_lie_as_far_from_the_means_as_the_distance_says(n_classes, spare, seed):
    means = np.random.default_rng(seed).standard_normal((n_classes, n_classes + spare)) + 3
    fitted = SimplexETF.fit(means)
    residual = np.linalg.norm(fitted.points - means) / np.linalg.norm(means - means.mean(axis=0))
    assert fitted.distance == pytest.approx(residual, abs=1e-10)
    assert 0 <= fitted.distance < 1


def test_distances_are_euclidean():
    random = np.random.default_rng(0)
    fitted = SimplexETF.fit(random.standard_normal((4, 6)) + 100)
    features = random.standard_normal((9, 6)) + 100
    expected = [[np.linalg.norm(row - point) for point in fitted.points] for row in features]
    np.testing.assert_allclose(fitted.distances(features), expected, rtol=1e-12)
    np.testing.assert_allclose(np.diag(fitted.distances(fitted.points)), 0, atol=1e-6)


@pytest.mark.parametrize(("n_classes", "dim"), [(1, 3), (0, 3), (2, 0)])
def test_too_few_classes_or_dimensions_are_refused(n_classes, dim):
    words = f"needs two or more classes and one or more dimensions, but {n_classes} and {dim} came"
    with pytest.raises(InputError, match=words):
        SimplexETF.construct(n_classes, dim)


def test_means_without_a_simplex_are_refused():
    with pytest.raises(InputError, match="5 classes have no regular simplex in 3 dimensions, which holds 4 at most"):
        SimplexETF.fit(np.random.default_rng(0).standard_normal((5, 3)))
    for means in (np.ones((3, 4)), np.zeros((2, 2)), np.full((4, 3), 0.1) * 3):
        with pytest.raises(InputError, match="all class means coincide.*are the labels or the features constant"):
            SimplexETF.fit(means)
    with pytest.raises(InputError, match=r"2 image\(s\) or more are needed, but 1 came"):
        SimplexETF.fit(np.ones((1, 4)))
    with pytest.raises(InputError, match="X has 3 features, but the simplex is expecting 4"):
        SimplexETF.construct(3, 4).distances(np.zeros((1, 3)))
