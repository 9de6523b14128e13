"""`Mahalanobis`: the nearest class mean in coordinates where the classes are round."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ncapps.covariance import oas_amount
from ncapps.fewshot.metric import Arrays, Knobs, Metric
from ncapps.plda import whiten, without_whitener
from ncapps.prototypes import placed_euclidean_scores
from ncapps.statistics import ClassStatistics


class Mahalanobis(Metric):
    """1 / n_c - ||x - mu_c||^2 in whitened coordinates whose unit is a class's own mean squared distance.

    The within-class covariance is that of all fitted classes, shrunk towards a scaled identity (linear discriminant
    analysis; Ledoit and Wolf 2004, eq. 14); by OAS where the knob is not chosen.

    A mean of n images lies 1 / n of that unit further from all images, for it is itself uncertain. That is added back,
    not divided by: where all distances are large and alike, a quotient would hand every image to the new class.
    """

    knobs = {"shrinkage": (0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9)}
    limits = {"shrinkage": (0.0, 1.0)}

    def learn(self, statistics: ClassStatistics, knobs: Knobs) -> dict[str, np.ndarray]:
        """Return the geometry of the fitted classes, see `Metric.learn`."""
        values, basis = np.linalg.eigh(statistics.within_covariance)
        return _whitener(statistics, values, basis, knobs)

    def candidates(
        self, statistics: ClassStatistics, *rows: np.ndarray
    ) -> Iterator[tuple[Knobs, dict[str, np.ndarray], tuple[np.ndarray, ...]]]:
        """Yield each setting of the knobs, see `Metric.candidates`."""
        values, basis = np.linalg.eigh(statistics.within_covariance)
        turned = tuple(part @ basis for part in (statistics.means, *rows))
        for shrinkage in self.knobs["shrinkage"]:
            knobs = {"shrinkage": shrinkage}
            learned = _whitener(statistics, values, basis, knobs)
            learned["center"] = learned["center"] @ basis
            del learned["basis"]
            yield knobs, learned, turned

    def place(self, learned: Arrays, means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return one row a class, see `Metric.place`."""
        prototypes = whiten(learned, means)
        room = 1 / np.asarray(counts, dtype=np.float64)
        return {"prototype": prototypes, "square": np.vecdot(prototypes, prototypes), "room": room}

    def turn(self, learned: Arrays, X: np.ndarray) -> tuple[Arrays, np.ndarray]:
        """Whiten the features, see `Metric.turn`."""
        return without_whitener(learned), whiten(learned, X)

    def scores(self, learned: Arrays, placed: Arrays, X: np.ndarray) -> np.ndarray:
        """Return the likeness to each class, see `Metric.scores`."""
        scores = placed_euclidean_scores(whiten(learned, X), placed["prototype"], placed["square"])
        scores += placed["room"]
        return scores

    def spread_temperature(self, statistics: ClassStatistics) -> float:
        """Return 2 / width: -||x - mu||^2 / 2 is a white Gaussian's log-density, and its images lie sqrt(width) off."""
        return 2 / statistics.width


def _whitener(
    statistics: ClassStatistics, values: np.ndarray, basis: np.ndarray, knobs: Knobs
) -> dict[str, np.ndarray]:
    values = np.maximum(values, 0.0)
    learned = {"center": statistics.center, "basis": basis, "scale": np.ones(len(values))}
    if not values.sum() > 0:
        return learned
    given = knobs.get("shrinkage")
    amount = oas_amount(statistics.within_covariance, statistics.total) if given is None else given
    # Collapsed features span few directions; without a floor the whitener would blow up rounding in all others.
    amount = max(amount, 1e-6)
    scale = 1 / np.sqrt((1 - amount) * values + amount * values.mean())
    return learned | {"scale": scale / np.sqrt((values * scale**2).sum())}
