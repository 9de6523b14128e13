"""`MSP`: the largest softmax probability."""

from __future__ import annotations

import numpy as np

from ncapps.ood.head_detector import HeadDetector
from ncapps.ood.learned import Learned


class MSP(HeadDetector):
    """Score max_c p_c, with p the softmax of the logits (Hendrycks and Gimpel, ICLR 2017, section 3).

    Higher = more in-distribution.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> scores = MSP().fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        logits = self._logits(learned, X)
        logits -= logits.max(axis=1, keepdims=True)
        # The largest power is exp(0), so the largest probability is one over their sum.
        return 1 / np.exp(logits, out=logits).sum(axis=1)
