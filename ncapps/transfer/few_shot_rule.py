"""The rule that held-out classes are named by: two covariances, one between class means and one within the classes."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from ncapps.covariance import shrink
from ncapps.prototypes import unit_rows
from ncapps.statistics import ClassStatistics

# Half-way to a scaled identity: a rule that ranks backbones must not be tuned for one of them.
_SHRINKAGE = 0.5
_LEAST = 1e-9


def few_shot_rule(
    known: np.ndarray, known_codes: np.ndarray, shots: np.ndarray, shot_codes: np.ndarray, asked: np.ndarray
) -> np.ndarray:
    """Return the class of each asked image by two-covariance discriminant analysis (Ioffe 2006).

    Class means are N(m, S_b), images N(class mean, S_w), both learned from the known classes. A class seen n times has
    its mean shrunk towards m by n psi / (1 + n psi) and its spread widened to 1 + psi / (1 + n psi), in each direction
    of the coordinates where S_w = I and S_b = diag(psi): so many shots and few compete on equal terms. Rows are taken
    about the known classes' centre and scaled to length 1.

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
    turn, strength = two_covariances(fitted)
    origin = fitted.center
    means = (np.concatenate([fitted.means, few.means]) - origin) @ turn
    counts = np.concatenate([fitted.counts, few.counts])[:, None]
    scores = two_covariance_scores((asked - origin) @ turn, means, counts, strength)
    return np.asarray(fitted.classes + few.classes)[scores.argmax(axis=1)]


def two_covariances(statistics: ClassStatistics) -> tuple[np.ndarray, np.ndarray]:
    """Return A and psi with AT S_w A = I and AT S_b A = diag(psi), shapes (width, width) and (width,).

    S_b is the covariance of the class means less what S_w alone would give them, S_w mean(1 / n); both are shrunk.
    """
    within = statistics.within_covariance
    moved = statistics.means - statistics.center
    between = moved.T @ moved / (len(moved) - 1) - within * np.mean(1 / statistics.counts)
    values, vectors = np.linalg.eigh(between)
    between = shrink((vectors * np.maximum(values, 0)) @ vectors.T, _SHRINKAGE)
    # Classes of one point each have no spread, and then any small one serves.
    least = _LEAST * (float(np.trace(between)) / len(between) or 1.0)
    strength, turn = eigh(between, shrink(within, _SHRINKAGE) + least * np.eye(len(within)))
    return turn, np.maximum(strength, 0.0)


def two_covariance_scores(rows: np.ndarray, means: np.ndarray, counts: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return log-densities up to a constant, shape (images, classes), in the coordinates of `two_covariances`.

    Parameters
    ----------
    rows, means : numpy.ndarray
        Images, and the mean of each class's images.
    counts : numpy.ndarray
        Images of each class, shape (classes, 1).
    strength : numpy.ndarray
        psi, shape (width,).
    """
    expected = means * (counts * strength / (1 + counts * strength))
    variance = 1 + strength / (1 + counts * strength)
    constant = (expected**2 / variance + np.log(variance)).sum(axis=1)
    return rows @ (expected / variance).T - (rows**2 @ (1 / variance).T + constant) / 2
