"""`SimplexETF`: the regular simplex that class means collapse to, constructed or fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import helmert
from scipy.spatial.distance import cdist

from ncapps.arrays import as_features
from ncapps.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class SimplexETF:
    """Unit vertices, as far from one another as they can be, with the scale and centre that a fit gave them.

    Parameters
    ----------
    vertices : numpy.ndarray
        Unit rows, shape (classes, feature width); for classes <= width + 1 all cosines are -1 / (classes - 1).
    scale : float
        Length of the fitted vertices, in feature units; 1 for a constructed simplex.
    center : numpy.ndarray
        The point they surround, shape (feature width,); zero for a constructed simplex.
    distance : float
        Relative distance of the fitted class means from the simplex: 0 = a perfect simplex, 1 = nothing of one.

    Examples
    --------
    >>> simplex = SimplexETF.construct(4, 3, seed=0)
    >>> (simplex.vertices @ simplex.vertices.T).round(6)[0].tolist()
    [1.0, -0.333333, -0.333333, -0.333333]
    """

    vertices: np.ndarray
    scale: float
    center: np.ndarray
    distance: float

    @classmethod
    def construct(cls, n_classes: int, dim: int, seed: int = 0) -> SimplexETF:
        """Build unit vertices for `n_classes` classes in `dim` dimensions, turned at random by `seed`.

        Up to dim + 1 classes they are the regular simplex; up to 2 dim a subset of the cross-polytope, whose largest
        cosine 0 no other arrangement beats (Rankin 1955); beyond, the largest cosine is minimised numerically.

        Raises
        ------
        InputError
            If there are fewer than two classes or no dimension.
        """
        if n_classes < 2 or dim < 1:
            raise InputError(
                f"a simplex needs two or more classes and one or more dimensions, but {n_classes} and {dim} came"
            )
        random = np.random.default_rng(seed)
        if n_classes <= dim + 1:
            basis = _orthonormal(random, dim, n_classes - 1)
            vertices = np.sqrt(n_classes / (n_classes - 1)) * helmert(n_classes).T @ basis.T
        elif n_classes <= 2 * dim:
            basis = _orthonormal(random, dim, dim)
            vertices = np.concatenate([basis.T, -basis.T])[:n_classes]
        else:
            vertices = _spread(random, n_classes, dim)
        return cls(vertices=vertices, scale=1.0, center=np.zeros(dim), distance=0.0)

    @classmethod
    def fit(cls, means: Any) -> SimplexETF:
        """Fit the nearest simplex to class means, shape (classes, feature width), in closed form.

        The minimiser of ||Mc - a C UT|| over orthonormal U and a scale a (Procrustes): with C Mc = B s AT, U = A BT and
        a = sum(s) / (K - 1). The distance is that of Markou et al. (NeurIPS 2024), divided by ||Mc||.

        Raises
        ------
        InputError
            If there are fewer than two classes, more than width + 1, or all means coincide.
        """
        means = as_features(means, min_rows=2)
        n_classes, dim = means.shape
        if n_classes > dim + 1:
            raise InputError(
                f"{n_classes} classes have no regular simplex in {dim} dimensions, which holds {dim + 1} at most; "
                "use the class means themselves as vertices"
            )
        center = means.mean(axis=0)
        # Helmert's rows span just the K - 1 directions in which centred means can lie.
        contrasts = helmert(n_classes)
        left, singular, right = np.linalg.svd(contrasts @ means, full_matrices=False)
        if singular[0] <= np.finfo(float).eps * np.linalg.norm(means):
            raise InputError(
                "all class means coincide, so they span no simplex; are the labels or the features constant?"
            )
        scale = singular.sum() / (n_classes - 1)
        # Not 1 - sum(s)^2 / ((K - 1) sum(s^2)): near a perfect simplex that would lose every digit below 1e-8.
        distance = np.linalg.norm(singular - scale) / np.linalg.norm(singular)
        vertices = np.sqrt(n_classes / (n_classes - 1)) * contrasts.T @ (left @ right)
        length = scale * np.sqrt((n_classes - 1) / n_classes)
        return cls(vertices=vertices, scale=float(length), center=center, distance=float(distance))

    @property
    def points(self) -> np.ndarray:
        """The vertices in feature space: centre + scale * vertex, shape (classes, feature width)."""
        return self.center + self.scale * self.vertices

    def distances(self, features: Any) -> np.ndarray:
        """Euclidean distance of each image to each vertex point, in feature units, shape (images, classes)."""
        # Differences, not the expanded square: that would lose the small distances in which collapse lives.
        return cdist(as_features(features, width=len(self.center), fitted_on="the simplex"), self.points)


def _orthonormal(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    matrix, triangle = np.linalg.qr(random.standard_normal((rows, columns)))
    # The sign makes the rotation uniformly distributed (Mezzadri 2007).
    return matrix * np.sign(np.diag(triangle))


def _spread(random: np.random.Generator, n_classes: int, dim: int, steps: int = 600) -> np.ndarray:
    """Minimise a soft maximum of the cosines by projected gradient, the softness falling as it goes."""
    points = random.standard_normal((n_classes, dim))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    best, lowest = points, np.inf
    for step in range(steps):
        cosines = points @ points.T
        np.fill_diagonal(cosines, -np.inf)
        if cosines.max() < lowest:
            best, lowest = points, cosines.max()
        weights = np.exp((cosines - cosines.max()) * 5 * 40 ** (step / steps))
        gradient = (weights / weights.max(axis=1, keepdims=True).clip(1e-12)) @ points
        gradient -= (gradient * points).sum(axis=1, keepdims=True) * points
        length = np.linalg.norm(gradient, axis=1, keepdims=True).max()
        points = points - 0.3 * (1 - step / steps) * gradient / max(length, 1e-12)
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    return best
