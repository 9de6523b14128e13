"""`LinearHead`: the classifier on top of the features, as a detector reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ncapps.arrays import check_finite, to_numpy
from ncapps.errors import InputError
from ncapps.statistics import ClassStatistics

# Logits of class means are capped at about this gap, or an exactly collapsed class would have infinite ones.
_LARGEST_GAP = 30.0


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearHead:
    """Weight, shape (classes, feature width), and bias, shape (classes,), in float64; logits = X weightT + bias."""

    weight: np.ndarray
    bias: np.ndarray

    def logits(self, X: np.ndarray) -> np.ndarray:
        """Return logits, shape (images, classes)."""
        return X @ self.weight.T + self.bias

    @classmethod
    def of(cls, head: Any, width: int) -> LinearHead | None:
        """Read `weight` and `bias` (None = zeros) off a head; None where there is no head or it is not affine.

        Raises
        ------
        InputError
            If the head has no `weight`, reads another feature width, its bias has another length, or it is not finite.
        """
        if head is None:
            return None
        if not hasattr(head, "weight"):
            raise InputError(
                f"a head has a weight (classes, feature width) and a bias, but a {type(head).__name__} came; "
                "pass extractor.head or a linear layer"
            )
        if head.weight is None:
            return None
        weight = np.asarray(to_numpy(head.weight), dtype=np.float64)
        if weight.ndim != 2 or weight.shape[1] != width:
            raise InputError(
                f"the head's weight has the shape {weight.shape}, but features of width {width} need (classes, {width})"
                "; is it the head of this backbone?"
            )
        bias = getattr(head, "bias", None)
        bias = np.zeros(len(weight)) if bias is None else np.asarray(to_numpy(bias), dtype=np.float64)
        if bias.shape != (len(weight),):
            raise InputError(f"the head has {len(weight)} rows, but its bias has the shape {bias.shape}")
        check_finite(weight)
        check_finite(bias[:, None])
        return cls(weight=weight, bias=bias)

    def names_each(self, means: np.ndarray) -> bool:
        """Whether there is a row for each class mean, in their order, and each mean is named by its own."""
        return len(self.weight) == len(means) and bool((self.logits(means).argmax(axis=1) == range(len(means))).all())

    def in_order_of(self, means: np.ndarray) -> LinearHead:
        """Return the head with its rows in the order of the class means, where each names just one; else as it is."""
        if len(self.weight) != len(means):
            return self
        named = self.logits(means).argmax(axis=1)
        if len(np.unique(named)) < len(means):
            return self
        return LinearHead(weight=self.weight[named], bias=self.bias[named])

    @classmethod
    def from_means(cls, statistics: ClassStatistics) -> LinearHead:
        """Return the head that NC4 promises: its logits are -||x - mu_c||^2 / (2 s^2), up to a term all classes share.

        s^2 is the within-class variance a dimension.
        """
        offsets = statistics.means - statistics.center
        lengths = np.vecdot(offsets, offsets)
        variance = statistics.squares.sum() / max(statistics.total * statistics.width, 1)
        variance = max(variance, lengths.mean() / _LARGEST_GAP) or 1.0
        weight = offsets / variance
        return cls(weight=weight, bias=-lengths / (2 * variance) - weight @ statistics.center)
