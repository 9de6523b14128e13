"""`MDS`: Mahalanobis distance to the nearest class mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.statistics_detector import StatisticsDetector
from ncapps.ood.whitening import within_whitener
from ncapps.statistics import ClassStatistics


class MDS(StatisticsDetector):
    """Score -min_c (x - mu_c)T S+ (x - mu_c), with S the within-class covariance (Lee et al., NeurIPS 2018, eq. 2).

    Higher = more in-distribution. S is divided by the number of images; S+ is its Moore-Penrose inverse, taken in
    float64: a direction in which the classes do not vary beyond float32 rounding does not count. Where classes have
    collapsed in all directions the score is that of the Euclidean distance, up to a factor. A head is not read.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> noise = 0.1 * np.random.default_rng(0).standard_normal(X.shape)
    >>> scores = MDS().fit(X + noise, y).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    per_class = ("whitened_means", "half_squares")

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        return self._whitened_by(within_whitener(statistics), statistics)

    def _whitened_by(self, basis: np.ndarray, statistics: ClassStatistics, rank: int | None = None) -> Learned:
        """Return the means in the first `rank` directions of a basis, and all that leads there."""
        # Taken about the images' mean, for far from it the expanded squares would cancel.
        origin = statistics.sample_mean
        means = (statistics.means - origin) @ basis[:, :rank]
        half_squares = 0.5 * np.vecdot(means, means)
        arrays = {"origin": origin, "basis": basis, "whitened_means": means, "half_squares": half_squares}
        return Learned(arrays=arrays, classes=statistics.classes)

    def _class_rows(self, base: Learned, X: np.ndarray) -> dict[str, Any]:
        rank = base["whitened_means"].shape[1]
        mean = (self._prepare(X).mean(axis=0) - base["origin"]) @ base["basis"][:, :rank]
        return {"whitened_means": mean, "half_squares": 0.5 * mean @ mean}

    def _whiten(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return (self._prepare(X) - learned["origin"]) @ learned["basis"]

    def _closest(self, learned: Learned, whitened: np.ndarray) -> np.ndarray:
        """Return the row of the class mean nearest to each whitened image: the largest z.m - |m|^2 / 2."""
        scores = whitened @ learned["whitened_means"].T
        scores -= learned["half_squares"]
        return scores.argmax(axis=1)

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        whitened = self._whiten(learned, X)
        # The distance itself is taken by difference: between collapsed classes the expanded square would cancel.
        whitened -= learned["whitened_means"][self._closest(learned, whitened)]
        return -np.vecdot(whitened, whitened)

    def _nearest(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return self._closest(learned, self._whiten(learned, X))
