"""`HeadDetector`: the base of the detectors that read the classifier's logits alone."""

from __future__ import annotations

import numpy as np

from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.statistics_detector import StatisticsDetector
from ncapps.statistics import ClassStatistics


class HeadDetector(StatisticsDetector):
    """A detector on logits; without a head the class means serve as one (`LinearHead.from_means`)."""

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        head = head or LinearHead.from_means(statistics)
        # A head may tell apart other classes than the images are named by.
        classes = statistics.classes if len(head.weight) == len(statistics.classes) else tuple(range(len(head.weight)))
        return Learned(arrays={"weight": head.weight, "bias": head.bias}, classes=classes)

    def _logits(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        """Return logits, shape (images, classes)."""
        return X @ learned["weight"].T + learned["bias"]

    def _nearest(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return self._logits(learned, X).argmax(axis=1)
