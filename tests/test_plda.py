import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from ncapps.plda import class_log_likelihoods, place_classes, two_covariance, whiten, within_eigen


def world(classes=4, width=6, seed=0, amounts=(0.3, 0.4)):
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((width, width))
    within = mixing @ mixing.T / width
    means = 3 * random.standard_normal((classes, width))
    counts = random.integers(20, 40, classes)
    return within, means, counts, two_covariance(*within_eigen(within), means, counts, *amounts)


def covariances(geometry, within, amount):
    """S_w and S_b in feature units, written out."""
    width = len(within)
    shrunk = (1 - amount) * within + amount * np.trace(within) / width * np.eye(width)
    axes, rest = geometry["axes"], float(geometry["rest"])
    spread = axes.T @ np.diag(geometry["spread"] - rest) @ axes + rest * np.eye(width)
    back = np.linalg.inv(geometry["basis"] * geometry["scale"])
    return shrunk, back.T @ spread @ back


@pytest.mark.parametrize("classes", [2, 4, 9])
@pytest.mark.parametrize("count", [0, 1, 5, 300])
def test_the_likelihood_is_the_two_covariance_posterior_predictive(classes, count):
    within, _, _, geometry = world(classes)
    S_w, S_b = covariances(geometry, within, 0.3)
    random = np.random.default_rng(1)
    mean, queries = random.standard_normal((1, 6)), random.standard_normal((7, 6))
    center = geometry["center"]
    if count:
        gain = S_b @ np.linalg.inv(S_b + S_w / count)
        expected_mean, variance = center + gain @ (mean[0] - center), S_b - gain @ S_b + S_w
    else:
        expected_mean, variance = center, S_b + S_w
    expected = multivariate_normal(expected_mean, (variance + variance.T) / 2).logpdf(queries)
    found = class_log_likelihoods(geometry, place_classes(geometry, mean, np.array([count])), queries)[:, 0]
    # The constant that all classes share is left out.
    shared = multivariate_normal(np.zeros(6), S_w).logpdf(np.zeros(6))
    assert np.allclose(found, expected - shared, rtol=1e-8, atol=1e-8)


def test_within_class_scatter_is_the_identity_in_whitened_coordinates():
    within, means, counts, _ = world()
    geometry = two_covariance(*within_eigen(within), means, counts, 0.0, 0.5)
    images = np.random.default_rng(0).multivariate_normal(geometry["center"], within, 200_000)
    assert np.allclose(np.cov(whiten(geometry, images).T), np.eye(6), atol=0.03)


def test_a_basis_given_beforehand_changes_nothing():
    within, means, counts, geometry = world()
    values, basis = within_eigen(within)
    turned = two_covariance(values, None, means @ basis, counts, 0.3, 0.4)
    new, X = means[:2] + 0.3, means + 0.7
    one = class_log_likelihoods(geometry, place_classes(geometry, new, [1, 5]), X)
    other = class_log_likelihoods(turned, place_classes(turned, new @ basis, [1, 5]), X @ basis)
    assert np.allclose(one, other)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(1e-3, 1e3))
def test_moving_scaling_and_turning_the_features_moves_no_difference_between_classes(seed, scale):
    within, means, counts, geometry = world(seed=seed)
    random = np.random.default_rng(seed)
    turn, shift = np.linalg.qr(random.standard_normal((6, 6)))[0], 10 * random.standard_normal(6)
    other = two_covariance(
        *within_eigen(scale**2 * turn.T @ within @ turn), scale * means @ turn + shift, counts, 0.3, 0.4
    )
    X = random.standard_normal((5, 6))
    one = class_log_likelihoods(geometry, place_classes(geometry, means, counts), X)
    two = class_log_likelihoods(
        other, place_classes(other, scale * means @ turn + shift, counts), scale * X @ turn + shift
    )
    assert np.allclose(one - one[:, :1], two - two[:, :1], rtol=1e-6, atol=1e-6)


def test_collapsed_classes_give_finite_numbers():
    means = np.eye(4)
    geometry = two_covariance(*within_eigen(np.zeros((4, 4))), means, np.full(4, 9), 0.5, 0.7)
    scores = class_log_likelihoods(geometry, place_classes(geometry, means, np.full(4, 9)), means)
    assert np.isfinite(scores).all()
    assert (scores.argmax(axis=1) == np.arange(4)).all()


def test_one_class_has_a_geometry_too():
    geometry = two_covariance(*within_eigen(np.eye(3)), np.ones((1, 3)), np.array([5]), 0.5, 0.5)
    assert np.isfinite(class_log_likelihoods(geometry, place_classes(geometry, np.ones((1, 3)), [5]), np.eye(3))).all()
