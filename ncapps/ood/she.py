"""`SHE`: the inner product with the stored pattern of the predicted class."""

from __future__ import annotations

from typing import Any

import numpy as np

from ncapps.errors import InputError
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.statistics_detector import StatisticsDetector
from ncapps.statistics import ClassStatistics


class SHE(StatisticsDetector):
    """Score x . S_p, with S_c the mean feature of class c and p the predicted class (Zhang et al., ICLR 2023, "SHE").

    Higher = more in-distribution. `fit` with a head takes the mean over the images that the head classifies correctly;
    `fit_statistics` and `partial_fit` take images as they come. The head predicts if it has one row a class, in the
    order of sorted names; otherwise, as without a head, the class means do (`LinearHead.from_means`). The head does not
    know added classes, so they compete with its choice: the larger of the inner products counts.

    Raises
    ------
    InputError
        By `fit`, if a class has no correctly classified image.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> SHE().fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.2, 0.3, 0.4]])).round(3).tolist()
    [1.0, 0.4]
    """

    per_class = ("patterns", "weight", "bias")

    def _fit(self, X: np.ndarray, y: np.ndarray, head: Any, X_val: np.ndarray | None) -> Learned:
        read = LinearHead.of(head, X.shape[1])
        names, codes = np.unique(y, return_inverse=True)
        if read is not None and len(read.weight) == len(names):
            right = read.logits(X).argmax(axis=1) == codes
            missed = np.setdiff1d(np.arange(len(names)), codes[right])
            if len(missed):
                raise InputError(
                    f"the head classifies no image of {len(missed)} of {len(names)} classes correctly, the first is "
                    f"{names[missed[0]].item()!r}; are its rows in the order of the sorted class names?"
                )
            X, y = X[right], y[right]
        return super()._fit(X, y, read, X_val)

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        if head is None or len(head.weight) != len(statistics.classes):
            head = LinearHead.from_means(statistics)
        arrays = {"patterns": statistics.means, "weight": head.weight, "bias": head.bias}
        return Learned(arrays=arrays, classes=statistics.classes)

    def _class_rows(self, base: Learned, X: np.ndarray) -> dict[str, Any]:
        # The head never predicts it.
        return {"patterns": X.mean(axis=0), "weight": np.zeros(X.shape[1]), "bias": -np.inf}

    def _choose(self, learned: Learned, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the row of the chosen class and the inner product with its pattern."""
        chosen = (X @ learned["weight"].T + learned["bias"]).argmax(axis=1)
        scores = np.vecdot(X, learned["patterns"][chosen])
        added = np.flatnonzero(np.isneginf(learned["bias"]))
        if len(added):
            rivals = X @ learned["patterns"][added].T
            best = rivals.max(axis=1)
            chosen = np.where(best > scores, added[rivals.argmax(axis=1)], chosen)
            scores = np.maximum(scores, best)
        return chosen, scores

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return self._choose(learned, X)[1]

    def _nearest(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return self._choose(learned, X)[0]
