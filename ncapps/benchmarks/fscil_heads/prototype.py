"""`PrototypeClassifier` as an FSCIL head, one for each metric."""

from __future__ import annotations

import numpy as np

from ncapps.benchmarks.fscil_heads.base import BaseSession
from ncapps.fewshot import PrototypeClassifier


class PrototypeHead:
    """Classes are fitted, added and named through the public interface alone.

    Parameters
    ----------
    metric : str, optional
        A name in `ncapps.fewshot.METRICS`; the classifier's own default without.

    Examples
    --------
    >>> base = BaseSession(features=np.eye(3)[:2].repeat(3, axis=0), labels=np.array(["a", "b"]).repeat(3))
    >>> head = PrototypeHead("euclidean").fit(base)
    >>> head.add(np.eye(3)[2:], np.array(["c"]))
    >>> head.predict(np.eye(3)).tolist()
    ['a', 'b', 'c']
    """

    def __init__(self, metric: str | None = None) -> None:
        self.classifier = PrototypeClassifier() if metric is None else PrototypeClassifier(metric=metric)

    def fit(self, base: BaseSession) -> PrototypeHead:
        """Fit the classifier to the base session."""
        self.classifier.fit(base.features, base.labels)
        return self

    def add(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Add each class by itself."""
        for name in np.unique(labels):
            self.classifier.add_class(name, features[labels == name])

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Name the class of each image."""
        return self.classifier.predict(features)
