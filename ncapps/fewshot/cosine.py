"""`Cosine`: the class mean in the most alike direction, seen from the centre of the fitted classes."""

from __future__ import annotations

import numpy as np

from ncapps.fewshot.metric import Arrays, Knobs, Metric
from ncapps.prototypes import unit_rows
from ncapps.statistics import ClassStatistics


class Cosine(Metric):
    """Cosine between x - m and mu_c - m, m the frozen centre of the classes that were fitted first.

    Collapsed class means form a simplex about their centre, not about the origin, so the angle is taken there.
    """

    def learn(self, statistics: ClassStatistics, knobs: Knobs) -> dict[str, np.ndarray]:
        """Return the geometry of the fitted classes, see `Metric.learn`."""
        return {"center": statistics.center}

    def place(self, learned: Arrays, means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return one row a class, see `Metric.place`."""
        return {"direction": unit_rows(means - learned["center"])}

    def scores(self, learned: Arrays, placed: Arrays, X: np.ndarray) -> np.ndarray:
        """Return the likeness to each class, see `Metric.scores`."""
        return unit_rows(X - learned["center"]) @ placed["direction"].T
