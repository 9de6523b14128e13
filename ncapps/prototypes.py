"""Scores of images against class prototypes; higher = more alike."""

from __future__ import annotations

import numpy as np


def unit_rows(matrix: np.ndarray) -> np.ndarray:
    """Divide each row by its length; a zero row stays zero."""
    length = np.linalg.norm(matrix, axis=-1, keepdims=True)
    return matrix / np.where(length > 0, length, 1.0)


def squared_distances(features: np.ndarray, prototypes: np.ndarray, origin: np.ndarray | None = None) -> np.ndarray:
    """Squared Euclidean distances, shape (images, classes), never negative.

    Both sides are moved to `origin` first, by default the prototypes' mean: far from it the expanded square would
    cancel.
    """
    origin = prototypes.mean(axis=0) if origin is None else origin
    features, prototypes = features - origin, prototypes - origin
    cross = features @ prototypes.T
    squared = np.einsum("ij,ij->i", features, features)[:, None] - 2 * cross
    squared += np.einsum("ij,ij->i", prototypes, prototypes)
    return np.maximum(squared, 0.0, out=squared)


def euclidean_scores(features: np.ndarray, prototypes: np.ndarray, origin: np.ndarray | None = None) -> np.ndarray:
    """Nearest-class-mean scores -||x - mu||^2, shape (images, classes)."""
    return -squared_distances(features, prototypes, origin)


def placed_euclidean_scores(features: np.ndarray, prototypes: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return `euclidean_scores` of rows that lie about one origin already, the prototypes' squared lengths at hand.

    An image costs one product with the prototypes, which are neither moved nor copied.
    """
    scores = features @ prototypes.T
    scores *= 2
    scores -= np.vecdot(features, features)[:, None]
    scores -= squares
    return np.minimum(scores, 0.0, out=scores)


def cosine_scores(features: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    """Cosines between images and prototypes, shape (images, classes), in -1..1."""
    return unit_rows(features) @ unit_rows(prototypes).T
