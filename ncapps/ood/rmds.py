"""`RMDS`: Mahalanobis distance to the nearest class mean, relative to that from all images."""

from __future__ import annotations

import numpy as np

from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.mds import MDS
from ncapps.ood.whitening import between_factor, variance_floor, within_whitener
from ncapps.statistics import ClassStatistics


class RMDS(MDS):
    """Score max_c [-MD_c(x)] + MD_0(x), with MD_c as in `MDS` (Ren et al., 2021, arXiv:2106.09022, section 2).

    Higher = more in-distribution. MD_0 is the squared Mahalanobis distance from the mean of all images under their
    total covariance; both inverses are Moore-Penrose. Adding a class moves neither. A head is not read.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> noise = 0.1 * np.random.default_rng(0).standard_normal(X.shape)
    >>> scores = RMDS().fit(X + noise, y).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        whitener = within_whitener(statistics)
        basis, weights = _both_diagonal(whitener, between_factor(statistics), variance_floor(statistics))
        learned = self._whitened_by(basis, statistics, rank=whitener.shape[1])
        return learned.with_arrays(background=weights)

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        whitened = self._whiten(learned, X)
        background = np.vecdot(whitened * learned["background"], whitened)
        inside = self._inside(learned, whitened)
        inside -= learned["whitened_means"][self._closest(learned, inside)]
        return background - np.vecdot(inside, inside)

    def _nearest(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return self._closest(learned, self._inside(learned, self._whiten(learned, X)))

    def _inside(self, learned: Learned, whitened: np.ndarray) -> np.ndarray:
        """Return the part in which classes vary, which their means are compared in."""
        return whitened[:, : learned["whitened_means"].shape[1]]


def _both_diagonal(whitener: np.ndarray, between: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a basis V and weights w with the total distance of d = sum_i w_i (VT d)_i^2, so that one product does.

    The first columns of V are the within-class whitener, turned until the total covariance is diagonal in it: 1 + l.
    The others span what only the class means vary in, made independent of the first ones by elimination.
    """
    outside = _outside(whitener, between, floor)
    # Singular values of the factor, not eigenvalues of the square: collapse sets 1 and l up to 1e14 apart.
    left, singular, turn = np.linalg.svd(between @ whitener)
    whitener = whitener @ turn.T
    weights, shrinks = np.ones(len(turn)), np.ones(len(left))
    weights[: len(singular)] = 1 / (1 + singular**2)
    if not outside.shape[1]:
        return whitener, weights
    shared = left.T @ (between @ outside)
    shrinks[: len(singular)] = np.sqrt(weights[: len(singular)])
    explained = shared[: len(singular)] * (singular * weights[: len(singular)])[:, None]
    free = outside - whitener[:, : len(singular)] @ explained
    # What the elimination leaves of the covariance, as a factor again.
    _, lengths, directions = np.linalg.svd(shrinks[:, None] * shared, full_matrices=False)
    kept = lengths > lengths[0] * max(shared.shape) * np.finfo(np.float64).eps
    free = free @ (directions[kept].T / lengths[kept])
    return np.hstack([whitener, free]), np.concatenate([weights, np.ones(free.shape[1])])


def _outside(whitener: np.ndarray, between: np.ndarray, floor: float) -> np.ndarray:
    """Return orthonormal columns that span what the class means vary in and the whitener does not see."""
    if whitener.shape[1] == len(whitener):
        return np.zeros((len(whitener), 0))
    seen = whitener / np.linalg.norm(whitener, axis=0)
    rest = between - (between @ seen) @ seen.T
    _, lengths, directions = np.linalg.svd(rest, full_matrices=False)
    return directions[lengths**2 > floor].T
