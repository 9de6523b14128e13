"""The metrics a `PrototypeClassifier` can score with: a new one is one function here and one line in `METRICS`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ncapps.prototypes import cosine_scores, euclidean_scores

Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(features, prototypes, centre) -> scores of shape (images, classes), higher = more alike."""


def euclidean(features: np.ndarray, prototypes: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Nearest class mean: -||x - mu_c||^2; the centre cancels."""
    return euclidean_scores(features, prototypes)


def cosine(features: np.ndarray, prototypes: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Cosine between x - m and mu_c - m, m the frozen centre of the classes that were fitted first.

    Collapsed class means form a simplex about their centre, not about the origin, so the angle is taken there.
    """
    return cosine_scores(features - center, prototypes - center)


METRICS: dict[str, Metric] = {"euclidean": euclidean, "cosine": cosine}
