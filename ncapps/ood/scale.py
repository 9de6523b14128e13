"""`SCALE`: energy of the logits, scaled by how few activations carry an image."""

from __future__ import annotations

import numpy as np

from ncapps.ood.head_detector import HeadDetector
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.logits import logsumexp
from ncapps.ood.ranges import check_range
from ncapps.ood.shaping import kept_count, sharpening
from ncapps.statistics import ClassStatistics


class SCALE(HeadDetector):
    """Score logsumexp(W (r x) + b) = logsumexp(r (z - b) + b) with r = exp(s1 / s2) (Xu et al., ICLR 2024).

    Higher = more in-distribution. s1 is the sum of an image's activations, s2 that of its k = D - round(D p / 100)
    largest, at least one.

    Parameters
    ----------
    percentile : float
        p, the share of the activations that s2 leaves out, in percent.

    Raises
    ------
    InputError
        By `fit`, if the percentile is not in [0, 100).

    Notes
    -----
    Made for activations after a ReLU. Where the largest do not sum to more than 0, r is 0, its limit, and the score is
    that of the bias alone.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> scores = SCALE().fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def __init__(self, percentile: float = 85.0) -> None:
        self.percentile = percentile

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        check_range("percentile", self.percentile, 0, 100, closed="low", hint="85 leaves the largest 15 %")
        return super()._learn(statistics, head)

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        kept = kept_count(X.shape[1], self.percentile)
        largest = np.partition(X, -kept, axis=1)[:, -kept:]
        scaled = X @ learned["weight"].T
        scaled *= sharpening(X.sum(axis=1), largest.sum(axis=1))[:, None]
        return logsumexp(scaled + learned["bias"])
