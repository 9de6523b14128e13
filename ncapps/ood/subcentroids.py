"""Several centres a class: the bridge from one vertex a class to all its images, as nearest neighbours see them."""

from __future__ import annotations

import numpy as np

from ncapps.ood.faiss_indexes import load_faiss
from ncapps.ood.logits import logsumexp

# Squared distances between unit features, over which the pull of a centre falls to 1/e.
_REACH = 1 / 30
_MOST = 2048


def subcentroids(features: np.ndarray, codes: np.ndarray, each: int, seed: int = 0) -> np.ndarray:
    """Return up to `each` k-means centres of every class's features, shape (centres, width), class by class.

    A class gets at most a tenth of its images as centres, and all classes together no more than 2,048 or one each.

    Parameters
    ----------
    codes : numpy.ndarray
        The class of each image, as integers from 0.
    """
    faiss = load_faiss()
    counts = np.bincount(codes)
    each = max(1, min(each, _MOST // len(counts)))
    rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    centres = []
    for own in rows:
        points = np.ascontiguousarray(features[own], dtype=np.float32)
        means = faiss.Kmeans(points.shape[1], max(1, min(each, len(points) // 10)), niter=15, seed=seed)
        means.cp.min_points_per_centroid = 1
        means.train(points)
        centres.append(means.centroids)
    return np.concatenate(centres).astype(np.float64)


def neighbourhood(units: np.ndarray, centres: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return log sum_j exp(-d_j^2 / reach) over the centres, shape (images,); higher = nearer.

    Parameters
    ----------
    squares : numpy.ndarray
        The centres' squared lengths, shape (centres,): taken anew they would cost one image half its time.
    """
    pulls = units @ centres.T
    pulls *= 2
    pulls -= squares
    pulls /= _REACH
    return logsumexp(pulls) - np.vecdot(units, units) / _REACH
