"""Features, heads and plain references that the tests of the geometric detectors share."""

import numpy as np
from synthetic import LinearHead


def blobs(classes=5, width=12, each=40, seed=0, spread=0.3):
    """Return features, labels, a head with a bias, and unknown features."""
    random = np.random.default_rng(seed)
    points = 3 * random.standard_normal((classes, width))
    codes = np.arange(classes * each) % classes
    mixing = random.standard_normal((width, width)) / np.sqrt(width)
    X = points[codes] + spread * random.standard_normal((len(codes), width)) @ mixing + 1.0
    head = LinearHead(
        weight=points - points.mean(axis=0) + 0.1 * random.standard_normal(points.shape),
        bias=0.2 * random.standard_normal(classes),
    )
    return X, np.array([f"c{code:03d}" for code in codes]), head, 3 * random.standard_normal((60, width))


def simplex(classes=6, width=10, seed=0):
    """Return the vertices of a regular simplex of unit length about 0, turned at random."""
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))[0][:classes]
    return (basis - basis.mean(axis=0)) * np.sqrt(classes / (classes - 1))


def class_loop(X, y):
    """Return class means, within-class covariance and total covariance, each by its definition."""
    names = sorted(set(y))
    means = np.array([X[y == name].mean(axis=0) for name in names])
    within = sum((X[y == name] - mean).T @ (X[y == name] - mean) for name, mean in zip(names, means, strict=True))
    centered = X - X.mean(axis=0)
    return means, within / len(X), centered.T @ centered / len(X)


def mahalanobis(X, mean, covariance):
    """Return squared distances by the Moore-Penrose inverse, one image at a time."""
    inverse = np.linalg.pinv(covariance, hermitian=True)
    return np.array([(row - mean) @ inverse @ (row - mean) for row in X])


def mds(T, y, X):
    """Return `MDS` by its definition: training features, labels, features."""
    means, within, _ = class_loop(T, y)
    return np.max([-mahalanobis(X, mean, within) for mean in means], axis=0)


def rmds(T, y, X):
    """Return `RMDS` by its definition."""
    return mds(T, y, X) + mahalanobis(X, T.mean(axis=0), class_loop(T, y)[2])


def close(a, b, tolerance=1e-10):
    """Tell whether scores agree relative to their scale."""
    return float(np.abs(a - b).max()) <= tolerance * max(float(np.abs(b).max()), 1e-300)
