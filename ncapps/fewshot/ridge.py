"""`Ridge`: class-balanced ridge regression onto the class names, features randomly projected or not."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import numpy as np

from ncapps.errors import InputError
from ncapps.fewshot.metric import Arrays, Knobs, Metric
from ncapps.statistics import ClassStatistics

# RanPAC takes 10,000, whose solve takes tens of seconds.
_PROJECTED = 1000


class Ridge(Metric):
    """<x, (G + lambda I)^-1 mu_c>, G the sum over the classes of their mean outer product (RanPAC without projection).

    McDonnell et al., NeurIPS 2023, eq. 5, each class weighted alike, so that many images do not outweigh five: G is
    K S_w + sum mu_c mu_c^T, with S_w the pooled within-class covariance. An added class's mean joins G by Woodbury's
    identity, and moves the weights of all. `penalty` is lambda as a share of G's mean diagonal.
    """

    knobs = {"penalty": tuple(10.0**power for power in range(-5, 3))}
    defaults = {"penalty": 0.1}
    # Without a penalty G could not be inverted where features span few directions.
    limits = {"penalty": (1e-12, inf)}

    def learn(self, statistics: ClassStatistics, knobs: Knobs) -> dict[str, np.ndarray]:
        """Return the geometry of the fitted classes, see `Metric.learn`."""
        values, basis = np.linalg.eigh(_gram(statistics))
        return {"inverse": (basis * _inverse(values, knobs["penalty"])) @ basis.T}

    def candidates(
        self, statistics: ClassStatistics, *rows: np.ndarray
    ) -> Iterator[tuple[Knobs, dict[str, np.ndarray], tuple[np.ndarray, ...]]]:
        """Yield each setting of the knobs, see `Metric.candidates`."""
        values, basis = np.linalg.eigh(_gram(statistics))
        turned = tuple(part @ basis for part in (statistics.means, *rows))
        for penalty in self.knobs["penalty"]:
            yield {"penalty": penalty}, {"inverse": _inverse(values, penalty)}, turned

    def place(self, learned: Arrays, means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return one row a class, see `Metric.place`."""
        inverse = learned["inverse"]
        return {"mean": means, "weight": means * inverse if inverse.ndim == 1 else means @ inverse}

    def combine(self, learned: Arrays, fitted: Arrays, added: Arrays) -> tuple[Arrays, Arrays]:
        """Return the weights after the added means have joined G (Woodbury), for fitted and for added classes."""
        means, weights = added["mean"], added["weight"]
        if not len(means):
            return fitted, added
        inner = np.linalg.solve(np.eye(len(means)) + means @ weights.T, weights)
        one, other = (
            {**part, "weight": part["weight"] - (part["weight"] @ means.T) @ inner} for part in (fitted, added)
        )
        return one, other

    def scores(self, learned: Arrays, placed: Arrays, X: np.ndarray) -> np.ndarray:
        """Return the likeness to each class, see `Metric.scores`."""
        return X @ placed["weight"].T


class ProjectedRidge(Ridge):
    """`Ridge` on max(x P, 0) with P a fixed Gaussian matrix (RanPAC: McDonnell et al., NeurIPS 2023, section 4)."""

    most_rounds = 2

    def frame(self, X: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Return what `prepare` needs, see `Metric.frame`."""
        # A column of variance 1 / width would change nothing but the scale.
        return {"projection": np.random.default_rng(seed).standard_normal((X.shape[1], _PROJECTED))}

    def frame_of_statistics(self, statistics: ClassStatistics) -> dict[str, np.ndarray]:
        """Refuse: see `Metric.frame_of_statistics`."""
        raise InputError(
            "the metric 'ranpac' averages projected features, which can't be read off the statistics of features as "
            "they are; use fit with the features, or another metric such as 'ridge'"
        )

    def prepare(self, frame: Arrays, X: np.ndarray) -> np.ndarray:
        """Map features image by image, see `Metric.prepare`."""
        projected = X @ frame["projection"]
        return np.maximum(projected, 0.0, out=projected)


def _gram(statistics: ClassStatistics) -> np.ndarray:
    return len(statistics.classes) * statistics.within_covariance + statistics.means.T @ statistics.means


def _inverse(values: np.ndarray, penalty: float) -> np.ndarray:
    values = np.maximum(values, 0.0)
    return 1 / (values + penalty * (values.mean() or 1.0))
