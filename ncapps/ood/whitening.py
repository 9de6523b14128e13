"""Whitening with a covariance that may be singular: what it does not see is left out, not divided by rounding."""

from __future__ import annotations

import numpy as np

from ncapps.statistics import ClassStatistics

# No network computes finer than float32: a deviation below this share of the features' size is its rounding.
RESOLUTION = float(np.finfo(np.float32).eps)


def pseudo_whitener(covariance: np.ndarray, floor: float = 0.0) -> np.ndarray:
    """Return W, shape (width, rank), with W WT the Moore-Penrose inverse of a covariance.

    Directions whose variance is below width * eps of the largest, or below `floor`, are rounding and are left out; of a
    covariance that is zero throughout nothing is left.
    """
    values, vectors = np.linalg.eigh(covariance)
    # Largest first.
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = values > max(values[0] * len(values) * np.finfo(np.float64).eps, floor, 0.0)
    return vectors[:, kept] / np.sqrt(values[kept])


def within_whitener(statistics: ClassStatistics) -> np.ndarray:
    """Return W, shape (width, rank), with W WT the Moore-Penrose inverse of the within-class covariance.

    Where classes have collapsed to float32's resolution throughout, no direction can be told from rounding; all are
    then given the same variance, which makes a whitened distance the Euclidean one up to a factor.
    """
    floor = variance_floor(statistics)
    whitener = pseudo_whitener(statistics.within_covariance, floor)
    return whitener if whitener.shape[1] else np.eye(statistics.width) / np.sqrt(floor or 1.0)


def variance_floor(statistics: ClassStatistics) -> float:
    """Return the variance a dimension that is float32 rounding: eps^2 times the mean square of a feature."""
    return RESOLUTION**2 * mean_square(statistics) / statistics.width


def mean_square(statistics: ClassStatistics) -> float:
    """Return the mean squared length of the features."""
    lengths = np.vecdot(statistics.means, statistics.means)
    return float((statistics.counts @ lengths + statistics.squares.sum()) / statistics.total)


def between_factor(statistics: ClassStatistics) -> np.ndarray:
    """Return B, shape (classes, width), with BT B the between-class covariance about the mean of all images."""
    shares = np.sqrt(statistics.counts / statistics.total)
    return shares[:, None] * (statistics.means - statistics.sample_mean)


def total_covariance(statistics: ClassStatistics) -> np.ndarray:
    """Return the covariance of all images about their mean: within-class plus between-class."""
    between = between_factor(statistics)
    return statistics.within_covariance + between.T @ between
