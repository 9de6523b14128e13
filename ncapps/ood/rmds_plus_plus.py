"""`RMDSPlusPlus`: relative Mahalanobis distance on features of unit length."""

from __future__ import annotations

from ncapps.ood.rmds import RMDS


class RMDSPlusPlus(RMDS):
    """Score as `RMDS` on x / |x|, at fit and at score (Mueller and Hein, ICML 2025, "Mahalanobis++").

    Higher = more in-distribution. A zero vector stays zero. `fit_statistics` takes statistics of features divided by
    their length.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> noise = 0.1 * np.random.default_rng(0).standard_normal(X.shape)
    >>> scores = RMDSPlusPlus().fit(X + noise, y).score_samples(np.array([[5.0, 0, 0], [0.3, 0.3, 0.4]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    unit_features = True
