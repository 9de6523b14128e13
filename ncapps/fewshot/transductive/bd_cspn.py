"""BD-CSPN: prototypes rectified once by the batch's own images."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from ncapps.fewshot.transductive.batches import check_batch, check_positive, shift_to_prototypes
from ncapps.prototypes import unit_rows


def bd_cspn(
    queries: np.ndarray,
    prototypes: np.ndarray,
    counts: np.ndarray,
    *,
    sharpness: float = 1.0,
    scale: float = 10.0,
    shift: bool = False,
) -> np.ndarray:
    """Return assignment probabilities by the cosine to rectified prototypes (Liu et al. 2020).

    Parameters
    ----------
    queries : numpy.ndarray
        The batch's features, shape (..., images, width); of unit length, as in "cl2n".
    prototypes : numpy.ndarray
        Means of such features, not made unit length again, shape (..., classes, width).
    counts : numpy.ndarray
        Images behind each prototype, shape (..., classes) or (classes,).
    sharpness : float
        An image weighs exp(sharpness cosine) in its class's prototype; above 0. The paper has 10, easyfsl 1.
    scale : float
        Multiplies the cosines before the softmax; above 0.
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
        If the shapes don't fit, or an option is not above 0.

    Examples
    --------
    >>> batch = np.array([[0.9, 0.1], [0.8, 0.3], [0.2, 0.9]])
    >>> bd_cspn(batch, np.eye(2), np.array([1, 1])).argmax(axis=1).tolist()
    [0, 0, 1]
    """
    check_batch(queries, prototypes, counts)
    check_positive(sharpness=sharpness, scale=scale)
    if shift:
        queries = shift_to_prototypes(queries, prototypes)
    rectified = rectify(queries, prototypes, counts, sharpness)
    return softmax(scale * _cosines(queries, rectified), axis=-1)


def rectify(queries: np.ndarray, prototypes: np.ndarray, counts: np.ndarray, sharpness: float = 1.0) -> np.ndarray:
    """Return the weighted mean of each class's support and of the queries nearest to it, shape (..., classes, width).

    The weights are exp(sharpness cosine); Liu et al. 2020, eq. 8 and 9. The support images themselves are not needed:
    the mean cosine between unit rows and their mean is that mean's length, and it stands for all of them.
    """
    cosines = _cosines(queries, prototypes)
    nearest = cosines.argmax(axis=-1)[..., None] == np.arange(prototypes.shape[-2])
    # Weights are relative to the largest there can be, so that no exponential overflows.
    weights = np.where(nearest, np.exp(sharpness * (cosines - 1)), 0.0)
    closeness = np.minimum(np.linalg.norm(prototypes, axis=-1), 1.0)
    own = counts * np.exp(sharpness * (closeness - 1))
    total = own + weights.sum(axis=-2)
    return (own[..., None] * prototypes + weights.swapaxes(-1, -2) @ queries) / total[..., None]


def _cosines(rows: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    return unit_rows(rows) @ unit_rows(prototypes).swapaxes(-1, -2)
