"""What a change costs in right answers, on the same images before and after, with an interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from ncapps.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Drop:
    """Answers of two networks on the same images, counted pair by pair.

    Without labels the first network's answers count as right, so that the drop is the share of images on which the two
    disagree: no accuracy can fall by more.

    Attributes
    ----------
    images : int
        Images asked.
    lost : int
        Images on which the first is right and the second is not.
    gained : int
        Images on which the second is right and the first is not; 0 without labels.
    right_before : int or None
        Images on which the first is right; None without labels.
    changed : int
        Images on which the two answer differently.
    """

    images: int
    lost: int
    gained: int
    right_before: int | None
    changed: int

    @property
    def points(self) -> float:
        """Percentage points of accuracy lost; of agreement, without labels. Negative = a gain."""
        return 100 * (self.lost - self.gained) / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `points`.

        Wilson's intervals of the lost and of the gained share, joined by squares (Newcombe 1998, Statistics in
        Medicine 17, 873: the score-interval method for a difference).
        """
        lost, (lost_low, lost_high) = self._share(self.lost)
        gained, (gained_low, gained_high) = self._share(self.gained)
        below = np.hypot(lost - lost_low, gained_high - gained)
        above = np.hypot(lost_high - lost, gained - gained_low)
        return float(100 * (lost - gained - below)), float(100 * (lost - gained + above))

    @property
    def agreement(self) -> float:
        """Fraction of the images on which both answer alike."""
        return 1 - self.changed / self.images

    @property
    def accuracy_before(self) -> float | None:
        """Fraction of the images on which the first is right; None without labels."""
        return None if self.right_before is None else self.right_before / self.images

    @property
    def accuracy_after(self) -> float | None:
        """The same of the second."""
        return None if self.right_before is None else (self.right_before - self.lost + self.gained) / self.images

    def within(self, most: float, *, sure: bool = False) -> bool:
        """Tell whether at most `most` points are lost; one image alone is never held against a network.

        Parameters
        ----------
        sure : bool
            Ask it of the interval's upper end instead: that few images are lost has to be shown, not only seen.
        """
        if sure:
            return self.interval[1] <= most
        return self.points <= most or self.lost - self.gained <= 1

    def _share(self, count: int) -> tuple[float, tuple[float, float]]:
        found = binomtest(count, self.images).proportion_ci(method="wilson")
        return count / self.images, (found.low, found.high)


def measure_drop(before: np.ndarray, after: np.ndarray, labels: np.ndarray | None = None) -> Drop:
    """Count what the second of two networks loses against the first.

    Parameters
    ----------
    before, after : ndarray
        Outputs (images, classes); the largest is the answer.
    labels : ndarray, optional
        The right output's index, one an image.

    Raises
    ------
    InputError
        If the three are not of the same images, there are none, or a label is no output's index.

    Examples
    --------
    >>> drop = measure_drop(np.eye(4), np.eye(4)[[0, 1, 2, 0]], np.arange(4))
    >>> drop.points, drop.accuracy_after
    (25.0, 0.75)
    """
    if len(before) == 0 or before.shape != after.shape or (labels is not None and len(labels) != len(before)):
        given = "none" if labels is None else len(labels)
        raise InputError(
            f"outputs of the same images are compared, but {before.shape}, {after.shape} and {given} labels came"
        )
    if labels is not None and not (0 <= labels.min() and labels.max() < before.shape[1]):
        raise InputError(
            f"labels are indices of the network's {before.shape[1]} outputs, 0 to {before.shape[1] - 1}, but "
            f"{labels.min()} to {labels.max()} came"
        )
    first, second = before.argmax(axis=1), after.argmax(axis=1)
    right = (first == first) if labels is None else (first == labels)
    right_after = (first == second) if labels is None else (second == labels)
    return Drop(
        images=len(first),
        lost=int((right & ~right_after).sum()),
        gained=int((~right & right_after).sum()),
        right_before=None if labels is None else int(right.sum()),
        changed=int((first != second).sum()),
    )


def sure_images(most: float) -> int:
    """Return the fewest images that can show, without a single loss, that at most `most` points are lost."""
    # Wilson's upper end without a success is z^2 / (n + z^2).
    z_squared = 1.959964**2
    return int(np.ceil(z_squared * (100 / most - 1)))
