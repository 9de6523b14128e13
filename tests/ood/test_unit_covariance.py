import numpy as np

from ncapps.ood.unit_covariance import unit_covariance
from ncapps.prototypes import unit_rows


def test_it_is_the_covariance_of_unit_features_to_first_order():
    random = np.random.default_rng(0)
    means = 5 + 3 * random.standard_normal((4, 6))
    factor = 0.05 * random.standard_normal((6, 6))
    codes = np.arange(200_000) % 4
    units = unit_rows(means[codes] + random.standard_normal((len(codes), 6)) @ factor)
    residuals = units - np.stack([units[codes == c].mean(axis=0) for c in range(4)])[codes]
    measured = residuals.T @ residuals / len(codes)
    expected = unit_covariance(means, factor.T @ factor, np.full(4, 0.25))
    assert np.abs(expected - measured).max() < 0.02 * np.abs(measured).max()


def test_it_is_the_sum_over_classes_written_out():
    random = np.random.default_rng(1)
    means, shares = random.standard_normal((3, 5)), np.array([0.2, 0.3, 0.5])
    root = random.standard_normal((5, 5))
    covariance = root @ root.T
    expected = np.zeros((5, 5))
    for mean, share in zip(means, shares, strict=True):
        axis = mean / np.linalg.norm(mean)
        turn = np.eye(5) - np.outer(axis, axis)
        expected += share * turn @ covariance @ turn / (mean @ mean + np.trace(covariance))
    assert np.allclose(unit_covariance(means, covariance, shares), expected, rtol=1e-12)


def test_zero_means_and_zero_covariance_are_defined():
    assert np.isfinite(unit_covariance(np.zeros((2, 3)), np.zeros((3, 3)), np.full(2, 0.5))).all()
