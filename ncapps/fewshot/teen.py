"""`Teen`: cosine prototypes, those of added classes drawn towards the fitted classes they resemble."""

from __future__ import annotations

from math import inf

import numpy as np
from scipy.special import softmax

from ncapps.fewshot.metric import Arrays, Knobs, Metric, as_arrays
from ncapps.prototypes import unit_rows
from ncapps.statistics import ClassStatistics


class Teen(Metric):
    """Cosine to (1 - alpha) p + alpha d, p an added class's unit mean, d the fitted ones' mean by softmax(tau <p, b>).

    Wang et al., NeurIPS 2023, eqs. 4 to 6, where alpha is `calibration` and tau `sharpness`. Fitted classes keep their
    own unit means. Their alpha is 0.1 or 0.5, their tau 16.
    """

    knobs = {"calibration": (0.0, 0.1, 0.2, 0.3, 0.5, 0.7), "sharpness": (4.0, 16.0, 64.0)}
    defaults = {"calibration": 0.5, "sharpness": 16.0}
    limits = {"calibration": (0.0, 1.0), "sharpness": (0.0, inf)}

    def learn(self, statistics: ClassStatistics, knobs: Knobs) -> dict[str, np.ndarray]:
        """Return the geometry of the fitted classes, see `Metric.learn`."""
        return {"fitted": unit_rows(statistics.means), **as_arrays(knobs, "calibration", "sharpness")}

    def place(self, learned: Arrays, means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return one row a class, see `Metric.place`."""
        return {"direction": unit_rows(means)}

    def place_added(self, learned: Arrays, means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return one row an added class, see `Metric.place_added`."""
        own = unit_rows(means)
        weights = softmax(learned["sharpness"] * (own @ learned["fitted"].T), axis=1)
        share = learned["calibration"]
        return {"direction": unit_rows((1 - share) * own + share * unit_rows(weights @ learned["fitted"]))}

    def scores(self, learned: Arrays, placed: Arrays, X: np.ndarray) -> np.ndarray:
        """Return the likeness to each class, see `Metric.scores`."""
        return unit_rows(X) @ placed["direction"].T
