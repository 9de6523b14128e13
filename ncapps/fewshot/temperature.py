"""The temperature that turns prototype scores into probabilities, fitted on left-out or held-out known images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

Score = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(features, prototypes, images a prototype, centre) -> scores, as in `ncapps.fewshot.metrics.Metric`."""


def left_out_scores(
    score: Score, features: np.ndarray, codes: np.ndarray, counts: np.ndarray, means: np.ndarray, center: np.ndarray
) -> np.ndarray:
    """Scores of each image against prototypes of which its own was formed without it, shape (images, classes).

    The mean without x is (n mu - x) / (n - 1), so no class is fitted again; classes of one image keep their mean.
    """
    scores = score(features, means, counts, center)
    n = counts[codes].astype(np.float64)[:, None]
    alone = np.where(n > 1, (n * means[codes] - features) / np.maximum(n - 1, 1), means[codes])
    # One product a block of images, of which only the diagonal is wanted: small blocks keep it cheap.
    for start in range(0, len(features), 64):
        rows = slice(start, start + 64)
        left = np.maximum(counts[codes[rows]] - 1, 1)
        own = np.diagonal(score(features[rows], alone[rows], left, center))
        scores[np.arange(len(features))[rows], codes[rows]] = own
    return scores


def fit_temperature(scores: np.ndarray, codes: np.ndarray) -> float:
    """Return the T > 0 that minimises the negative log-likelihood of softmax(scores / T) at the true classes."""
    scale = float(np.ptp(scores, axis=1).mean()) or 1.0
    true = scores[np.arange(len(scores)), codes]

    def loss(log_temperature: float) -> float:
        temperature = scale * np.exp(log_temperature)
        return float(np.mean(logsumexp(scores / temperature, axis=1) - true / temperature))

    found = minimize_scalar(loss, bounds=(-8.0, 3.0), method="bounded")
    return scale * float(np.exp(found.x))  # pyright: ignore[reportAttributeAccessIssue]
