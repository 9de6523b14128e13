"""The bases of the detectors that read the classifier: on statistics alone, or on held-out images too."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from ncapps.arrays import Label, sorted_names
from ncapps.errors import InputError
from ncapps.ood.detector import Detector
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.statistics_detector import StatisticsDetector
from ncapps.statistics import ClassStatistics


class LogitDetector(Detector):
    """A detector that reads the classifier's logits; an image's nearest class is the one that the classifier names."""

    def _logits(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        """Return logits, shape (images, classes)."""
        return X @ learned["weight"].T + learned["bias"]

    def _nearest(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return self._logits(learned, X).argmax(axis=1)


class HeadDetector(LogitDetector, StatisticsDetector):
    """A detector on logits; without a head the class means serve as one (`LinearHead.from_means`)."""

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        return learned_head(head or LinearHead.from_means(statistics), statistics.classes)


class HeldOutHeadDetector(LogitDetector):
    """A detector on logits that also learns from known images, best from held-out ones.

    A subclass gives `_learn_images` and `_score`. Without a head the class means serve as one.
    """

    def fit_statistics(self, statistics: ClassStatistics, head: Any = None) -> NoReturn:
        """Refuse: statistics do not hold what this detector learns from each image.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(
            f"{type(self).__name__} learns from single images, which statistics do not hold; "
            "call fit(X, y, head, X_val) with features of known images, best of held-out ones as X_val"
        )

    @abstractmethod
    def _learn_images(self, learned: Learned, X: np.ndarray) -> dict[str, np.ndarray]:
        """Return the arrays to keep of known images beside the head."""

    def _fit(self, X: np.ndarray, y: np.ndarray, head: Any, X_val: np.ndarray | None) -> Learned:
        read = LinearHead.of(head, X.shape[1])
        if read is None:
            statistics = ClassStatistics.from_features(X, y)
            read, classes = LinearHead.from_means(statistics), statistics.classes
        else:
            classes = sorted_names(np.unique(y))
        learned = learned_head(read, classes)
        return learned.with_arrays(**self._learn_images(learned, X if X_val is None else X_val))


def learned_head(head: LinearHead, classes: Sequence[Label]) -> Learned:
    """Return a head's arrays with the images' class names, or with row numbers where it tells other classes apart."""
    names = tuple(classes) if len(head.weight) == len(classes) else tuple(range(len(head.weight)))
    return Learned(arrays={"weight": head.weight, "bias": head.bias}, classes=names)
