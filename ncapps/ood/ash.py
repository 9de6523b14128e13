"""`ASHS`: energy after the small activations are dropped and the rest scaled up."""

from __future__ import annotations

import numpy as np

from ncapps.ood.head_detector import HeadDetector
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.logits import logsumexp
from ncapps.ood.ranges import check_range
from ncapps.ood.shaping import kept_count, sharpening
from ncapps.statistics import ClassStatistics


class ASHS(HeadDetector):
    """Score logsumexp(W (r x') + b), ASH-S (Djurisic et al., ICLR 2023).

    Higher = more in-distribution. x' keeps an image's k = D - round(D p / 100) largest activations, at least one, and
    is 0 elsewhere; r = exp(s1 / s2) with s1 the sum of all activations and s2 that of the largest.

    Parameters
    ----------
    percentile : float
        p, the share of the activations that is dropped, in percent.

    Raises
    ------
    InputError
        By `fit`, if the percentile is not in [0, 100).

    Notes
    -----
    Made for activations after a ReLU. Where the largest do not sum to more than 0, r is 0, its limit, and the score is
    that of the bias alone. Equal activations at the border are kept in equal part, so that k are kept in all.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> scores = ASHS().fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def __init__(self, percentile: float = 90.0) -> None:
        self.percentile = percentile

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        check_range("percentile", self.percentile, 0, 100, closed="low", hint="90 drops 90 % of the activations")
        return super()._learn(statistics, head)

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        kept = kept_count(X.shape[1], self.percentile)
        border = np.partition(X, -kept, axis=1)[:, -kept, None]
        above, tied = X > border, X == border
        share = (kept - np.count_nonzero(above, axis=1)) / np.count_nonzero(tied, axis=1)
        pruned = X * above
        pruned += tied * (border * share[:, None])
        # Scaling the logits takes fewer products than scaling the features.
        scaled = pruned @ learned["weight"].T
        scaled *= sharpening(X.sum(axis=1), pruned.sum(axis=1))[:, None]
        return logsumexp(scaled + learned["bias"])
