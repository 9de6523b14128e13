"""`Energy`: the logits' soft maximum."""

from __future__ import annotations

import numpy as np

from ncapps.ood.head_detector import HeadDetector
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.logits import logsumexp
from ncapps.ood.ranges import check_range
from ncapps.statistics import ClassStatistics


class Energy(HeadDetector):
    """Score T logsumexp(z / T) of the logits z (Liu et al., NeurIPS 2020, eq. 4, negated).

    Higher = more in-distribution.

    Parameters
    ----------
    temperature : float
        T; 1 as in the paper.

    Raises
    ------
    InputError
        By `fit`, if the temperature is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> scores = Energy().fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        check_range("temperature", self.temperature, 0, np.inf)
        return super()._learn(statistics, head)

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return self.temperature * logsumexp(self._logits(learned, X) / self.temperature)
