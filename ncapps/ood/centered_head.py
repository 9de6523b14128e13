"""The base of the detectors that look from the mean of the known images along the head's rows."""

from __future__ import annotations

import numpy as np

from ncapps.ood.head_detector import HeadDetector
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.statistics import ClassStatistics


class CenteredHeadDetector(HeadDetector):
    """A detector on logits, kept as W (x - m) + (b + W m) with m the mean of all known images."""

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        learned = super()._learn(statistics, head)
        mean = statistics.sample_mean
        shift = learned["bias"] + learned["weight"] @ mean
        return learned.with_arrays(mean=mean, shift=shift)

    def _around_mean(self, learned: Learned, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return W (x - m), shape (images, classes), and |x - m|."""
        centered = X - learned["mean"]
        return centered @ learned["weight"].T, np.sqrt(np.vecdot(centered, centered))


def divided(scores: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return scores / lengths, and 0 for an image at the mean: it points to no class."""
    return np.divide(scores, lengths, out=np.zeros(len(scores)), where=lengths > 0)
