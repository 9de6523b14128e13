"""`Metric`: what a `PrototypeClassifier` asks of a way to score likeness; a new one is one file and one line."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, ClassVar

import numpy as np

from ncapps.errors import InputError
from ncapps.statistics import ClassStatistics

Arrays = Mapping[str, np.ndarray]
Knobs = dict[str, float]


class Metric(ABC):
    """Scores how much an image is like each class; higher = more alike.

    A metric keeps nothing itself: `frame` and `learn` return arrays, which the classifier freezes and saves. What
    `fit` saw gives the geometry; a class is then one row of `place`, whether fitted or added, and adding it moves no
    other row unless `combine` says so.
    """

    knobs: ClassVar[Mapping[str, tuple[float, ...]]] = {}
    """The values that are tried for each knob, by hiding known classes and adding them back."""
    defaults: ClassVar[Knobs] = {}
    """The knobs where there are too few classes to hide one."""
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """The lowest and highest value of a knob; one that is not named here may be any number."""
    most_rounds: ClassVar[int] = 6
    """The most rounds of hidden classes that the choice of the knobs is worth."""
    offset: ClassVar[bool] = False
    """Whether the knobs `offset_1` and `offset_5`, added to the scores of classes of so few images, are chosen too."""

    def names(self) -> tuple[str, ...]:
        """Return the names of all knobs."""
        return (*self.knobs, *(("offset_1", "offset_5") if self.offset else ()))

    def frame(self, X: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Return the arrays that `prepare` needs, from features of fitted images, shape (images, feature width)."""
        return {}

    def frame_of_statistics(self, statistics: ClassStatistics) -> dict[str, np.ndarray]:
        """Return such arrays where there are no images; raises InputError if the metric can't do without."""
        return {}

    def prepare(self, frame: Arrays, X: np.ndarray) -> np.ndarray:
        """Map features, image by image, to what the class statistics are taken of."""
        return X

    @abstractmethod
    def learn(self, statistics: ClassStatistics, knobs: Knobs) -> dict[str, np.ndarray]:
        """Return the geometry of the fitted classes."""

    @abstractmethod
    def place(self, learned: Arrays, means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return the arrays with one row a class that `scores` needs, from means of prepared features and counts."""

    def place_added(self, learned: Arrays, means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return such rows for classes that were added later: as for fitted ones, as a rule."""
        return self.place(learned, means, counts)

    @abstractmethod
    def scores(self, learned: Arrays, placed: Arrays, X: np.ndarray) -> np.ndarray:
        """Return the likeness of prepared features to each placed class, shape (images, classes)."""

    def turn(self, learned: Arrays, X: np.ndarray) -> tuple[Arrays, np.ndarray]:
        """Return geometry and prepared features after what all classes share in `scores`, which then goes on from it.

        Fitted and added classes are scored one after the other, and what is costly is done once.
        """
        return learned, X

    def combine(self, learned: Arrays, fitted: Arrays, added: Arrays) -> tuple[Arrays, Arrays]:
        """Return the rows of fitted and of added classes as they stand beside one another: unmoved, as a rule."""
        return fitted, added

    def unknown(self, learned: Arrays) -> Arrays:
        """Return the row of a class never seen; raises InputError where the metric has none."""
        raise InputError(
            "this metric has no likelihood of a class never seen; metric='plda' has one, and ncapps.ood has detectors"
        )

    def spread_temperature(self, statistics: ClassStatistics) -> float:
        """Return a temperature read off the statistics, for want of images to fit it on."""
        return 1 / 16

    def candidates(
        self, statistics: ClassStatistics, *rows: np.ndarray
    ) -> Iterator[tuple[Knobs, dict[str, np.ndarray], tuple[np.ndarray, ...]]]:
        """Yield each setting of the knobs with what is learned under it, and class means and `rows` to use with it.

        The first of the arrays yielded are the means of the statistics. A metric whose knobs act in a basis that is
        costly to find finds it once, and yields all rows in that basis.
        """
        for values in product(*self.knobs.values()):
            knobs = dict(zip(self.knobs, values, strict=True))
            yield knobs, self.learn(statistics, knobs), (statistics.means, *rows)


def added_offset(learned: Arrays, counts: np.ndarray) -> np.ndarray:
    """Return what is added to the scores of classes of `counts` images: offset_1 at 1, offset_5 at 5, then to 0 as 1/n.

    Between 1 and 5 it is linear in log n.
    """
    n = np.maximum(np.asarray(counts, dtype=np.float64), 1)
    share = np.minimum(np.log(n) / np.log(5), 1)
    few = (1 - share) * learned["offset_1"] + share * learned["offset_5"]
    return few * np.minimum(5 / n, 1)


def as_arrays(knobs: Mapping[str, Any], *names: str) -> dict[str, np.ndarray]:
    """Return some knobs as arrays, to be learned along with the geometry; one that is missing is 0."""
    return {name: np.asarray(float(knobs.get(name, 0.0))) for name in names}
