"""The temperature that turns prototype scores into probabilities, fitted on known images alone; one unit an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

_FEWEST_CLASSES = 3


def fit_temperature(
    scores: Sequence[np.ndarray], codes: Sequence[np.ndarray], weights: Sequence[np.ndarray] | None = None
) -> float:
    """Return the T > 0 that minimises the negative log-likelihood of softmax(scores / T) at the true classes.

    Parameters
    ----------
    scores : sequence of numpy.ndarray
        Of shape (images, classes); several where images were scored among other classes each time.
    codes : sequence of numpy.ndarray
        The column of each image's own class, for each of them.
    weights : sequence of numpy.ndarray, optional
        How much each image counts; alike when left out.
    """
    scale = float(np.mean([np.ptp(part, axis=1).mean() for part in scores])) or 1.0
    true = [part[np.arange(len(part)), own] for part, own in zip(scores, codes, strict=True)]

    def loss(log_temperature: float) -> float:
        temperature = scale * np.exp(log_temperature)
        losses = [
            logsumexp(part / temperature, axis=1) - own / temperature for part, own in zip(scores, true, strict=True)
        ]
        return float(np.average(np.concatenate(losses), weights=None if weights is None else np.concatenate(weights)))

    found = minimize_scalar(loss, bounds=(-8.0, 3.0), method="bounded")
    return scale * float(np.exp(found.x))  # pyright: ignore[reportAttributeAccessIssue]


def fit_image_temperature(
    scores: Sequence[np.ndarray], codes: Sequence[np.ndarray], weights: Sequence[np.ndarray], visible: int
) -> tuple[float, float]:
    """Return the temperature, and the typical spread for `image_units`; the columns of visible classes come first."""
    typical = float(np.median(np.concatenate([class_spread(part[:, :visible]) for part in scores])))
    units = [image_units(part[:, :visible], typical) for part in scores]
    scaled = [part / unit for part, unit in zip(scores, units, strict=True)]
    return fit_temperature(scaled, codes, weights), typical


def class_spread(scores: np.ndarray) -> np.ndarray:
    """Return how far an image's scores for the fitted classes lie apart, shape (images, 1): a standard deviation.

    Parameters
    ----------
    scores : numpy.ndarray
        For the fitted classes alone, shape (images, fitted classes): so a class that is added later changes nothing.
    """
    return scores.std(axis=1, keepdims=True)


def image_units(scores: np.ndarray, typical: float) -> np.ndarray | float:
    """Return what an image's scores are divided by beside the temperature: sqrt(its spread / the typical one).

    Images of classes seen a few times that lie far from all others have large gaps between their scores, and are named
    wrongly more often than gaps of that size tell; the root tempers them without a word about which class it is. Its
    unit is 1 for every image where `typical` is 0, or fewer than three classes tell no spread.
    """
    if typical <= 0 or scores.shape[1] < _FEWEST_CLASSES:
        return 1.0
    return np.sqrt(np.maximum(class_spread(scores), 1e-3 * typical) / typical)
