"""`spread_view`: the flat view onto class means that keeps them furthest apart."""

from __future__ import annotations

import numpy as np

from ncapps.arrays import as_features
from ncapps.errors import InputError


def spread_view(means: np.ndarray, dim: int, *, seed: int = 0, steps: int = 150) -> np.ndarray:
    """Return orthonormal directions in the span of the centred class means, chosen to keep the means apart.

    The right singular vectors of the centred means give the span. Of a regular simplex all singular values are equal,
    so the first three are an accident of rounding: within the span the directions are turned to lower the sum of
    1 / distance² over all pairs of projected means, from a start that `seed` fixes.

    Parameters
    ----------
    means : array-like
        Class means, shape (classes, feature width).
    dim : int
        How many directions; more than the span has are filled by zero columns.
    seed : int
        Fixes the starting points.
    steps : int
        Gradient steps from each start.

    Returns
    -------
    numpy.ndarray
        Orthonormal columns, shape (feature width, dim).

    Raises
    ------
    InputError
        If there are fewer than two means, or all coincide.

    Examples
    --------
    >>> view = spread_view([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], 2)
    >>> bool(np.allclose(view.T @ view, np.eye(2)))
    True
    """
    means = as_features(means, min_rows=2)
    centred = means - means.mean(axis=0)
    _, singular, right = np.linalg.svd(centred, full_matrices=False)
    if singular[0] <= 1e-12 * max(np.abs(means).max(), 1e-300):
        raise InputError("all class means coincide, so there is nothing to view; are the features or labels constant?")
    span = right[singular > 1e-6 * singular[0]]
    if len(span) <= dim:
        view = np.zeros((means.shape[1], dim))
        view[:, : len(span)] = _signed(span.T)
        return view
    points = centred @ span.T / singular[0]
    random = np.random.default_rng(seed)
    starts = [np.eye(len(span), dim)] + [_orthonormal(random.standard_normal((len(span), dim))) for _ in range(3)]
    turned = [_descend(points, start, steps) for start in starts]
    best = min(turned, key=lambda view: _energy(points @ view)[0])
    return _signed(span.T @ best)


def _descend(points: np.ndarray, view: np.ndarray, steps: int) -> np.ndarray:
    energy, gradient = _slope(points, view)
    step = 0.3
    for _ in range(steps):
        trial = _orthonormal(view - step * gradient / max(float(np.linalg.norm(gradient)), 1e-12))
        lower, slope = _slope(points, trial)
        if lower < energy:
            view, energy, gradient, step = trial, lower, slope, min(step * 1.3, 0.5)
        else:
            step *= 0.5
        if step < 1e-5:
            break
    return view


def _slope(points: np.ndarray, view: np.ndarray) -> tuple[float, np.ndarray]:
    energy, forces = _energy(points @ view)
    gradient = points.T @ forces
    return energy, gradient - view @ (view.T @ gradient)


def _energy(flat: np.ndarray) -> tuple[float, np.ndarray]:
    gaps = flat[:, None] - flat[None]
    squared = (gaps**2).sum(axis=-1) + 1e-6
    np.fill_diagonal(squared, np.inf)
    return float((1 / squared).sum()), -4 * (gaps / squared[..., None] ** 2).sum(axis=1)


def _orthonormal(matrix: np.ndarray) -> np.ndarray:
    basis, triangle = np.linalg.qr(matrix)
    return basis * np.where(np.diag(triangle) < 0, -1.0, 1.0)


def _signed(view: np.ndarray) -> np.ndarray:
    # Singular vectors come with either sign, depending on the library: the largest entry decides.
    largest = view[np.abs(view).argmax(axis=0), np.arange(view.shape[1])]
    return view * np.where(largest < 0, -1.0, 1.0)
