"""The rule that held-out classes are named by: two-covariance discriminant analysis, with nothing left to choose."""

from __future__ import annotations

import numpy as np

from ncapps.plda import class_log_likelihoods, place_classes, two_covariance, within_eigen
from ncapps.prototypes import unit_rows
from ncapps.statistics import ClassStatistics

# Half-way to a scaled identity: a rule that ranks backbones must not be tuned for one of them.
_SHRINKAGE = 0.5
_LEAST = 1e-9


def few_shot_rule(
    known: np.ndarray, known_codes: np.ndarray, shots: np.ndarray, shot_codes: np.ndarray, asked: np.ndarray
) -> np.ndarray:
    """Return the class of each asked image, the most likely one under `ncapps.plda` fitted to the known classes.

    Rows are taken about the known classes' centre and scaled to length 1.

    Parameters
    ----------
    known, shots, asked : numpy.ndarray
        Features, shape (images, feature width): of two known classes or more, of the added ones, and of what is asked.
    known_codes, shot_codes : numpy.ndarray
        The class of each image as a number; known and added classes differ.

    Examples
    --------
    >>> known, shots = np.eye(3)[[0, 0, 1, 1]], np.eye(3)[[2]]
    >>> few_shot_rule(known, np.array([0, 0, 1, 1]), shots, np.array([2]), np.eye(3)).tolist()
    [0, 1, 2]
    """
    center = ClassStatistics.from_features(known, known_codes).center
    rows, added, asked = (unit_rows(part - center) for part in (known, shots, asked))
    fitted, few = ClassStatistics.from_features(rows, known_codes), ClassStatistics.from_features(added, shot_codes)
    values, basis = within_eigen(fitted.within_covariance)
    # Classes that have collapsed to points have no spread of their own; any that is small beside their gaps serves.
    values = np.maximum(values, _LEAST * (fitted.means**2).mean())
    geometry = two_covariance(values, basis, fitted.means, fitted.counts, _SHRINKAGE, _SHRINKAGE)
    means, counts = np.concatenate([fitted.means, few.means]), np.concatenate([fitted.counts, few.counts])
    likelihoods = class_log_likelihoods(geometry, place_classes(geometry, means, counts), asked)
    return np.asarray(fitted.classes + few.classes)[likelihoods.argmax(axis=1)]
