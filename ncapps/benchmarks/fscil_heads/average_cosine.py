"""The decoupled baseline of Zhang et al. (2021): the class whose mean feature has the largest cosine."""

from __future__ import annotations

import numpy as np

from ncapps.benchmarks.fscil_heads.base import BaseSession, class_means, unit


class AverageCosineHead:
    """Cosine between an image and the mean of a class's raw features, about the origin.

    Examples
    --------
    >>> head = AverageCosineHead().fit(BaseSession(features=np.eye(3)[:2], labels=np.array(["a", "b"])))
    >>> head.add(np.eye(3)[2:], np.array(["c"]))
    >>> head.predict(np.array([[0.1, 0.0, 2.0], [0.3, 0.2, 0.0]])).tolist()
    ['c', 'a']
    """

    names: np.ndarray
    prototypes: np.ndarray

    def fit(self, base: BaseSession) -> AverageCosineHead:
        """Take the base classes' means."""
        self.names, self.prototypes = class_means(base.features, base.labels)
        return self

    def add(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Take the new classes' means."""
        names, means = class_means(features, labels)
        self.names = np.concatenate([self.names, names])
        self.prototypes = np.concatenate([self.prototypes, self.adapted(means)])

    def adapted(self, means: np.ndarray) -> np.ndarray:
        """Return the prototypes that stand for new classes of these means, (classes, feature width)."""
        return means

    def cosines(self, features: np.ndarray) -> np.ndarray:
        """Return the cosine of each image with each prototype, (images, classes)."""
        return unit(features) @ unit(self.prototypes).T

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Name the class of the largest cosine, shape (images,)."""
        return self.names[self.cosines(features).argmax(axis=1)]
