"""`StatisticsDetector`: the base of all detectors that one pass of statistics is enough for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np

from ncapps.arrays import as_features, as_labels
from ncapps.errors import InputError
from ncapps.ood.detector import Detector
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.whitening import mean_square
from ncapps.prototypes import unit_rows
from ncapps.statistics import ClassStatistics


class StatisticsDetector(Detector):
    """A detector fitted from `ClassStatistics`: by parts, merged, and with classes taken in and out.

    A subclass gives `_learn` (what to keep of statistics and head) and `_score`.
    """

    unit_features: ClassVar[bool] = False
    """Whether statistics and scores are those of features divided by their length."""

    def fit_statistics(self, statistics: ClassStatistics, head: Any = None) -> Self:
        """Fit from statistics alone; `predict` then needs `calibrate` first, for no image was scored.

        Parameters
        ----------
        statistics : ClassStatistics
            Of the features; of the features divided by their length where `unit_features` says so.

        Raises
        ------
        InputError
            If there is no class, or the features behind the statistics were not divided by their length but should be.
        """
        if not statistics.classes:
            raise InputError("a detector needs known images, but the statistics are empty")
        if self.unit_features:
            _check_unit(statistics, type(self).__name__)
        read = LinearHead.of(head, statistics.width)
        self._begin(statistics.width, self._learn(statistics, read))
        self.statistics_, self.head_ = statistics, read
        return self

    def partial_fit(self, X: Any, y: Any = None, head: Any = None) -> Self:
        """Add a batch of known images to those fitted; clears the calibration.

        All is learned anew from the summed statistics each time: for a long stream sum up
        `ClassStatistics.from_batches` first and call `fit_statistics` once. What only single images can tell, such as
        an `ETFDetector`'s sub-centroids, is dropped.

        Parameters
        ----------
        head : object with `weight` and `bias`, optional
            Needed at the first batch alone; later ones keep it.

        Raises
        ------
        InputError
            If the batch holds a class that `add_class` has added.
        """
        fitted = "learned_" in self.__dict__
        X = as_features(X, self.n_features_in_ if fitted else None, type(self).__name__, min_rows=1)
        y = np.zeros(len(X), dtype=np.int64) if y is None else as_labels(y, len(X))
        batch = ClassStatistics.from_features(self._prepare(X), y)
        if not fitted:
            return self.fit_statistics(batch, head)
        twice = sorted(set(batch.classes) & set(self.added_))
        if twice:
            raise InputError(f"class {twice[0]!r} was added from a few images; remove it before fitting it with others")
        return self._refit(self._statistics() + batch, self.head_ if head is None else head)

    def merge(self, other: Self) -> Self:
        """Return a new detector, what one fit to the statistics of both would give, to 1e-10; not calibrated.

        What only single images can tell, such as an `ETFDetector`'s sub-centroids, is dropped; classes added stay.

        Raises
        ------
        InputError
            If the two differ in kind, settings, head or feature width, or both have a class that one has added.
        """
        if type(other) is not type(self) or other.get_params() != self.get_params():
            raise InputError(
                f"{self!r} and {other!r} can't be merged; both must be the same detector with the same settings"
            )
        if not _same_head(self.head_, other.head_):
            raise InputError("the two detectors have different heads; fit both with the same one")
        own, others = ({*one.added_, *one.base_.classes} for one in (self, other))
        twice = sorted((own & {*other.added_}) | (others & {*self.added_}))
        if twice:
            raise InputError(
                f"class {twice[0]!r} is in both detectors, and was added from a few images in one; remove it there"
            )
        merged = type(self)(**self.get_params())
        merged.fit_statistics(self._statistics() + other._statistics(), self.head_)
        merged._renew(merged.base_, {**self.added_, **other.added_})
        return merged

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the arrays and the JSON-able header that `restore` builds the detector from."""
        arrays, header = super().state()
        statistics = self._statistics()
        arrays |= {f"statistics.{name}": value for name, value in statistics.arrays().items()}
        if self.head_ is not None:
            arrays |= {"head.weight": self.head_.weight, "head.bias": self.head_.bias}
        return arrays, {**header, "statistics": statistics.header()}

    @classmethod
    def restore(cls, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> Self:
        """Build the detector again from `state()`."""
        detector = super().restore(arrays, header)
        own = {name.removeprefix("statistics."): arrays[name] for name in arrays if name.startswith("statistics.")}
        detector.statistics_ = ClassStatistics.restore(own, header["statistics"])
        detector.head_ = None
        if "head.weight" in arrays:
            detector.head_ = LinearHead(weight=arrays["head.weight"], bias=arrays["head.bias"])
        return detector

    @abstractmethod
    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        """Learn from statistics and head."""

    def _fit(self, X: np.ndarray, y: np.ndarray, head: Any, X_val: np.ndarray | None) -> Learned:
        statistics = ClassStatistics.from_features(self._prepare(X), y)
        read = LinearHead.of(head, statistics.width)
        learned = self._learn_from_images(X, y, statistics, read)
        self.statistics_, self.head_ = statistics, read
        return learned

    def _learn_from_images(
        self, X: np.ndarray, y: np.ndarray, statistics: ClassStatistics, head: LinearHead | None
    ) -> Learned:
        """Learn from statistics and head, and from what only the images tell, where there is such a thing."""
        return self._learn(statistics, head)

    def _prepare(self, X: np.ndarray) -> np.ndarray:
        return unit_rows(X) if self.unit_features else X

    def _refit(self, statistics: ClassStatistics, head: Any) -> Self:
        added = self.added_
        self.fit_statistics(statistics, head)
        self._renew(self.base_, added)
        return self

    def _statistics(self) -> ClassStatistics:
        """Return the statistics without the fitted classes that were removed since."""
        self._learned()
        statistics = self.statistics_
        for name in sorted(set(statistics.classes) - set(self.base_.classes)):
            rest = statistics.forget(name)
            # The pooled scatter can't be told apart by class: what stays keeps the covariance as it was.
            statistics = replace(rest, pooled=rest.pooled * (rest.total / statistics.total))
        return statistics


def _check_unit(statistics: ClassStatistics, name: str) -> None:
    squared = mean_square(statistics)
    if not 0.5 <= squared <= 1 + 1e-6:
        raise InputError(
            f"{name} needs statistics of features divided by their length, but those that came have a mean squared "
            f"length of {squared:.4g}; use ClassStatistics.from_features(unit_rows(X), y)"
        )


def _same_head(one: LinearHead | None, other: LinearHead | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one.weight, other.weight) and np.array_equal(one.bias, other.bias)
