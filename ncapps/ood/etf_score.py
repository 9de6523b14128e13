"""The score of an `ETFDetector`: its terms' log p-values, added up."""

from __future__ import annotations

import numpy as np

from ncapps.ood.etf_terms import etf_terms
from ncapps.ood.learned import Learned
from ncapps.ood.logistic_law import log_p


def raw_score(learned: Learned, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean of the terms' log p-values, shape (images,), and each image's nearest class."""
    terms, nearest = etf_terms(learned, X)
    return log_p(terms, learned["medians"], learned["spreads"]) @ learned["weights"], nearest


def etf_score(learned: Learned, X: np.ndarray) -> np.ndarray:
    """Return the score, raised by the shift of the class that an image is nearest to; that of a fitted class is 0."""
    score, nearest = raw_score(learned, X)
    return score + learned["shifts"][nearest]
