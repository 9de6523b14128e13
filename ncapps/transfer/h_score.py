"""H-score: how much of the features' spread lies between the classes, with a covariance that is shrunk."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve


def h_score(features: np.ndarray, codes: np.ndarray) -> float:
    """Return (1 - s) tr(C^-1 B), C the features' covariance shrunk by s, B that of the class means; higher = better.

    Bao et al. (ICIP 2019), definition 2, is tr(cov(F)^-1 cov(E[F | y])), between 0 and the number of classes less one;
    Ibrahim, Ponomareva and Mazumder (2021, "Newer is not always better") shrink cov(F) by Ledoit and Wolf's amount s
    and multiply B by 1 - s, without which wide features score high whatever they hold.

    Parameters
    ----------
    features : numpy.ndarray
        float64, shape (images, feature width).
    codes : numpy.ndarray
        Classes as numbers from 0, shape (images,).

    Examples
    --------
    >>> y = np.arange(40) % 2
    >>> h_score(np.eye(2)[y], y) > h_score(np.random.default_rng(0).normal(size=(40, 2)), y)
    True
    """
    from sklearn.covariance import ledoit_wolf

    rows = features - features.mean(axis=0)
    length = np.sqrt((rows**2).mean())
    if not length > 0:
        return 0.0
    rows = rows / length
    covariance, amount = ledoit_wolf(rows, assume_centered=True)
    counts = np.bincount(codes)
    sums = np.zeros((len(counts), rows.shape[1]))
    np.add.at(sums, codes, rows)
    # B = mT m with a row of m for each class.
    means = sums / np.sqrt(counts * len(rows))[:, None]
    # Ledoit and Wolf's amount can be 0 where the images of a class coincide; rounding must not make C indefinite.
    covariance = covariance + np.finfo(float).eps * len(covariance) * np.eye(len(covariance))
    factor = cho_factor(covariance, lower=True)
    return float((1 - amount) * np.einsum("ij,ji->", means, cho_solve(factor, means.T)))
