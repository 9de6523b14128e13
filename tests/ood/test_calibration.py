"""The promised rates on real images: scikit-learn's digits, their pixels as features, a third of them fitted on."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ncapps.benchmarks.coverage import share_in_band
from ncapps.conformal import false_alarm_band
from ncapps.ood import DETECTORS

NAMES = ("etf", "mds", "knn")
FITTED, HALF = 599, 599
# Digits that are easily told, and those that are not, each in classes of their own: one threshold suits none of them.
MERGED = np.array(["easy", "one", "two", "rest", "easy", "two", "easy", "rest", "one", "rest"])


def digits():
    """Return pixels and digits in a random order."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    return X[order], y[order]


def fitted(name, names=None):
    """Return a detector that has seen a third of the digits, that third, and the others."""
    X, y = digits()
    y = y if names is None else names[y]
    return DETECTORS[name]().fit(X[:FITTED], y[:FITTED]), X[:FITTED], X[FITTED:]


@pytest.mark.parametrize("name", NAMES)
def test_the_rejection_lies_in_the_band_over_random_splits(name):
    detector, _, others = fitted(name)
    scores = detector.score_samples(others)
    for rate in (0.01, 0.05, 0.1):
        assert share_in_band(scores, HALF, rate) >= 0.9


@pytest.mark.parametrize("name", ["etf", "mds"])
def test_fitted_images_are_no_calibration_images(name):
    detector, seen, others = fitted(name)
    refused = np.mean(detector.calibrate(seen, 0.05).predict(others) < 0)
    assert refused > false_alarm_band(len(seen), len(others), 0.05)[1]


@pytest.mark.parametrize("rate", [0.05, 0.1])
@pytest.mark.parametrize("name", NAMES)
def test_thresholds_by_class_keep_the_rate_in_each_class(name, rate):
    detector, _, X = fitted(name, MERGED)
    nearest = detector.nearest_class(X)
    shares, expected, inside = {True: [], False: []}, [], []
    for split in range(40):
        order = np.random.default_rng([1, split]).permutation(len(X))
        held, fresh = order[:HALF], order[HALF:]
        for per_class, found in shares.items():
            refused = detector.calibrate(X[held], rate, per_class=per_class).predict(X[fresh]) < 0
            found.append([refused[nearest[fresh] == kind].mean() for kind in detector.classes_])
        sizes = [(np.sum(nearest[held] == kind), np.sum(nearest[fresh] == kind)) for kind in detector.classes_]
        bands = np.array([false_alarm_band(*size, rate) for size in sizes])
        inside.append((bands[:, 0] <= shares[True][-1]) & (shares[True][-1] <= bands[:, 1]))
        expected.append([np.floor(rate * (size + 1)) / (size + 1) for size, _ in sizes])
    assert np.shape(inside) == (40, 4)
    assert np.mean(inside) >= 0.9
    off = {per_class: np.abs(np.mean(found, axis=0) - np.mean(expected, axis=0)) for per_class, found in shares.items()}
    # Four standard errors of a class of 230 images, half of which calibrate.
    chance = 4 * np.sqrt(rate * (1 - rate) * 4 / 230 / 40)
    assert off[True].max() < chance < off[False].max()


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_keeps_the_false_discovery_rate(name):
    X, y = digits()
    known = y < 7
    seen = known & (np.arange(len(X)) < FITTED)
    detector = DETECTORS[name]().fit(X[seen], y[seen])
    held_out, unknown = X[known & ~seen], X[~known]
    rng, false, bare, called_of = np.random.default_rng(2), [], [], []
    for _ in range(300):
        order = rng.permutation(len(held_out))
        batch = np.concatenate([held_out[order[399:459]], rng.permutation(unknown)[:20]])
        called = detector.calibrate(held_out[order[:399]]).predict_batch(batch, 0.2) < 0
        false.append(called[:60].sum() / max(called.sum(), 1))
        called_of.append([called[:60].mean(), called[60:].mean()])
        small = detector.p_values(batch) <= 0.2
        bare.append(small[:60].sum() / max(small.sum(), 1))
    # 60 of 80 are known, so that it is at most 0.15 (Bates et al. 2023), and just that where, as here, each step of
    # the procedure is a whole number of steps of the p-values, 0.2 / 80 = 1 / 400.
    chance = 4 * np.std(false) / np.sqrt(len(false))
    assert abs(np.mean(false) - 0.15) < chance < 0.08
    known_called, unknown_called = np.mean(called_of, axis=0)
    assert unknown_called > 3 * known_called
    # The bare p-values keep a rate among the known, not among those called unknown.
    assert np.mean(bare) > 0.2 + chance
