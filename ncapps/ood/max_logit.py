"""`MaxLogit`: the largest logit."""

from __future__ import annotations

import numpy as np

from ncapps.ood.head_detector import HeadDetector
from ncapps.ood.learned import Learned


class MaxLogit(HeadDetector):
    """Score max_c z_c of the logits z (Hendrycks et al., ICML 2022, arXiv:1911.11132).

    Higher = more in-distribution.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> scores = MaxLogit().fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return self._logits(learned, X).max(axis=1)
