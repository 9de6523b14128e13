"""LogME: the evidence that the features give for the labels, under a Bayesian ridge regression a class."""

from __future__ import annotations

import numpy as np

_ROUNDS = 100
_TOLERANCE = 1e-4
# What the residual and the weights can't fall below, as in the authors' code; only perfect fits notice.
_FLOOR = 1e-5


def logme(features: np.ndarray, codes: np.ndarray) -> float:
    """Return the mean over classes of the maximal log-evidence an image; higher = better, any scale of features alike.

    You, Liu, Wang and Long (ICML 2021), eq. 2: for the 0/1 labels y of a class, with weights w ~ N(0, I / a) and noise
    of variance 1 / b, L = n/2 ln b + D/2 ln a - n/2 ln 2 pi - b/2 |F m - y|^2 - a/2 |m|^2 - 1/2 ln |A|, A = a I + b FT
    F, m = b A^-1 FT y, at its maximum over a and b, which the fixed point of their arXiv:2110.10545 finds. Where the
    features are wider than there are images their code leaves D - n terms out of ln |A|; here they are in.

    Parameters
    ----------
    features : numpy.ndarray
        float64, shape (images, feature width).
    codes : numpy.ndarray
        Classes as numbers from 0, shape (images,).

    Examples
    --------
    >>> y = np.arange(40) % 2
    >>> logme(np.eye(2)[y], y) > logme(np.ones((40, 2)), y)
    True
    """
    n_images, width = features.shape
    length = np.sqrt((features**2).sum() / n_images)
    rows = features / (length if length > 0 else 1.0)
    labels = np.eye(int(codes.max()) + 1)[codes]
    strength, squared = _spectrum(rows, labels)
    left = np.maximum(labels.sum(axis=0) - squared.sum(axis=0), 0.0)
    a, b = np.ones(labels.shape[1]), np.ones(labels.shape[1])
    moving = np.ones(labels.shape[1], dtype=bool)
    weights, residual = np.zeros_like(a), np.zeros_like(a)
    for _ in range(_ROUNDS):
        ratio = (a / b)[moving]
        column = strength[:, None]
        gamma = (column / (column + ratio)).sum(axis=0)
        weights[moving] = (column * squared[:, moving] / (ratio + column) ** 2).sum(axis=0)
        residual[moving] = (squared[:, moving] / (1 + column / ratio) ** 2).sum(axis=0) + left[moving]
        a[moving] = gamma / (weights[moving] + _FLOOR)
        b[moving] = (n_images - gamma) / (residual[moving] + _FLOOR)
        a, b = np.maximum(a, np.finfo(float).tiny), np.maximum(b, np.finfo(float).tiny)
        still = np.abs((a / b)[moving] - ratio) > _TOLERANCE * ratio
        moving[np.flatnonzero(moving)[~still]] = False
        if not moving.any():
            break
    determinant = np.log(a + b * strength[:, None]).sum(axis=0) + (width - len(strength)) * np.log(a)
    evidence = width / 2 * np.log(a) + n_images / 2 * np.log(b) - determinant / 2
    evidence -= (b * residual + a * weights + n_images * np.log(2 * np.pi)) / 2
    return float(np.mean(evidence / n_images))


def _spectrum(rows: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared singular values, and the labels' squared parts along the left singular vectors."""
    tall = len(rows) > rows.shape[1]
    values, vectors = np.linalg.eigh(rows.T @ rows if tall else rows @ rows.T)
    kept = values > max(float(values[-1]), 0.0) * max(rows.shape) * np.finfo(float).eps
    values, vectors = values[kept], vectors[:, kept]
    along = vectors.T @ (rows.T @ labels) / np.sqrt(values)[:, None] if tall else vectors.T @ labels
    return values, along**2
