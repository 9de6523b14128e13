"""Leave-one-out accuracy and log-loss of a tied-covariance classifier, in closed form: no fit is repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax

from ncapps.transfer.estimate import Estimate
from ncapps.transfer.principal import principal_rows

if TYPE_CHECKING:
    from ncapps.transfer.sample import TransferSample

RIDGES = tuple(float(ridge) for ridge in np.logspace(-3, 3, 13))
"""Ridges that are tried, as parts of the mean eigenvalue of the within-class scatter."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LeftOut:
    """What is said of each image by a classifier that has not seen it.

    Parameters
    ----------
    right : numpy.ndarray
        Whether its own class wins, shape (images that could be left out,).
    loss : numpy.ndarray
        Minus the log of the probability of its own class, in nats; 0 = certain and right.
    ridge : float
        The one of `RIDGES` with the least mean loss.
    """

    right: np.ndarray
    loss: np.ndarray
    ridge: float


def leave_one_out(features: np.ndarray, codes: np.ndarray, ridges: tuple[float, ...] = RIDGES) -> LeftOut:
    """Classify each image by the means and the tied covariance of all the others; the ridge has the least mean loss.

    Taking x out of class c subtracts n_c / (n_c - 1) u uT from the within-class scatter, u = x - mu_c, so that its
    inverse follows by Sherman and Morrison's formula; mu_c moves to x - n_c / (n_c - 1) u. A class with one image is a
    rival for others, but is not asked about. The ridge is chosen on the same losses: one number for all images.

    Parameters
    ----------
    features : numpy.ndarray
        float64, shape (images, feature width).
    codes : numpy.ndarray
        Classes as numbers from 0, shape (images,).
    ridges : tuple of float
        What is tried, as parts of the scatter's mean eigenvalue.

    Examples
    --------
    >>> leave_one_out(np.array([[0.0], [0.1], [1.0], [1.2]]), np.array([0, 0, 1, 1])).right.tolist()
    [True, True, True, True]
    """
    counts = np.bincount(codes)
    rows = features - features.mean(axis=0)
    if len(rows) < rows.shape[1]:
        # Fewer images than columns lie in fewer directions, and nothing below looks at any other.
        rows = principal_rows(rows)
    means = np.zeros((len(counts), rows.shape[1]))
    np.add.at(means, codes, rows)
    means /= counts[:, None]
    inner = rows - means[codes]
    values, vectors = np.linalg.eigh(inner.T @ inner)
    asked = np.flatnonzero(counts[codes] > 1)
    if not len(asked):
        return LeftOut(right=np.zeros(0, dtype=bool), loss=np.zeros(0), ridge=ridges[0])
    spread = (float(np.maximum(values, 0).sum()) or float((rows**2).sum()) or 1.0) / features.shape[1]
    turned, centers = rows[asked] @ vectors, means @ vectors
    found = []
    for ridge in ridges:
        scale = 1 / np.sqrt(np.maximum(values, 0) + ridge * spread)
        logs = left_out_log_posteriors(turned * scale, codes[asked], centers * scale, counts)
        own = logs[np.arange(len(asked)), codes[asked]]
        found.append(LeftOut(right=logs.argmax(axis=1) == codes[asked], loss=-own, ridge=ridge))
    return min(found, key=lambda one: float(one.loss.mean()))


def left_out_log_posteriors(rows: np.ndarray, codes: np.ndarray, means: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return log-probabilities (images, classes), each image left out of its own class.

    Parameters
    ----------
    rows, means : numpy.ndarray
        Images and class means, in coordinates where within-class scatter plus ridge is the identity.
    codes, counts : numpy.ndarray
        The class of each image, and the images of each class, two or more where one is left out.
    """
    images = np.arange(len(rows))
    gain = counts[codes] / (counts[codes] - 1.0)
    own = rows - means[codes]
    length = np.einsum("ij,ij->i", own, own)
    along = np.einsum("ij,ij->i", own, rows)[:, None] - own @ means.T
    rest = np.maximum(1 - gain * length, np.finfo(float).eps)
    distance = np.einsum("ij,ij->i", rows, rows)[:, None] - 2 * rows @ means.T
    distance += np.einsum("ij,ij->i", means, means)
    distance += (gain / rest)[:, None] * along**2
    distance[images, codes] = gain**2 * length / rest
    # The shares of the classes are given, not learned: n_c - 1 would set each image's own class back. The scatter of
    # the other images, divided by their number, is their covariance.
    return log_softmax(np.log(counts) - (counts.sum() - 1) / 2 * distance, axis=1)


def loo_accuracy(sample: TransferSample) -> Estimate:
    """Return the share of images that are named right by all others; higher = better."""
    return Estimate(replicates=sample.left_out.right.astype(np.float64))


def loo_nll(sample: TransferSample) -> Estimate:
    """Return the mean log-loss of images by all others, in nats; lower = better."""
    return Estimate(replicates=sample.left_out.loss)
