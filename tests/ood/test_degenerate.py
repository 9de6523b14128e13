"""Every detector has a defined answer to every degenerate input: a finite score, or one clear line."""

from types import SimpleNamespace

import numpy as np
import pytest

from ncapps.errors import InputError
from ncapps.ood import DETECTORS
from ncapps.ood.linear_head import LinearHead
from ncapps.statistics import ClassStatistics

KINDS = list(DETECTORS)


def data(n=120, classes=4, width=6, seed=0):
    random = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return np.maximum(3 * random.standard_normal((classes, width))[y] + random.standard_normal((n, width)) + 2, 0), y


def head_of(X, y):
    head = LinearHead.from_means(ClassStatistics.from_features(X, y))
    return SimpleNamespace(weight=head.weight, bias=head.bias)


def scores(kind, X, y, head, queries=None):
    detector = DETECTORS[kind]().fit(X, y, head=head, X_val=X)
    found = detector.score_samples(X if queries is None else queries)
    assert np.isfinite(found).all()
    assert set(detector.predict(X)) <= {-1, 1}
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_with_their_row(kind, value):
    X, y = data()
    detector = DETECTORS[kind]().fit(X, y, head=head_of(X, y), X_val=X)
    broken = X.copy()
    broken[7, 2] = value
    with pytest.raises(InputError, match="NaN or infinity in 1 of 120 rows, the first is row 7"):
        detector.score_samples(broken)
    with pytest.raises(InputError, match="NaN or infinity in 1 of 120 rows, the first is row 7"):
        DETECTORS[kind]().fit(broken, y)


@pytest.mark.parametrize("kind", KINDS)
def test_a_zero_vector_has_a_finite_score_fitted_or_not(kind):
    X, y = data()
    zeros = np.zeros((3, X.shape[1]))
    found = scores(kind, X, y, head_of(X, y), queries=zeros)
    assert (found == found[0]).all()
    scores(kind, np.concatenate([X, zeros]), np.concatenate([y, y[:3]]), head_of(X, y))


@pytest.mark.parametrize("kind", KINDS)
def test_constant_features_score_all_alike(kind):
    found = scores(kind, np.ones((40, 5)), np.arange(40) % 2, None)
    assert np.allclose(found, found[0])


@pytest.mark.parametrize("kind", KINDS)
def test_one_constant_column_changes_no_answer_to_nan(kind):
    X, y = data()
    X[:, 3] = 1.5
    scores(kind, X, y, head_of(X, y), queries=X + np.eye(6)[3])


@pytest.mark.parametrize("kind", KINDS)
def test_one_class_and_a_class_with_one_image(kind):
    X, y = data()
    scores(kind, X, None, None)
    y = np.where(np.arange(len(y)) == 5, 9, y)
    scores(kind, X, y, head_of(X, y))
    scores(kind, X, y, None)


@pytest.mark.parametrize("kind", KINDS)
def test_more_columns_than_images(kind):
    X, y = data(n=12, width=40)
    scores(kind, X, y, head_of(X, y), queries=data(n=12, width=40, seed=1)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_duplicate_head_rows(kind):
    X, y = data()
    X[y == 1], head = X[y == 0], head_of(X, y)
    head.weight[1], head.bias[1] = head.weight[0], head.bias[0]
    if kind != "she":
        scores(kind, X, y, head)
        return
    # Its class patterns come from images named right; of two equal rows one names none.
    with pytest.raises(InputError, match="classifies no image of 1 of 4 classes correctly"):
        scores(kind, X, y, head)


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_without_bias_is_one_with_zeros(kind):
    X, y = data()
    means = np.stack([X[y == c].mean(axis=0) for c in range(4)])
    # Rows that need no bias to name each class mean right.
    weight = 10 * np.linalg.pinv(means).T
    without = scores(kind, X, y, SimpleNamespace(weight=weight, bias=None))
    assert np.array_equal(without, scores(kind, X, y, SimpleNamespace(weight=weight, bias=np.zeros(4))))
