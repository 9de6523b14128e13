"""The formulas behind `measure_collapse`: small pure functions of class means, scatter and head."""

from __future__ import annotations

import numpy as np

from ncapps.errors import InputError
from ncapps.prototypes import squared_distances, unit_rows
from ncapps.simplex import SimplexETF

HEAD_MEASURES = ("nc3", "nc3_product", "nc3_cosine", "nc3_uniformity", "nc4_weight_norm_spread")


def ratio(numerator: float, denominator: float) -> float:
    """Return numerator / denominator; 0 / 0 is 0 and x / 0 infinity: classes that coincide are not collapsed apart."""
    if denominator == 0:
        return 0.0 if numerator == 0 else float("inf")
    return numerator / denominator


def spread(lengths: np.ndarray) -> float:
    """Return the population standard deviation over the mean; 0 = all equal."""
    return ratio(float(lengths.std()), float(lengths.mean()))


def nc1_undivided(within: np.ndarray, centered: np.ndarray) -> float:
    """Return trace(S_w pinv(S_b)), S_b = MT M / K, by the singular vectors of M: K sum_j v_jT S_w v_j / s_j^2.

    Parameters
    ----------
    within : numpy.ndarray
        Within-class covariance, shape (feature width, feature width).
    centered : numpy.ndarray
        Class means minus their mean, shape (classes, feature width).
    """
    _, singular, right = np.linalg.svd(centered, full_matrices=False)
    kept = singular > singular[0] * max(centered.shape) * np.finfo(float).eps
    # Centring takes one direction away, whatever rounding left in it.
    kept[len(centered) - 1 :] = False
    if not kept.any():
        return ratio(float(np.trace(within)), 0.0)
    right, singular = right[kept], singular[kept]
    return float(len(centered) * np.sum(np.einsum("ij,ij->i", right @ within, right) / singular**2))


def cdnv(variances: np.ndarray, means: np.ndarray) -> float:
    """Return the mean over pairs of classes of (v_i + v_j) / (2 ||m_i - m_j||^2)."""
    pairs = np.triu_indices(len(means), 1)
    gaps = squared_distances(means, means)[pairs]
    sums = (variances[:, None] + variances)[pairs]
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.mean(np.where(sums == 0, 0.0, sums / (2 * gaps))))


def pair_cosines(centered: np.ndarray) -> np.ndarray:
    """Return the cosines between all pairs of rows, shape (pairs,)."""
    unit = unit_rows(centered)
    return (unit @ unit.T)[np.triu_indices(len(unit), 1)]


def uniformity(cosines: np.ndarray) -> tuple[float, float, float, float]:
    """Return mean and variance over pairs of log(1 / distance), then of 1 / distance (Liu et al. 2023)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / np.sqrt(np.maximum(2 - 2 * cosines, 0.0))
        logs = np.log(inverse)
        return float(logs.mean()), float(logs.var()), float(inverse.mean()), float(inverse.var())


def etf_error(gram: np.ndarray) -> float:
    """Return || G / ||G|| - C / sqrt(K - 1) ||, with C the centring matrix; 0 = a perfect simplex."""
    n_classes = len(gram)
    length = np.linalg.norm(gram)
    simplex = (np.eye(n_classes) - 1 / n_classes) / np.sqrt(n_classes - 1)
    return float(np.linalg.norm((gram / length if length > 0 else gram) - simplex))


def etf_distance(means: np.ndarray) -> float | None:
    """Return the relative distance to the nearest simplex; None where none can exist, 1 where all means coincide."""
    if len(means) > means.shape[1] + 1:
        return None
    try:
        return SimplexETF.fit(means).distance
    except InputError:
        # Of what `fit` refuses only this is left: the means coincide.
        return 1.0


def head_measures(weight: np.ndarray, centered: np.ndarray) -> dict[str, float]:
    """Return the measures of `HEAD_MEASURES` for head rows and centred means, both (classes, feature width)."""
    product = weight @ centered.T
    gap = weight / _length(weight) - centered / _length(centered)
    return {
        "nc3": float((gap**2).sum()),
        "nc3_product": etf_error(product),
        "nc3_cosine": float(1 - np.einsum("ij,ij->i", unit_rows(weight), unit_rows(centered)).mean()),
        "nc3_uniformity": float(np.diag(product).var()),
        "nc4_weight_norm_spread": spread(np.linalg.norm(weight - weight.mean(axis=0), axis=1)),
    }


def orthogonality_to_unknown(means: np.ndarray, unknown: np.ndarray) -> float:
    """Return NC5: mean |cos| between a class mean and the mean of unknown images (Ammar et al. 2024, NECO)."""
    direction = unknown.mean(axis=0, keepdims=True)
    return float(np.abs(unit_rows(means) @ unit_rows(direction).T).mean())


def _length(matrix: np.ndarray) -> float:
    return float(np.linalg.norm(matrix)) or 1.0
