"""The metrics a `PrototypeClassifier` can score with: a new one is its functions here and one line in `METRICS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ncapps.covariance import oas_amount, shrink, whitener
from ncapps.prototypes import cosine_scores, euclidean_scores, squared_distances
from ncapps.statistics import ClassStatistics


@dataclass(frozen=True)
class Metric:
    """How likeness is scored.

    Parameters
    ----------
    scores : callable
        (features, prototypes, images a prototype, centre), all in projected coordinates, to scores of shape (images,
        classes); higher = more alike.
    projection : callable
        Statistics of the fitted classes to a matrix that features are multiplied by first; None leaves them.
    spread_temperature : callable
        Statistics of the fitted classes to a temperature, for want of images to fit it on.
    """

    scores: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    projection: Callable[[ClassStatistics], np.ndarray | None] = lambda statistics: None
    spread_temperature: Callable[[ClassStatistics], float] = lambda statistics: 1 / 16


def euclidean(features: np.ndarray, prototypes: np.ndarray, counts: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Nearest class mean: -||x - mu_c||^2, about the frozen centre, so that adding a class moves no other score."""
    return euclidean_scores(features, prototypes, center)


def cosine(features: np.ndarray, prototypes: np.ndarray, counts: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Cosine between x - m and mu_c - m, m the frozen centre of the classes that were fitted first.

    Collapsed class means form a simplex about their centre, not about the origin, so the angle is taken there.
    """
    return cosine_scores(features - center, prototypes - center)


def mahalanobis(features: np.ndarray, prototypes: np.ndarray, counts: np.ndarray, center: np.ndarray) -> np.ndarray:
    """1 / n_c - ||x - mu_c||^2 in whitened coordinates whose unit is a class's own mean squared distance.

    A mean of n images lies 1 / n of that unit further from all images, for it is itself uncertain. That is added back,
    not divided by: where all distances are large and alike, a quotient would hand every image to the new class.
    """
    return 1 / counts - squared_distances(features, prototypes, center)


def whitening(statistics: ClassStatistics) -> np.ndarray | None:
    """Return the whitener of the within-class covariance, shrunk by OAS, scaled so that images lie 1 from their mean.

    That is the root mean square over the fitted images; None where no class has any spread.
    """
    covariance = statistics.within_covariance
    if not np.trace(covariance) > 0:
        return None
    # Collapsed features span few directions; without a floor the whitener would blow up rounding in all others.
    amount = max(oas_amount(covariance, statistics.total), 1e-6)
    matrix = whitener(shrink(covariance, amount))
    return matrix / np.sqrt(np.einsum("ij,ji->", matrix @ covariance, matrix))


def euclidean_temperature(statistics: ClassStatistics) -> float:
    """Return 2 v: for round classes of variance v in each direction the posterior is softmax(-||x - mu||^2 / 2 v)."""
    return 2 * float(statistics.squares.sum()) / statistics.total / statistics.width or 1.0


def mahalanobis_temperature(statistics: ClassStatistics) -> float:
    """Return 2 / width: -||x - mu||^2 / 2 is a white Gaussian's log-density, and its images lie sqrt(width) away."""
    return 2 / statistics.width


METRICS: dict[str, Metric] = {
    "mahalanobis": Metric(mahalanobis, whitening, mahalanobis_temperature),
    "euclidean": Metric(euclidean, spread_temperature=euclidean_temperature),
    "cosine": Metric(cosine),
}
