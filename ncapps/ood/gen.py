"""`GEN`: the generalized entropy of the largest probabilities."""

from __future__ import annotations

import numpy as np

from ncapps.ood.head_detector import HeadDetector
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.logits import softmax
from ncapps.ood.ranges import check_range
from ncapps.statistics import ClassStatistics


class GEN(HeadDetector):
    """Score -sum of p_c^gamma (1 - p_c)^gamma over the M largest softmax probabilities (Liu et al., CVPR 2023).

    Higher = more in-distribution.

    Parameters
    ----------
    gamma : float
        Exponent, in (0, 1) in the paper; the smaller, the more the small probabilities tell. Any above 0 is allowed.
    M : int
        How many of the largest probabilities count; all of them where there are fewer classes.

    Raises
    ------
    InputError
        By `fit`, if gamma is not above 0 or M is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> scores = GEN().fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def __init__(self, gamma: float = 0.1, M: int = 100) -> None:
        self.gamma = gamma
        self.M = M

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        check_range("gamma", self.gamma, 0, np.inf)
        check_range("M", self.M, 1, np.inf, closed="low", whole=True)
        return super()._learn(statistics, head)

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        others = softmax(self._logits(learned, X))
        rows, best = np.arange(len(others)), others.argmax(axis=1)
        largest = others[rows, best]
        others[rows, best] = 0
        # 1 - p of a sure image would cancel to 0; the others' sum does not.
        first = (largest * others.sum(axis=1)) ** self.gamma
        surplus = others.shape[1] - (self.M - 1)
        if surplus > 0:
            others = np.partition(others, surplus - 1, axis=1)[:, surplus:]
        return -(first + ((others * (1 - others)) ** self.gamma).sum(axis=1))
