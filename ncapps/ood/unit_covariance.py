"""The covariance of features divided by their length, from the statistics of the features as they are."""

from __future__ import annotations

import numpy as np

from ncapps.prototypes import unit_rows


def unit_covariance(means: np.ndarray, covariance: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the pooled covariance of f / ||f||, shape (width, width), by the delta method.

    With u_c = mu_c / ||mu_c|| the derivative of f / ||f|| at mu_c is (I - u_c u_cT) / ||f||, so

        S' = sum_c pi_c (I - u_c u_cT) S (I - u_c u_cT) / l_c^2,    l_c^2 = ||mu_c||^2 + tr S.

    Parameters
    ----------
    shares : numpy.ndarray
        pi_c, the share of the images in each class, shape (classes,).
    """
    axes = unit_rows(means)
    weights = shares / _lengths(means, covariance) ** 2
    seen = axes @ covariance
    along = np.vecdot(seen, axes)
    crossed = (axes * weights[:, None]).T @ seen
    result = weights.sum() * covariance - crossed - crossed.T + (axes * (weights * along)[:, None]).T @ axes
    return (result + result.T) / 2


def _lengths(means: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    lengths = np.sqrt(np.vecdot(means, means) + np.trace(covariance))
    return np.where(lengths > 0, lengths, 1.0)
