"""`NNGuide`: energy, guided by the likeness to training images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ncapps.arrays import sorted_names
from ncapps.ood.head_detector import LogitDetector, learned_head
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.logits import logsumexp
from ncapps.ood.ranges import check_range
from ncapps.prototypes import unit_rows
from ncapps.statistics import ClassStatistics

_NEIGHBORS = 100
# A smaller bank would save nothing.
_SMALLEST_BANK = 1000
# Images compared with the bank together, so that the matrix of likenesses stays small.
_BLOCK = 512


class NNGuide(LogitDetector):
    """Score E(x) times the mean of the k largest <z, E_i z_i>, with E the energy logsumexp of the logits.

    Higher = more in-distribution. z is the feature divided by its length, z_i such a feature in a bank of training
    images and E_i its energy (Park et al., ICCV 2023, section 3). A feature of zeros scores 0.

    Without a head the class means serve as one (`LinearHead.from_means`); a single class gives no logits to tell apart
    and the energy 1 throughout, which leaves the likeness alone.

    Parameters
    ----------
    k : int, optional
        Default: 100 as in the paper, or a tenth of the bank where that is smaller. A k beyond the bank means all of it.
    alpha : float
        The share of the training images that the bank holds, but never fewer than 1000 images where there are so many.
        They are drawn at random and evenly over the classes, however the images are sorted.
    seed : int
        For the draw.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> scores = NNGuide().fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def __init__(self, k: int | None = None, alpha: float = 0.01, seed: int = 0) -> None:
        self.k = k
        self.alpha = alpha
        self.seed = seed

    def _fit(self, X: np.ndarray, y: np.ndarray, head: Any, X_val: np.ndarray | None) -> Learned:
        if self.k is not None:
            check_range("k", self.k, 1, np.inf, closed="low", whole=True)
        check_range("alpha", self.alpha, 0, 1, closed="high", hint="it is the bank's share of the training images")
        names, labels = np.unique(y, return_inverse=True)
        read = LinearHead.of(head, X.shape[1])
        if read is None and len(names) == 1:
            read = LinearHead(weight=np.zeros((1, X.shape[1])), bias=np.ones(1))
        elif read is None:
            read = LinearHead.from_means(ClassStatistics.from_features(X, y))
        size = min(len(X), max(math.ceil(self.alpha * len(X)), _SMALLEST_BANK))
        rows = _balanced(labels, size, self.seed)
        bank = unit_rows(X[rows]) * logsumexp(read.logits(X[rows]))[:, None]
        k = min(_NEIGHBORS, math.ceil(size / 10)) if self.k is None else min(self.k, size)
        return learned_head(read, sorted_names(names)).with_arrays(bank=bank, k=np.asarray(k))

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        z, bank, k = unit_rows(X), learned["bank"], int(learned["k"])
        guidance = np.empty(len(X))
        for start in range(0, len(X), _BLOCK):
            likeness = z[start : start + _BLOCK] @ bank.T
            likeness.partition(len(bank) - k, axis=1)
            guidance[start : start + _BLOCK] = likeness[:, len(bank) - k :].mean(axis=1)
        return guidance * logsumexp(self._logits(learned, X))


def _balanced(labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return `size` rows drawn at random, as evenly over the classes as their images allow, sorted."""
    order = np.random.default_rng(seed).permutation(len(labels))
    # Every class's first images come before any class's second ones; within a round chance decides.
    grouped = order[np.argsort(labels[order], kind="stable")]
    sizes = np.bincount(labels)
    turn = np.empty(len(labels), dtype=np.int64)
    turn[grouped] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[np.argsort(turn[order], kind="stable")[:size]])
