"""What the transductive methods share: the check of a batch, and distances in many batches side by side."""

from __future__ import annotations

import numpy as np

from ncapps.errors import InputError


def check_batch(queries: np.ndarray, prototypes: np.ndarray, counts: np.ndarray) -> None:
    """Raise an InputError unless queries (..., images, width), prototypes (..., classes, width) and counts fit."""
    if queries.shape[-1] != prototypes.shape[-1] or queries.shape[:-2] != prototypes.shape[:-2]:
        raise InputError(
            f"queries of shape {queries.shape} and prototypes of shape {prototypes.shape} don't lie in one space; "
            "was only one of the two projected?"
        )
    if np.shape(counts)[-1:] != prototypes.shape[-2:-1]:
        raise InputError(
            f"there are {prototypes.shape[-2]} prototypes, but counts of shape {np.shape(counts)}; give the images "
            "behind each prototype"
        )
    if not (np.asarray(counts) > 0).all():
        raise InputError("counts are images behind a prototype, 1 or more, but a smaller one came")


def check_positive(**options: float) -> None:
    """Raise an InputError that names the first option not above 0."""
    for name, value in options.items():
        if not value > 0:
            raise InputError(f"{name} must be above 0, but {value} came")


def squared_distances(rows: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances, shape (..., rows, prototypes), taken about the prototypes' mean, never negative."""
    origin = prototypes.mean(axis=-2, keepdims=True)
    rows, prototypes = rows - origin, prototypes - origin
    squared = rows @ prototypes.swapaxes(-1, -2)
    squared *= -2
    squared += np.vecdot(rows, rows)[..., None]
    squared += np.vecdot(prototypes, prototypes)[..., None, :]
    return np.maximum(squared, 0.0, out=squared)


def shift_to_prototypes(queries: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    """Move the batch so that its mean is that of the prototypes (Liu et al. 2020, eq. 6)."""
    if not queries.shape[-2]:
        return queries
    return queries + (prototypes.mean(axis=-2, keepdims=True) - queries.mean(axis=-2, keepdims=True))
