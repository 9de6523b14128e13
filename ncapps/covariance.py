"""Shrinkage and whitening of covariance matrices that collapse has made singular."""

from __future__ import annotations

import numpy as np

from ncapps.errors import InputError


def shrink(covariance: np.ndarray, amount: float) -> np.ndarray:
    """Return (1 - amount) covariance + amount (trace / width) I; amount 0 leaves it, 1 is a scaled identity.

    Raises
    ------
    InputError
        If `amount` is outside 0..1.
    """
    if not 0 <= amount <= 1:
        raise InputError(f"the shrinkage must lie in 0..1, but {amount} came")
    width = len(covariance)
    target = np.trace(covariance) / width
    return (1 - amount) * covariance + amount * target * np.eye(width)


def oas_amount(covariance: np.ndarray, n_images: int) -> float:
    """Oracle-approximating shrinkage from the covariance alone, between 0 and 1 (Chen et al. 2010, eq. 23)."""
    width = len(covariance)
    trace_of_square = float((covariance**2).sum())
    square_of_trace = float(np.trace(covariance)) ** 2
    if square_of_trace == 0:
        return 1.0
    numerator = (1 - 2 / width) * trace_of_square + square_of_trace
    denominator = (n_images + 1 - 2 / width) * (trace_of_square - square_of_trace / width)
    return 1.0 if denominator <= 0 else float(min(1.0, numerator / denominator))


def whitener(covariance: np.ndarray) -> np.ndarray:
    """Return the symmetric W with W covariance W = I, shape (width, width); shrink a singular covariance first.

    Raises
    ------
    InputError
        If the covariance is singular to working precision.
    """
    values, vectors = np.linalg.eigh(covariance)
    if values[-1] <= 0 or values[0] <= values[-1] * len(values) * np.finfo(float).eps:
        raise InputError(
            "the covariance is singular, so it can't be whitened; shrink it first: shrink(c, oas_amount(c, n_images))"
        )
    return (vectors / np.sqrt(values)) @ vectors.T
