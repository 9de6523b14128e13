import numpy as np
from ood_geometry import blobs, class_loop, close

from ncapps.ood.whitening import mean_square, pseudo_whitener, total_covariance, within_whitener
from ncapps.statistics import ClassStatistics

X, Y, _, _ = blobs()


def test_the_whitener_is_a_root_of_the_pseudo_inverse():
    covariance = class_loop(X[:8], Y[:8])[1]
    whitener = pseudo_whitener(covariance)
    assert whitener.shape[1] == np.linalg.matrix_rank(covariance) == 3
    assert close(whitener @ whitener.T, np.linalg.pinv(covariance, hermitian=True))


def test_the_floor_leaves_small_directions_out():
    assert pseudo_whitener(np.diag([4.0, 1e-3, 1e-5]), floor=1e-4).shape == (3, 2)
    assert pseudo_whitener(np.zeros((3, 3))).shape == (3, 0)


def test_total_covariance_and_mean_square_are_those_of_the_images():
    kept = np.arange(200) % 5 <= np.arange(200) // 40
    statistics = ClassStatistics.from_features(X[kept], Y[kept])
    assert close(total_covariance(statistics), class_loop(X[kept], Y[kept])[2])
    assert abs(mean_square(statistics) / (X[kept] ** 2).sum(axis=1).mean() - 1) < 1e-12


def test_full_collapse_is_whitened_alike_in_all_directions():
    means = class_loop(X, Y)[0]
    whitener = within_whitener(ClassStatistics.from_features(means[np.arange(200) % 5], Y))
    assert close(whitener, whitener[0, 0] * np.eye(12))
    assert close(within_whitener(ClassStatistics.from_features(np.zeros((2, 12)), ["a", "b"])), np.eye(12))
