"""The five scalars that an `ETFDetector` reads off an image; higher = more in-distribution, each."""

from __future__ import annotations

import numpy as np

from ncapps.ood.learned import Learned
from ncapps.ood.logits import logsumexp
from ncapps.ood.subcentroids import neighbourhood
from ncapps.ood.triangular import whiten
from ncapps.prototypes import squared_distances

TERMS = ("evidence", "angle", "direction", "span", "neighbours")
# Chosen, one setting for all, on networks trained on six classes of CIFAR-10 or eight digits, on TrashNet classes held
# out, and on CIFAR-10 images mixed, cut up and turned; what they see in common, angle and evidence share.
WEIGHTS = {"evidence": 2.0, "angle": 0.5, "direction": 1.5, "span": 1.0, "neighbours": 3.0}


def etf_terms(learned: Learned, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the terms, shape (images, 5) in the order of `TERMS`, and the row of the nearest class of each image."""
    # About the centre first: far from it differences would cancel.
    offsets = whiten(X - learned["center"], learned["whitener"])
    whitened = offsets + learned["whitened_center"]
    closeness = _closeness(learned, offsets)
    nearest = closeness.argmax(axis=1)
    turned = whiten(X, learned["unit_whitener"])
    columns = [
        logsumexp(X @ learned["weight"].T + learned["bias"]),
        closeness[np.arange(len(X)), nearest],
        (turned @ learned["directions"].T).max(axis=1) / _lengths(turned),
        _lengths(whitened @ learned["span"].T) / _lengths(whitened),
        _neighbours(learned, X),
    ]
    return np.stack(columns, axis=1), nearest


def nearest_vertex(learned: Learned, X: np.ndarray) -> np.ndarray:
    """Return the row of each image's nearest class, as `etf_terms` does, without the terms."""
    return _closeness(learned, whiten(X - learned["center"], learned["whitener"])).argmax(axis=1)


def _closeness(learned: Learned, offsets: np.ndarray) -> np.ndarray:
    """Cosine between an image and each vertex; where the classes have no vertices, minus the distance to each mean."""
    if not learned.once("simplex", learned["vertices"].any):
        means = learned["whitened_means"] - learned["whitened_center"]
        return -np.sqrt(squared_distances(offsets, means))
    return (offsets @ learned["vertices"].T) / _lengths(offsets)[:, None]


def _neighbours(learned: Learned, X: np.ndarray) -> np.ndarray:
    if not len(learned["centres"]):
        return np.zeros(len(X))
    return neighbourhood(X / _lengths(X)[:, None], learned["centres"], learned["centre_squares"])


def _lengths(X: np.ndarray) -> np.ndarray:
    """Return the rows' lengths, next to nothing for a row of zeros: what is divided by it stays zero."""
    return np.maximum(np.sqrt(np.vecdot(X, X)), np.finfo(np.float64).tiny)
