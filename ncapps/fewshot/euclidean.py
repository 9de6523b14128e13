"""`Euclidean`: the nearest class mean."""

from __future__ import annotations

import numpy as np

from ncapps.fewshot.metric import Arrays, Knobs, Metric
from ncapps.prototypes import placed_euclidean_scores
from ncapps.statistics import ClassStatistics


class Euclidean(Metric):
    """-||x - mu_c||^2 (Snell et al., NeurIPS 2017, eq. 2), about the frozen centre, so that no class moves another."""

    def learn(self, statistics: ClassStatistics, knobs: Knobs) -> dict[str, np.ndarray]:
        """Return the geometry of the fitted classes, see `Metric.learn`."""
        return {"center": statistics.center}

    def place(self, learned: Arrays, means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return one row a class, see `Metric.place`."""
        prototypes = means - learned["center"]
        return {"prototype": prototypes, "square": np.vecdot(prototypes, prototypes)}

    def scores(self, learned: Arrays, placed: Arrays, X: np.ndarray) -> np.ndarray:
        """Return the likeness to each class, see `Metric.scores`."""
        return placed_euclidean_scores(X - learned["center"], placed["prototype"], placed["square"])

    def spread_temperature(self, statistics: ClassStatistics) -> float:
        """Return 2 v: for round classes of variance v in each direction the posterior is softmax(score / 2 v)."""
        return 2 * float(statistics.squares.sum()) / statistics.total / statistics.width or 1.0
