"""`NCI`: how well an image's offset from the mean lines up with the predicted class's row of the head."""

from __future__ import annotations

import numpy as np

from ncapps.ood.centered_head import CenteredHeadDetector, divided
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.ranges import check_range
from ncapps.statistics import ClassStatistics


class NCI(CenteredHeadDetector):
    """Score w_p . (x - m) / |x - m| + alpha |x|_1, with p the predicted class (Liu and Qin, CVPR 2025, "NCI").

    Higher = more in-distribution. m is the mean of all known images. Not a cosine: the length of w_p is not divided
    out. At x = m the first term is 0. Without a head the class means serve as one (`LinearHead.from_means`).

    Parameters
    ----------
    alpha : float
        Weight of the feature's length; 1e-4, the official default. It is in units of the head's rows by those of
        |x|_1, so it does not transfer from one backbone to another; a search for it takes unknown images, which no
        default may see. 0 leaves the angle alone.

    Raises
    ------
    InputError
        By `fit`, if alpha is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> scores = NCI().fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.6, 0.5, 0.5]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def __init__(self, alpha: float = 1e-4) -> None:
        self.alpha = alpha

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        check_range("alpha", self.alpha, 0, np.inf, closed="low", hint="0 leaves the angle alone")
        return super()._learn(statistics, head)

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        products, lengths = self._around_mean(learned, X)
        predicted = (products + learned["shift"]).argmax(axis=1)
        scores = divided(products[np.arange(len(X)), predicted], lengths)
        if self.alpha:
            scores += self.alpha * np.abs(X).sum(axis=1)
        return scores
