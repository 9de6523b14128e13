"""`ReAct`: energy after unusually large activations are cut off."""

from __future__ import annotations

import numpy as np

from ncapps.ood.head_detector import HeldOutHeadDetector
from ncapps.ood.learned import Learned
from ncapps.ood.logits import logsumexp
from ncapps.ood.ranges import check_range


class ReAct(HeldOutHeadDetector):
    """Score logsumexp(W min(x, tau) + b), tau a percentile of all activations of known images.

    Higher = more in-distribution. Sun et al., NeurIPS 2021, arXiv:2111.12797. The known images are `fit`'s X_val, held
    out; without it they are the fitted ones, on which a network is more active than on new images.

    Parameters
    ----------
    percentile : float
        Share of the activations that is left as it is, in percent.

    Raises
    ------
    InputError
        By `fit`, if the percentile is not in [0, 100].

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> scores = ReAct().fit(X, y, X_val=X).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def __init__(self, percentile: float = 90.0) -> None:
        self.percentile = percentile

    def _learn_images(self, learned: Learned, X: np.ndarray) -> dict[str, np.ndarray]:
        check_range("percentile", self.percentile, 0, 100, closed="both", hint="90 cuts the largest 10 %")
        return {"ceiling": np.percentile(X, [self.percentile])}

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return logsumexp(self._logits(learned, np.minimum(X, learned["ceiling"])))
