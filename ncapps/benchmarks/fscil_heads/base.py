"""What an FSCIL head is: learns from the base session once, then takes new classes' few images, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True, kw_only=True, eq=False)
class BaseSession:
    """All that a head may learn from before the first step.

    Parameters
    ----------
    features, labels : numpy.ndarray
        Training images of the base classes, (images, feature width), and their class names.
    to_come : int
        New classes over all steps: FACT reserves that many virtual prototypes, the other heads do not look.
    turned : numpy.ndarray, optional
        Some images turned by 90, 180 and 270 degrees, (3, images, feature width).
    turned_rows : numpy.ndarray, optional
        Rows of `features` that these are.
    """

    features: np.ndarray
    labels: np.ndarray
    to_come: int = 0
    turned: np.ndarray | None = field(default=None, repr=False)
    turned_rows: np.ndarray | None = field(default=None, repr=False)


@runtime_checkable
class FSCILHead(Protocol):
    """A classifier over frozen features that new classes are added to."""

    def fit(self, base: BaseSession) -> FSCILHead:
        """Learn from the base session."""
        ...

    def add(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Add one step's new classes from their few images, (images, feature width)."""
        ...

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Name the class of each image among all seen so far, shape (images,)."""
        ...


def class_means(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted class names and the mean of each class's features, (classes, feature width).

    Examples
    --------
    >>> names, means = class_means(np.array([[1.0], [3.0], [5.0]]), np.array(["b", "b", "a"]))
    >>> names.tolist(), means.ravel().tolist()
    (['a', 'b'], [5.0, 2.0])
    """
    names, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    members = codes[None] == np.arange(len(names))[:, None]
    return names, members.astype(features.dtype) @ features / counts[:, None]


def unit(rows: np.ndarray) -> np.ndarray:
    """Return rows scaled to length 1; a zero row stays zero."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
