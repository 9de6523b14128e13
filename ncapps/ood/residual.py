"""`Residual`: the length of what the principal subspace of the known images leaves of an image."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ncapps.errors import InputError
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.statistics_detector import StatisticsDetector
from ncapps.ood.whitening import RESOLUTION, total_covariance, variance_floor
from ncapps.statistics import ClassStatistics

Origin = Literal["head", "mean"]


class Residual(StatisticsDetector):
    """Score -|RT (x - u)|, with R what the principal subspace leaves (Wang et al., CVPR 2022, "ViM", section 4).

    Higher = more in-distribution. R holds the eigenvectors of mean (x - u)(x - u)T below the largest `dim`. Those in
    which the known images do not vary beyond rounding are always part of it: which of them a larger `dim` would take
    is chance.

    Parameters
    ----------
    dim : int, optional
        Dimensions of the principal subspace, less than the feature width; by default 1,000 for features 2,048 wide or
        wider, 512 for 768 or wider, else half the width (the authors' rule).
    origin : {"head", "mean"}
        u: the point -W+ b where the head's logits vanish, which is zero for a head without bias, or the mean of the
        known images, which also serves where there is no head.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4)) * [3, 2, 0.1, 0.1]
    >>> scores = Residual().fit(X).score_samples(np.array([[2.0, 1, 0, 0], [0, 0, 2, 1]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def __init__(self, dim: int | None = None, origin: Origin = "head") -> None:
        self.dim = dim
        self.origin = origin

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        u, null_space = residual_space(statistics, head, self.dim, self.origin)
        return Learned(arrays={"origin": u, "null_space": null_space}, classes=statistics.classes)

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        rest = (X - learned["origin"]) @ learned["null_space"]
        return -np.sqrt(np.vecdot(rest, rest))


def residual_space(
    statistics: ClassStatistics, head: LinearHead | None, dim: int | None, origin: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the origin u, shape (width,), and R, shape (width, width - dim or more).

    Raises
    ------
    InputError
        If `dim` leaves nothing of the features, or `origin` is not "head" or "mean".
    """
    width = statistics.width
    dim = _default_dim(width) if dim is None else dim
    if isinstance(dim, bool) or not isinstance(dim, int | np.integer) or not 0 <= dim < width:
        raise InputError(
            f"the principal subspace needs a whole number of dimensions below the feature width {width}, or nothing is "
            f"left to measure, but dim={dim!r} came; leave it out for the default, {_default_dim(width)}"
        )
    if origin not in ("head", "mean"):
        raise InputError(f"origin is 'head' or 'mean', but {origin!r} came")
    mean = statistics.sample_mean
    u = mean if head is None or origin == "mean" else _vanishing_point(head)
    values, vectors = np.linalg.eigh(total_covariance(statistics) + np.outer(mean - u, mean - u))
    cut = max(values[-1] * width * np.finfo(np.float64).eps, variance_floor(statistics))
    return u, vectors[:, : width - min(dim, int((values > cut).sum()))]


def _default_dim(width: int) -> int:
    if width >= 2048:
        return 1000
    return 512 if width >= 768 else width // 2


def _vanishing_point(head: LinearHead) -> np.ndarray:
    """Return u = -W+ b; the rows of a trained head sum to zero up to float32 rounding, which W+ must not divide by."""
    return -np.linalg.pinv(head.weight, rcond=max(head.weight.shape) * RESOLUTION) @ head.bias
