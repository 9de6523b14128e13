"""`Plda`: the likelihood of an image under each class's posterior, new classes shrunk towards the known geometry."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ncapps.fewshot.metric import Arrays, Knobs, Metric, added_offset, as_arrays
from ncapps.plda import class_log_likelihoods, place_classes, two_covariance, whiten, within_eigen, without_whitener
from ncapps.prototypes import unit_rows
from ncapps.statistics import ClassStatistics


class Plda(Metric):
    """log p(image | class) of the two-covariance model on features of unit length (see `ncapps.plda`).

    Fitted from statistics alone the features keep their lengths, for a mean of unit features is not in them.
    """

    knobs = {
        "within_shrinkage": (0.1, 0.3, 0.5, 0.7, 0.9),
        "between_shrinkage": (0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
    }
    defaults = {"within_shrinkage": 0.7, "between_shrinkage": 0.9}
    limits = {"within_shrinkage": (0.0, 1.0), "between_shrinkage": (0.0, 1.0)}
    offset = True

    def frame(self, X: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Return what `prepare` needs, see `Metric.frame`."""
        return {"unit": np.asarray(True)}

    def prepare(self, frame: Arrays, X: np.ndarray) -> np.ndarray:
        """Map features image by image, see `Metric.prepare`."""
        return unit_rows(X) if "unit" in frame else X

    def learn(self, statistics: ClassStatistics, knobs: Knobs) -> dict[str, np.ndarray]:
        """Return the geometry of the fitted classes, see `Metric.learn`."""
        return self._geometry(statistics, *within_eigen(_within(statistics)), statistics.means, knobs)

    def _geometry(
        self, statistics: ClassStatistics, values: np.ndarray, basis: np.ndarray | None, means: np.ndarray, knobs: Knobs
    ) -> dict[str, np.ndarray]:
        shrinkage = knobs["within_shrinkage"], knobs["between_shrinkage"]
        geometry = two_covariance(values, basis, means, statistics.counts, *shrinkage)
        return geometry | as_arrays(knobs, "offset_1", "offset_5")

    def candidates(
        self, statistics: ClassStatistics, *rows: np.ndarray
    ) -> Iterator[tuple[Knobs, dict[str, np.ndarray], tuple[np.ndarray, ...]]]:
        """Yield each setting of the knobs, see `Metric.candidates`."""
        values, basis = within_eigen(_within(statistics))
        turned = tuple(part @ basis for part in (statistics.means, *rows))
        for within in self.knobs["within_shrinkage"]:
            whitened = None
            for between in self.knobs["between_shrinkage"]:
                knobs = {"within_shrinkage": within, "between_shrinkage": between}
                learned = self._geometry(statistics, values, None, turned[0], knobs)
                whitened = whitened or tuple(whiten(learned, part) for part in turned)
                yield knobs, {key: learned[key] for key in learned if key not in ("center", "scale")}, whitened

    def place(self, learned: Arrays, means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return one row a class, see `Metric.place`."""
        placed = place_classes(learned, means, counts)
        placed["constant"] = placed["constant"] + added_offset(learned, counts)
        return placed

    def turn(self, learned: Arrays, X: np.ndarray) -> tuple[Arrays, np.ndarray]:
        """Whiten the features, see `Metric.turn`."""
        return without_whitener(learned), whiten(learned, X)

    def scores(self, learned: Arrays, placed: Arrays, X: np.ndarray) -> np.ndarray:
        """Return the likeness to each class, see `Metric.scores`."""
        return class_log_likelihoods(learned, placed, X)

    def unknown(self, learned: Arrays) -> Arrays:
        """Return the row of a class never seen, see `Metric.unknown`."""
        return self.place(learned, learned["center"][None], np.zeros(1))

    def spread_temperature(self, statistics: ClassStatistics) -> float:
        """Return 1: the scores are log-likelihoods."""
        return 1.0


def _within(statistics: ClassStatistics) -> np.ndarray:
    """Return the within-class covariance with the degrees of freedom that the means took given back."""
    return statistics.within / max(statistics.total - len(statistics.classes), 1)
