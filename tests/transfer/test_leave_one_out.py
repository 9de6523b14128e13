import numpy as np
import pytest
from scipy.stats import multivariate_normal

from ncapps.transfer.leave_one_out import leave_one_out, left_out_log_posteriors


def slow(features, codes, ridge):
    """Fit anew without each image: means, tied scatter plus ridge over the number of images, full densities."""
    counts = np.bincount(codes)
    logs = []
    for place in np.flatnonzero(counts[codes] > 1):
        rest = np.arange(len(codes)) != place
        X, y = features[rest], codes[rest]
        means = np.array([X[y == code].mean(axis=0) for code in range(len(counts))])
        scatter = sum(np.outer(row - means[code], row - means[code]) for row, code in zip(X, y, strict=True))
        covariance = (scatter + ridge * np.eye(X.shape[1])) / len(X)
        joint = [
            np.log(count) + multivariate_normal.logpdf(features[place], mean, covariance)
            for count, mean in zip(counts, means, strict=True)
        ]
        logs.append(np.array(joint) - np.logaddexp.reduce(joint))
    return np.array(logs)


@pytest.mark.parametrize("width", [3, 40])
def test_it_is_what_refitting_without_each_image_gives(clouds, width):
    features, codes = clouds(n_classes=4, per_class=6, width=width, within=2.0)
    features, codes = np.vstack([features, 3 * np.ones(width)]), np.append(codes, 4)
    means = np.array([features[codes == code].mean(axis=0) for code in range(5)])
    inner = features - means[codes]
    ridge = 0.3 * np.trace(inner.T @ inner) / width
    expected = slow(features, codes, ridge)
    found = leave_one_out(features, codes, ridges=(0.3,))
    asked = codes[codes < 4]
    np.testing.assert_allclose(-found.loss, expected[np.arange(len(asked)), asked], rtol=1e-7, atol=1e-12)
    assert found.loss.max() > 1e-3
    np.testing.assert_array_equal(found.right, expected.argmax(axis=1) == asked)


def test_probabilities_sum_to_one(clouds):
    features, codes = clouds()
    means = np.array([features[codes == code].mean(axis=0) for code in range(6)])
    logs = left_out_log_posteriors(features, codes, 0.5 * means, np.bincount(codes))
    np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1)


def test_the_ridge_is_the_one_with_the_least_loss(clouds):
    features, codes = clouds(width=60, within=2.0)
    each = {ridge: leave_one_out(features, codes, (ridge,)).loss.mean() for ridge in (1e-3, 1.0, 30.0)}
    chosen = leave_one_out(features, codes, tuple(each))
    assert chosen.loss.mean() == min(each.values())
    assert each[chosen.ridge] == min(each.values())


def test_noise_is_guessed_not_learned(clouds):
    features, _ = clouds(n_classes=4, per_class=100, width=50)
    codes = np.random.default_rng(1).permutation(np.arange(400) % 4)
    assert abs(leave_one_out(features, codes).right.mean() - 0.25) < 0.07
    assert abs(leave_one_out(features, codes).loss.mean() - np.log(4)) < 0.05


def test_turning_moving_and_scaling_change_nothing(clouds):
    features, codes = clouds()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
    np.testing.assert_allclose(
        leave_one_out(7 * features @ turn + 100, codes).loss, leave_one_out(features, codes).loss, rtol=1e-6
    )


def test_collapsed_classes_and_constant_features_give_finite_numbers():
    codes = np.arange(12) % 3
    collapsed = leave_one_out(np.eye(3)[codes], codes)
    assert collapsed.right.all()
    assert np.isfinite(collapsed.loss).all()
    assert np.isfinite(leave_one_out(np.ones((12, 4)), codes).loss).all()
