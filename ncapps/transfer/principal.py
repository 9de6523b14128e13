"""Rows in their principal coordinates: the same distances in fewer columns."""

from __future__ import annotations

import numpy as np


def principal_rows(rows: np.ndarray, most: int | None = None) -> np.ndarray:
    """Return centred rows in the coordinates of their principal components, the strongest first.

    Parameters
    ----------
    rows : numpy.ndarray
        Centred, shape (images, feature width).
    most : int, optional
        The most components to keep; without it all that have any variance, so that no distance changes.

    Returns
    -------
    numpy.ndarray
        Shape (images, components); one column of zeros where there is no variance.

    Examples
    --------
    >>> principal_rows(np.array([[3.0, 4.0], [-3.0, -4.0]])).round(6).shape
    (2, 1)
    """
    tall = len(rows) > rows.shape[1]
    values, vectors = np.linalg.eigh(rows.T @ rows if tall else rows @ rows.T)
    kept = np.flatnonzero(values > max(float(values[-1]), 0.0) * max(rows.shape) * np.finfo(float).eps)[::-1][:most]
    if not len(kept):
        return np.zeros((len(rows), 1))
    return rows @ vectors[:, kept] if tall else vectors[:, kept] * np.sqrt(values[kept])
