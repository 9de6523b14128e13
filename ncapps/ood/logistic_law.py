"""Logistic laws of scores: their p-values' logarithms add up, and in the tails they fall no faster than linearly."""

from __future__ import annotations

import numpy as np

# The standard deviation of the logistic law with scale 1.
_SCALE_TO_DEVIATION = np.pi / np.sqrt(3)
# A spread below this share of the values' size is rounding: such a score tells nothing.
_ROUNDING = 1e-12


def fit_law(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return median and spread of each column of scores; the spread of a constant column is 0.

    The spread is the root mean square distance below the median: unknown images come from that side alone.
    """
    median = np.median(scores, axis=0)
    below = np.minimum(scores - median, 0.0)
    count = np.maximum((below < 0).sum(axis=0), 1)
    spread = np.sqrt((below**2).sum(axis=0) / count)
    return median, np.where(spread > _ROUNDING * np.maximum(np.abs(median), 1.0), spread, 0.0)


def log_p(scores: np.ndarray, median: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return the logarithm of the lower tail of the logistic law, shape of the scores; the spread must be above 0."""
    return -np.logaddexp(0.0, (median - scores) * (_SCALE_TO_DEVIATION / spread))
