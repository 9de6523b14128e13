"""NCTI: how near the features already are to the neural collapse that training on these images would bring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_COMPONENTS = 64
_SHRINK_BY = 32
_LEAST = 1e-10
_POINTS = 1e-6


def ncti_terms(features: np.ndarray, codes: np.ndarray) -> tuple[float, float, float]:
    """Return the three terms of NCTI: nuclear norm of the features, nearest-centre posterior, spread of the classes.

    Wang et al. (ICCV 2023), with the constants of the authors' code: 64 principal components, then linear
    discriminants, shrunk by exp(-the first 32 variances' sum). The terms are the nuclear norm of the centred
    discriminants (the simplex-encoded-label geometry; higher = better), the mean posterior of the own class (higher =
    better), and the log of the summed nuclear norms of each class's posteriors (lower = better).

    Parameters
    ----------
    features : numpy.ndarray
        float64, shape (images, feature width).
    codes : numpy.ndarray
        Classes as numbers from 0, shape (images,).

    Examples
    --------
    >>> y = np.arange(40) % 2
    >>> near, far = (ncti_terms(np.eye(2)[y] + noise * np.random.default_rng(0).normal(size=(40, 2)), y)
    ...              for noise in (0.1, 1.0))
    >>> near[0] > far[0], near[1] > far[1]
    (True, True)
    """
    rows, variances = _principal(features)
    if not rows.shape[1]:
        share = np.bincount(codes) / len(codes)
        return 0.0, float((share**2).sum()), float(np.log(np.sqrt(np.bincount(codes) * (share**2).sum()).sum()))
    discriminant = _discriminant(rows, codes, max(float(np.exp(-variances[:_SHRINK_BY].sum())), _LEAST))
    turned = discriminant.transform(rows)
    posterior = discriminant.predict_proba(rows)
    spread = sum(np.linalg.norm(posterior[codes == code], ord="nuc") for code in range(int(codes.max()) + 1))
    return (
        float(np.linalg.norm(turned - turned.mean(axis=0), ord="nuc")),
        float(posterior[np.arange(len(codes)), codes].mean()),
        float(np.log(spread)),
    )


def ncti(terms: Sequence[tuple[float, float, float]]) -> list[float]:
    """Return each candidate's NCTI from the terms of all: each term scaled to 0..1 over them, the last subtracted.

    A candidate's score therefore changes with its rivals, and a single one scores 0.

    Examples
    --------
    >>> ncti([(3.0, 0.5, 2.0), (4.0, 0.9, 1.0)])
    [-1.0, 2.0]
    """
    table = np.asarray(terms, dtype=np.float64).reshape(-1, 3)
    low, reach = table.min(axis=0), np.ptp(table, axis=0)
    return ((table - low) / np.where(reach > 0, reach, 1.0) @ np.array([1.0, 1.0, -1.0])).tolist()


def _discriminant(rows: np.ndarray, codes: np.ndarray, amount: float) -> Any:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    sums = np.zeros((int(codes.max()) + 1, rows.shape[1]))
    np.add.at(sums, codes, rows)
    inner = rows - (sums / np.bincount(codes)[:, None])[codes]
    if (inner**2).sum() <= _POINTS**2 * (rows**2).sum():
        # Neither solver can invert the covariance of classes that are points, so they get the least spread that works.
        rows = rows + _POINTS * np.sqrt((rows**2).mean()) * np.random.default_rng(0).normal(size=rows.shape)
    if amount > _LEAST:
        return LinearDiscriminantAnalysis(solver="eigen", shrinkage=min(amount, 1.0)).fit(rows, codes)
    return LinearDiscriminantAnalysis(solver="svd").fit(rows, codes)


def _principal(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first principal components, those without variance left out, and their variances."""
    from sklearn.decomposition import PCA

    components = min(_COMPONENTS, *features.shape)
    if not np.ptp(features, axis=0).any():
        return features[:, :0], np.zeros(0)
    analysis = PCA(components, svd_solver="covariance_eigh").fit(features)
    variances = analysis.explained_variance_
    kept = variances > variances[0] * 1e-12
    return analysis.transform(features)[:, kept], variances[kept]
