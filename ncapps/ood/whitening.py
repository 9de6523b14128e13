"""Whitening with a covariance that may be singular: what it does not see is left out, not divided by rounding."""

from __future__ import annotations

import numpy as np


def pseudo_whitener(covariance: np.ndarray) -> np.ndarray:
    """Return W, shape (width, rank), with W WT the Moore-Penrose inverse of a covariance.

    Directions whose variance is below width * eps of the largest are rounding and are left out; of a covariance that
    is zero throughout nothing is left, and every whitened distance is 0.
    """
    values, vectors = np.linalg.eigh(covariance)
    # Largest first.
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = values > max(values[0], 0.0) * len(values) * np.finfo(np.float64).eps
    return vectors[:, kept] / np.sqrt(values[kept])
