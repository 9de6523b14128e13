"""`Cl2n`: SimpleShot's centred and normalized nearest mean."""

from __future__ import annotations

import numpy as np

from ncapps.errors import InputError
from ncapps.fewshot.euclidean import Euclidean
from ncapps.fewshot.metric import Arrays
from ncapps.prototypes import unit_rows
from ncapps.statistics import ClassStatistics


class Cl2n(Euclidean):
    """-||phi(x) - mean of phi||^2 with phi(x) = (x - m) / ||x - m|| (Wang et al. 2019, SimpleShot, section 3).

    m is the mean of all images that were fitted first, and stays; a prototype, the mean of a class's unit vectors, is
    not normalized again.
    """

    def frame(self, X: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Return what `prepare` needs, see `Metric.frame`."""
        return {"mean": X.mean(axis=0)}

    def frame_of_statistics(self, statistics: ClassStatistics) -> dict[str, np.ndarray]:
        """Refuse: see `Metric.frame_of_statistics`."""
        raise InputError(
            "the metric 'cl2n' averages features of unit length, which can't be read off the statistics of features as "
            "they are; use fit with the features, or another metric"
        )

    def prepare(self, frame: Arrays, X: np.ndarray) -> np.ndarray:
        """Map features image by image, see `Metric.prepare`."""
        return unit_rows(X - frame["mean"])
