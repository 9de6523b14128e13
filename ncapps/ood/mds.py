"""`MDS`: Mahalanobis distance to the nearest class mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.statistics_detector import StatisticsDetector
from ncapps.ood.whitening import pseudo_whitener
from ncapps.prototypes import squared_distances
from ncapps.statistics import ClassStatistics


class MDS(StatisticsDetector):
    """Score -min_c (x - mu_c)T S+ (x - mu_c), with S the within-class covariance (Lee et al., NeurIPS 2018, eq. 2).

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> noise = 0.1 * np.random.default_rng(0).standard_normal(X.shape)
    >>> scores = MDS().fit(X + noise, y).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    per_class = ("whitened_means",)

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        whitener = pseudo_whitener(statistics.within_covariance)
        # Taken about the centre, for far from it the expanded squares would cancel.
        means = (statistics.means - statistics.center) @ whitener
        arrays = {"center": statistics.center, "whitener": whitener, "whitened_means": means}
        return Learned(arrays=arrays, classes=statistics.classes)

    def _class_rows(self, base: Learned, X: np.ndarray) -> dict[str, Any]:
        return {"whitened_means": (self._prepare(X).mean(axis=0) - base["center"]) @ base["whitener"]}

    def _distances(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        whitened = (self._prepare(X) - learned["center"]) @ learned["whitener"]
        return squared_distances(whitened, learned["whitened_means"], origin=np.zeros(whitened.shape[1]))

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return -self._distances(learned, X).min(axis=1)

    def _nearest(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return self._distances(learned, X).argmin(axis=1)
