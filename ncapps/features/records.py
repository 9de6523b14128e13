"""What an extraction gives: one row of features an image, under its own key and label, and a ledger of the unread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ncapps.arrays import Label, sorted_names


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """An image without features.

    Parameters
    ----------
    key : str
        Which image.
    reason : str
        Why, in one line.
    """

    key: str
    reason: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """Pooled features of images, row by row.

    Parameters
    ----------
    values : ndarray
        float32, shape (images, feature width).
    keys : tuple of str
        The image that each row belongs to.
    logits : ndarray, optional
        float32, shape (images, classes of the head): head(values); None where the backbone has no head.
    labels : ndarray, optional
        Class names (str) or integers, shape (images,); None where the images are unlabelled.
    skipped : tuple of Skipped
        The images that have no row, with the reason.

    Examples
    --------
    >>> Features(values=np.zeros((2, 3), np.float32), keys=("a", "b"), labels=np.array(["cat", "dog"])).classes
    ('cat', 'dog')
    """

    values: np.ndarray
    keys: tuple[str, ...]
    logits: np.ndarray | None = None
    labels: np.ndarray | None = None
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def classes(self) -> tuple[Label, ...]:
        """Names of the classes that occur, sorted; empty where the images are unlabelled."""
        return () if self.labels is None else sorted_names(np.unique(self.labels))
