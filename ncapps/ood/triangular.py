"""Whitening by the Cholesky factor: half the work of a square root, and a continuous function of the covariance."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.linalg import solve_triangular

_STRIPES = 4
# Elements below which starting four products takes longer than the zeros do.
_SMALL = 2048


def triangular_whitener(covariance: np.ndarray) -> np.ndarray:
    """Return the lower triangular L^-1 of a positive definite covariance L LT, shape (width, width).

    Eigenvectors would do as well, but their signs, and the order of equal ones, depend on the last bit.
    """
    factor = np.linalg.cholesky(covariance)
    # Rows in a row, or every call to `whiten` would copy the matrix.
    return np.ascontiguousarray(solve_triangular(factor, np.eye(len(factor)), lower=True))


def whiten(X: np.ndarray, whitener: np.ndarray) -> np.ndarray:
    """Return X L^-T, shape of X: the features in units of the covariance.

    By stripes of columns, so that most of the zeros are left out. BLAS's own triangular product would leave them all
    out, but scipy's door to it copies, holds the interpreter's lock, and has a second pool of threads behind it.
    """
    width = len(whitener)
    if len(X) * width < _SMALL:
        return X @ whitener.T
    whitened = np.empty((len(X), width))
    edges = [width * stripe // _STRIPES for stripe in range(_STRIPES + 1)]
    for start, stop in itertools.pairwise(edges):
        np.matmul(X[:, :stop], whitener[start:stop, :stop].T, out=whitened[:, start:stop])
    return whitened


def unwhiten(whitened: np.ndarray, whitener: np.ndarray) -> np.ndarray:
    """Return X from X L^-T."""
    return solve_triangular(whitener, whitened.T, lower=True).T


def factor_product(weights: np.ndarray, whitener: np.ndarray) -> np.ndarray:
    """Return W L: rows that make of whitened features what W makes of the features themselves."""
    return solve_triangular(whitener, weights.T, lower=True, trans=1).T
