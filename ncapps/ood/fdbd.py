"""`FDBD`: the mean distance to the decision boundaries of the predicted class, in units of the distance to the mean."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from ncapps.ood.centered_head import CenteredHeadDetector, divided
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.whitening import RESOLUTION
from ncapps.statistics import ClassStatistics


class FDBD(CenteredHeadDetector):
    """Score mean_{c != p} |z_p - z_c| / |w_p - w_c|, divided by |x - m| (Liu and Qin, ICML 2024, "fDBD").

    Higher = more in-distribution. p is the predicted class, z the logits, m the mean of all known images. Classes whose
    rows of the head are the same to float32's resolution have no boundary between them and are left out of the mean; of
    an image at m, or with no boundary left, the score is 0. Without a head the class means serve as one
    (`LinearHead.from_means`).

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> scores = FDBD().fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.6, 0.5, 0.5]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        learned = super()._learn(statistics, head)
        return learned.with_arrays(shares=_shares(learned["weight"]))

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        logits, lengths = self._around_mean(learned, X)
        logits += learned["shift"]
        predicted = logits.argmax(axis=1)
        gaps = np.subtract(logits[np.arange(len(X)), predicted][:, None], logits, out=logits)
        return divided(np.vecdot(gaps, learned["shares"][predicted]), lengths)


def _shares(weight: np.ndarray) -> np.ndarray:
    """Return 1 / |w_p - w_c| over the number of boundaries of p, shape (classes, classes); 0 where there is none."""
    rows = weight - weight.mean(axis=0)
    squares = np.vecdot(rows, rows)
    squared = squares[:, None] + squares - 2 * rows @ rows.T
    distances = np.sqrt(np.maximum(squared, 0.0))
    # Of near rows the expanded square keeps few digits; those few are subtracted outright.
    near = squared <= 1e-6 * (squares[:, None] + squares)
    np.fill_diagonal(near, False)
    close = np.flatnonzero(near.any(axis=1))
    if len(close):
        distances[np.ix_(close, close)] = cdist(rows[close], rows[close])
    np.fill_diagonal(distances, 0.0)
    apart = distances > RESOLUTION * np.sqrt(np.vecdot(weight, weight).max())
    inverse = np.divide(1.0, distances, out=np.zeros_like(distances), where=apart)
    return inverse / np.maximum(apart.sum(axis=1, keepdims=True), 1)
