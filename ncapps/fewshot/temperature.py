"""The temperature that turns prototype scores into probabilities, fitted on known images alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp


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
