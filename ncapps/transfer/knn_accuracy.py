"""k-nearest-neighbour accuracy, each image asked about among all the others."""

from __future__ import annotations

import numpy as np

from ncapps.prototypes import unit_rows

_TEMPERATURE = 0.07
_BLOCK = 1024


def knn_right(features: np.ndarray, codes: np.ndarray, neighbors: int = 20) -> np.ndarray:
    """Return whether the nearest other images name each image right, shape (images,).

    Wu et al. (CVPR 2018), section 3.4: the `neighbors` images of the highest cosine c vote with weight exp(c / 0.07).

    Parameters
    ----------
    features : numpy.ndarray
        float64, shape (images, feature width).
    codes : numpy.ndarray
        Classes as numbers from 0, shape (images,).
    neighbors : int
        How many vote; all others where there are fewer.

    Examples
    --------
    >>> knn_right(np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]]), np.array([0, 0, 1, 1]), 1).tolist()
    [True, True, True, True]
    """
    unit, n_classes = unit_rows(features), int(codes.max()) + 1
    voters = min(neighbors, len(codes) - 1)
    right = np.zeros(len(codes), dtype=bool)
    for start in range(0, len(codes), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(codes)))
        cosines = unit[rows] @ unit.T
        cosines[np.arange(len(rows)), rows] = -np.inf
        nearest = np.argpartition(-cosines, voters - 1, axis=1)[:, :voters]
        weights = np.exp((np.take_along_axis(cosines, nearest, axis=1) - 1) / _TEMPERATURE)
        cell = np.arange(len(rows))[:, None] * n_classes + codes[nearest]
        votes = np.bincount(cell.ravel(), weights.ravel(), minlength=len(rows) * n_classes)
        right[rows] = votes.reshape(len(rows), n_classes).argmax(axis=1) == codes[rows]
    return right
