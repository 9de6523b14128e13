"""`NECO`: the share of an image that lies in the principal subspace of the known images."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ncapps.errors import InputError
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.statistics_detector import StatisticsDetector
from ncapps.ood.whitening import total_covariance
from ncapps.statistics import ClassStatistics


class NECO(StatisticsDetector):
    """Score |PT s| / |s|, s the standardised feature and P its `dim` principal directions (Ammar et al., ICLR 2024).

    Higher = more in-distribution, in 0..1; an image at the mean of the known ones scores 0. Each feature is centred and
    divided by its standard deviation, a constant one is centred only.

    Parameters
    ----------
    dim : int or "auto"
        Dimensions of the principal subspace. "auto" takes one less than there are classes: what the class means span,
        and all that collapse leaves. The paper's rule, 90 % of the variance, would cut whole classes out of that; it
        serves where there is one class, or where the means span more than half the width and the rest would tell
        little; it does not tear directions of equal variance apart, nor take all of them where they differ. All follows
        from the known images alone.
    times_max_logit : bool
        Multiply by the largest logit, as the original does for all but convolutional networks. A negative logit is
        multiplied by 2 - ratio instead: by the ratio, it would score the highest what fits the least.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> scores = NECO().fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.5, 0.5, 0.5]]))
    >>> scores.round(3).tolist()
    [1.0, 0.0]
    """

    def __init__(self, dim: int | Literal["auto"] = "auto", times_max_logit: bool = False) -> None:
        self.dim = dim
        self.times_max_logit = times_max_logit

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        mean, covariance = statistics.sample_mean, total_covariance(statistics)
        deviation = _deviations(np.diag(covariance), mean, statistics.total)
        values, vectors = np.linalg.eigh(covariance / np.outer(deviation, deviation))
        dim = self._dimensions(values[::-1], len(statistics.classes))
        arrays = {"mean": mean, "scale": 1 / deviation, "subspace": vectors[:, ::-1][:, :dim] / deviation[:, None]}
        if self.times_max_logit:
            head = head or LinearHead.from_means(statistics)
            arrays |= {"weight": head.weight, "bias": head.bias}
        return Learned(arrays=arrays, classes=statistics.classes)

    def _dimensions(self, values: np.ndarray, n_classes: int) -> int:
        """Return how many of the directions, variances falling, are principal."""
        if isinstance(self.dim, str) and self.dim == "auto":
            if 1 < n_classes <= len(values) // 2 + 1:
                return n_classes - 1
            dim = np.searchsorted(np.cumsum(values), 0.9 * values.sum())
            taken = int((values >= values[min(dim, len(values) - 1)] * (1 - 1e-6)).sum())
            # The share in all directions is 1 for every image, up to rounding.
            above_least = int((values > values[-1] * (1 + 1e-6)).sum())
            return min(taken, above_least) or taken
        if isinstance(self.dim, bool) or not isinstance(self.dim, int | np.integer) or not 1 <= self.dim <= len(values):
            raise InputError(f"dim is 'auto' or one of 1..{len(values)}, the feature width, but {self.dim!r} came")
        return int(self.dim)

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        centered = X - learned["mean"]
        inside = centered @ learned["subspace"]
        centered *= learned["scale"]
        whole = np.vecdot(centered, centered)
        inside = np.vecdot(inside, inside)
        ratio = np.sqrt(np.divide(inside, whole, out=np.zeros(len(X)), where=whole > 0))
        if not self.times_max_logit:
            return ratio
        top = (X @ learned["weight"].T + learned["bias"]).max(axis=1)
        return top * np.where(top < 0, 2 - ratio, ratio)


def _deviations(variances: np.ndarray, means: np.ndarray, n_images: int) -> np.ndarray:
    """Return standard deviations, 1 for constant features; constant is what the rounding of sums can't tell from it."""
    eps = np.finfo(np.float64).eps
    constant = variances <= n_images * eps * variances + (n_images * means * eps) ** 2
    return np.where(constant, 1.0, np.sqrt(np.maximum(variances, 0.0)))
