"""LaplacianShot: neighbours in the batch are named alike."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from ncapps.errors import InputError
from ncapps.fewshot.transductive.batches import check_batch, check_positive, shift_to_prototypes, squared_distances
from ncapps.fewshot.transductive.bd_cspn import rectify


def laplacian(
    queries: np.ndarray,
    prototypes: np.ndarray,
    counts: np.ndarray,
    *,
    smoothness: float = 0.7,
    neighbors: int = 3,
    scale: float = 1.0,
    steps: int = 20,
    shift: bool = False,
) -> np.ndarray:
    """Return assignment probabilities smoothed over the batch's nearest neighbours (Ziko et al. 2020, algorithm 1).

    They start from rectified prototypes, as `bd_cspn` makes them, and repeat Y <- softmax(-scale d^2 + smoothness W Y),
    where W marks each image's nearest others.

    Parameters
    ----------
    queries : numpy.ndarray
        The batch's features, shape (..., images, width); of unit length, as in "cl2n".
    prototypes : numpy.ndarray
        Means of such features, not made unit length again, shape (..., classes, width).
    counts : numpy.ndarray
        Images behind each prototype, shape (..., classes) or (classes,).
    smoothness : float
        What a neighbour's probability adds to a score; 0 = images are named one by one.
    neighbors : int
        Nearest others of an image that count; 1 or more.
    scale : float
        Multiplies squared distances; above 0.
    steps : int
        Repetitions; 0 or more.
    shift : bool
        Move the batch's mean onto the prototypes' mean first, as the paper does: about a point better where all
        classes are equally frequent, one to three points worse where not.

    Returns
    -------
    numpy.ndarray
        Shape (..., images, classes); each image's probabilities add up to 1.

    Raises
    ------
    InputError
        If the shapes don't fit or an option is out of its range.

    Examples
    --------
    >>> batch = np.array([[0.9, 0.1], [0.6, 0.4], [0.1, 0.9]])
    >>> laplacian(batch, np.eye(2), np.array([1, 1]), neighbors=1).argmax(axis=1).tolist()
    [0, 0, 1]
    """
    check_batch(queries, prototypes, counts)
    check_positive(scale=scale, neighbors=neighbors)
    if smoothness < 0 or steps < 0:
        raise InputError(f"smoothness and steps must be 0 or more, but {smoothness} and {steps} came")
    if shift:
        queries = shift_to_prototypes(queries, prototypes)
    scores = -scale * squared_distances(queries, rectify(queries, prototypes, counts))
    affinity = nearest_others(queries, neighbors)
    assigned = softmax(scores, axis=-1)
    for _ in range(steps):
        assigned = softmax(scores + smoothness * (affinity @ assigned), axis=-1)
    return assigned


def nearest_others(rows: np.ndarray, neighbors: int) -> np.ndarray:
    """Return a matrix of ones where a column is among its row's nearest others, shape (..., rows, rows)."""
    images = rows.shape[-2]
    neighbors = min(neighbors, images - 1)
    affinity = np.zeros((*rows.shape[:-1], images))
    if neighbors < 1:
        return affinity
    distances = squared_distances(rows, rows)
    distances[..., np.arange(images), np.arange(images)] = np.inf
    nearest = np.argpartition(distances, neighbors - 1, axis=-1)[..., :neighbors]
    np.put_along_axis(affinity, nearest, 1.0, axis=-1)
    return affinity
