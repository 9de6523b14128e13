"""`DICE`: energy of a head that keeps only the weights that matter."""

from __future__ import annotations

import numpy as np

from ncapps.ood.head_detector import HeadDetector
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.logits import logsumexp
from ncapps.ood.ranges import check_range
from ncapps.statistics import ClassStatistics


class DICE(HeadDetector):
    """Score logsumexp((W * M) x + b): M keeps the weights that contribute most (Sun and Li, ECCV 2022).

    Higher = more in-distribution. A weight's contribution is itself times the mean of its feature over all known
    images; M keeps those above the percentile of all contributions.

    Parameters
    ----------
    percentile : float
        Share of the weights that is dropped, in percent.

    Raises
    ------
    InputError
        By `fit`, if the percentile is not in [0, 100).

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> scores = DICE(percentile=60).fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def __init__(self, percentile: float = 90.0) -> None:
        self.percentile = percentile

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        check_range("percentile", self.percentile, 0, 100, closed="low", hint="90 drops 90 % of the weights")
        learned = super()._learn(statistics, head)
        contribution = learned["weight"] * statistics.sample_mean
        kept = contribution > np.percentile(contribution, self.percentile)
        return learned.with_arrays(sparse_weight=learned["weight"] * kept)

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return logsumexp(X @ learned["sparse_weight"].T + learned["bias"])
