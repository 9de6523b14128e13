"""`Calibration`: held-out known images set the temperature, and the threshold below which an image is unknown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ncapps import conformal
from ncapps.arrays import Label, as_features, as_labels, like, native, sorted_names, unknown_class
from ncapps.errors import InputError
from ncapps.fewshot.temperature import fit_temperature, image_units

if TYPE_CHECKING:
    from ncapps.fewshot.table import Table


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibrated:
    """What held-out images left behind; replaced whole, never changed.

    Parameters
    ----------
    scores : numpy.ndarray
        `score_samples` of the held-out known images, sorted; empty before `calibrate`.
    threshold_classes, temperature_classes : tuple of str or of int
        The classes that were there when the threshold, and the temperature, were calibrated.
    """

    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))
    threshold_classes: tuple[Label, ...] = ()
    temperature_classes: tuple[Label, ...] = ()

    def renamed(self, old: Label, new: Label) -> Calibrated:
        """Return the same with a class under another name."""
        groups = self.threshold_classes, self.temperature_classes
        threshold, temperature = (sorted_names([new if name == old else name for name in one]) for one in groups)
        return replace(self, threshold_classes=threshold, temperature_classes=temperature)

    def without_threshold(self) -> Calibrated:
        """Return the same without scores that hold no longer."""
        return Calibrated(temperature_classes=self.temperature_classes)

    def parts_with(self, name: Label) -> tuple[str, ...]:
        """Return which parts were calibrated while the class was there."""
        parts = {"threshold": self.threshold_classes, "temperature": self.temperature_classes}
        return tuple(f"calibration of the {part}" for part, names in parts.items() if name in names)


class Calibration(ABC):
    """What a `PrototypeClassifier` learns from held-out known images, and the answer "unknown".

    An image's score is its likeness to the class it is most like. A class added later can only raise it, so that no
    more known images are refused than before; the threshold itself stays.
    """

    n_features_in_: int
    temperature_: float
    spread_: float
    table_: Table
    calibrated_: Calibrated

    def calibrate_temperature(self, X: Any, y: Any) -> Self:
        """Fit the temperature to held-out known images: on images that the network was trained on it would be too low.

        Raises
        ------
        InputError
            If there is no image, or one of a class that is not known.
        """
        check_is_fitted(self)
        X = as_features(X, self.n_features_in_, type(self).__name__, min_rows=1)
        y, table = as_labels(y, len(X)), self.table_
        strange = sorted(set(sorted_names(table.names, y)) - set(table.names.tolist()))
        if strange:
            raise unknown_class(strange[0], table.names)
        scores = self._scores(X, table)
        units = image_units(scores[:, table.is_fitted], self.spread_)
        self.temperature_ = fit_temperature([scores / units], [np.searchsorted(table.names, y)])
        self.calibrated_ = replace(self.calibrated_, temperature_classes=tuple(table.names.tolist()))
        return self

    def calibrate(self, X: Any) -> Self:
        """Set what `reject_rate` is measured against from held-out images of known classes; names are not needed.

        Images that were fitted, or that the network was trained on, will not do: they score higher than new ones will.

        Raises
        ------
        InputError
            If there is no image.

        Examples
        --------
        >>> from ncapps.fewshot import PrototypeClassifier
        >>> random = np.random.default_rng(0)
        >>> X, y = random.standard_normal((200, 3)) + 9 * np.eye(2, 3).repeat(100, axis=0), ["a"] * 100 + ["b"] * 100
        >>> classifier = PrototypeClassifier(metric="euclidean").fit(X[::2], y[::2]).calibrate(X[1::2])
        >>> classifier.predict(np.array([[9.0, 0, 0], [0, 0, 30]]), reject_rate=0.05).tolist()
        ['a', 'unknown']
        """
        check_is_fitted(self)
        X = as_features(X, self.n_features_in_, type(self).__name__, min_rows=1)
        table = self.table_
        scores = np.sort(self._scores(X, table).max(axis=1))
        self.calibrated_ = replace(self.calibrated_, scores=scores, threshold_classes=tuple(table.names.tolist()))
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the likeness to the likeliest class, shape (images,); higher = more in-distribution."""
        check_is_fitted(self)
        X_ = as_features(X, self.n_features_in_, type(self).__name__)
        return like(self._scores(X_, self.table_).max(axis=1), X)

    def p_values(self, X: Any) -> np.ndarray:
        """Return conformal p-values, shape (images,): small = unlike the known images; needs `calibrate`.

        Raises
        ------
        InputError
            If `calibrate` has not been called.
        """
        check_is_fitted(self)
        X_ = as_features(X, self.n_features_in_, type(self).__name__)
        calibration, table = self._calibration(), self.table_
        return like(conformal.p_values(self._scores(X_, table).max(axis=1), calibration), X)

    def _refuse(self, answer: np.ndarray, scores: np.ndarray, reject_rate: float, unknown: Label | None) -> np.ndarray:
        """Return the names with a mark in place of those whose score lies below the threshold."""
        threshold = conformal.threshold(self._calibration(), reject_rate)
        strings = answer.dtype.kind == "U"
        mark = native(("unknown" if strings else -1) if unknown is None else unknown)
        if isinstance(mark, str) != strings:
            raise InputError(f"the classes are {'strings' if strings else 'integers'}, but unknown={mark!r} came")
        if mark in self.table_.names.tolist():
            raise InputError(f"unknown={mark!r} is the name of a class; choose another mark")
        return np.where(scores.max(axis=1) < threshold, np.asarray(mark), answer)

    def _calibration(self) -> np.ndarray:
        if not len(self.calibrated_.scores):
            raise InputError("the threshold is not set; call calibrate with held-out images of known classes first")
        return self.calibrated_.scores

    @abstractmethod
    def _scores(self, X: np.ndarray, table: Table) -> np.ndarray:
        """Return the likeness of checked features to each class."""
