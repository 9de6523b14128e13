"""`ViM`: the residual of an image as the logit of one more, virtual class."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ncapps.errors import InputError
from ncapps.ood.head_detector import LogitDetector, learned_head
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.logits import logsumexp
from ncapps.ood.residual import Origin, residual_space
from ncapps.ood.whitening import RESOLUTION, mean_square
from ncapps.statistics import ClassStatistics


class ViM(LogitDetector):
    """Score logsumexp(z) - alpha |RT (x - u)| of the logits z (Wang et al., CVPR 2022, section 4).

    Higher = more in-distribution. R and u are those of `Residual`; alpha is the mean over the known images of the
    largest logit, divided by that of |RT (x - u)|. Its sign is dropped, or a head whose logits are negative would
    reward a residual; where known images have no residual beyond rounding, |x - u| takes its place; largest logits of
    mean zero leave alpha at 1. Both means need the images themselves, so there is no fitting from statistics. Without a
    head the class means serve as one.

    Parameters
    ----------
    dim : int, optional
        Dimensions of the principal subspace, less than the feature width; by default 1,000 for features 2,048 wide or
        wider, 512 for 768 or wider, else half the width (the authors' rule).
    origin : {"head", "mean"}
        u: the point -W+ b where the head's logits vanish, which is zero for a head without bias, or the mean of the
        known images, better for such heads and taken where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(4)[:2].repeat(4, axis=0), ["a"] * 4 + ["b"] * 4
    >>> noise = 0.1 * np.random.default_rng(0).standard_normal(X.shape)
    >>> scores = ViM().fit(X + noise, y).score_samples(np.array([[1.0, 0, 0, 0], [1, 0, 2, 2]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def __init__(self, dim: int | None = None, origin: Origin = "head") -> None:
        self.dim = dim
        self.origin = origin

    def fit_statistics(self, statistics: ClassStatistics, head: Any = None) -> NoReturn:
        """Refuse: alpha is a mean over single images, which statistics do not hold.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(
            "ViM scales its residual by a mean over single images, which statistics do not hold; call fit(X, y, head), "
            "or take Residual, which needs statistics alone"
        )

    def _fit(self, X: np.ndarray, y: np.ndarray, head: Any, X_val: np.ndarray | None) -> Learned:
        statistics = ClassStatistics.from_features(X, y)
        read = LinearHead.of(head, X.shape[1])
        u, null_space = residual_space(statistics, read, self.dim, self.origin)
        read = read or LinearHead.from_means(statistics)
        top, lengths = read.logits(X).max(axis=1).mean(), np.linalg.norm((X - u) @ null_space, axis=1).mean()
        if lengths <= RESOLUTION * np.sqrt(mean_square(statistics)):
            lengths = np.linalg.norm(X - u, axis=1).mean() or 1.0
        scaled = (abs(top) / lengths or 1.0) * null_space
        return learned_head(read, statistics.classes).with_arrays(origin=u, scaled_null_space=scaled)

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        rest = (X - learned["origin"]) @ learned["scaled_null_space"]
        return logsumexp(self._logits(learned, X)) - np.sqrt(np.vecdot(rest, rest))
