"""`KLMatching`: the divergence from the typical prediction of the nearest class."""

from __future__ import annotations

import numpy as np

from ncapps.ood.head_detector import HeldOutHeadDetector
from ncapps.ood.learned import Learned
from ncapps.ood.logits import log_softmax


class KLMatching(HeldOutHeadDetector):
    """Score -min_k KL(p || d_k), with p the softmax and d_k its mean over known images that are predicted as k.

    Higher = more in-distribution. Hendrycks et al., ICML 2022, arXiv:1911.11132. The known images are `fit`'s X_val,
    held out; without it they are the fitted ones, whose predictions are surer than those of new images.

    Notes
    -----
    A class that no known image is predicted as has the template e_k, from which every softmax differs infinitely. It
    is never the nearest one, so it is left out. Logarithms are taken before the exponential can vanish, so scores are
    finite however sure the network is.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> scores = KLMatching().fit(X, y, X_val=X).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def _learn_images(self, learned: Learned, X: np.ndarray) -> dict[str, np.ndarray]:
        log_p = log_softmax(self._logits(learned, X))
        predicted = log_p.argmax(axis=1)
        log_p = log_p[np.argsort(predicted, kind="stable")]
        counts = np.bincount(predicted)
        counts = counts[counts > 0]
        starts = np.cumsum(counts) - counts
        # log d_k is a logsumexp over the images of each class.
        top = np.maximum.reduceat(log_p, starts, axis=0)
        log_p -= np.repeat(top, counts, axis=0)
        sums = np.add.reduceat(np.exp(log_p, out=log_p), starts, axis=0)
        return {"log_templates": np.log(sums / counts[:, None]) + top}

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        log_p = log_softmax(self._logits(learned, X))
        p = np.exp(log_p)
        # -KL(p || d_k) = p . log d_k - p . log p
        return (p @ learned["log_templates"].T).max(axis=1) - np.vecdot(p, log_p)
