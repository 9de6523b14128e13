"""`GradNorm`: the length of the gradient that would make the prediction uniform."""

from __future__ import annotations

import numpy as np

from ncapps.ood.head_detector import HeadDetector
from ncapps.ood.learned import Learned
from ncapps.ood.logits import softmax


class GradNorm(HeadDetector):
    """Score ||x||_1 sum_c |C p_c - 1|, with p the softmax over C classes (Huang et al., NeurIPS 2021).

    Higher = more in-distribution. It is the 1-norm of the gradient, by the head's weight, of the cross-entropy to the
    uniform distribution summed over the classes, written out: no gradient is taken. The paper's mean over the classes
    is C times smaller.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> scores = GradNorm().fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        slopes = softmax(self._logits(learned, X))
        slopes *= slopes.shape[1]
        slopes -= 1
        return np.abs(X).sum(axis=1) * np.abs(slopes, out=slopes).sum(axis=1)
