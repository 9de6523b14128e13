"""`Detector`: the interface of every detector; the sign rule and the decision live here and nowhere else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from ncapps import conformal, persist
from ncapps.arrays import as_features, as_labels, like
from ncapps.errors import InputError
from ncapps.statistics import ClassStatistics

_VERSION = 1


class Detector(OutlierMixin, BaseEstimator, ABC):
    """Scores how well an image fits the known classes; higher = more in-distribution, always.

    A new detector is one file with `_fit_statistics`, `_score`, `_arrays` and `_restore`, and one line in `DETECTORS`.

    Attributes
    ----------
    offset_ : float
        Images that score below it are called unknown: first the 5 % quantile of the fitted images' own scores, after
        `calibrate` a conformal threshold from held-out images.
    calibration_ : numpy.ndarray
        Scores of the held-out known images, sorted; empty before `calibrate`.
    """

    def fit(self, X: Any, y: Any = None, head: Any = None, X_val: Any = None) -> Self:
        """Fit to features of known images, shape (images, feature width).

        Parameters
        ----------
        y : array-like, optional
            One class name an image; without it all images are of one class.
        head : object with `weight` and `bias`, optional
            The classifier on these features.
        X_val : array-like, optional
            Held-out known images, for detectors that need some to fit.
        """
        X = as_features(X, min_rows=1)
        y = np.zeros(len(X), dtype=np.int64) if y is None else as_labels(y, len(X))
        self.fit_statistics(ClassStatistics.from_features(X, y), head)
        self.offset_ = float(np.quantile(self._score(X), 0.05))
        return self

    def fit_statistics(self, statistics: ClassStatistics, head: Any = None) -> Self:
        """Fit from statistics alone; `predict` then needs `calibrate` first, for no image was scored."""
        if not statistics.classes:
            raise InputError("a detector needs known images, but the statistics are empty")
        self.n_features_in_ = statistics.width
        self.calibration_ = np.zeros(0)
        self.offset_ = float("nan")
        self._fit_statistics(statistics, head)
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """Return one score an image, shape (images,); higher = more in-distribution."""
        return like(self._score(self._check(X)), X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return score - offset_, shape (images,): below 0 = unknown."""
        return like(self._score(self._check(X)) - self._offset(), X)

    def predict(self, X: Any) -> np.ndarray:
        """Return +1 for known and -1 for unknown images, shape (images,)."""
        return like(np.where(self._score(self._check(X)) >= self._offset(), 1, -1), X)

    def calibrate(self, X: Any, reject_rate: float = 0.05) -> Self:
        """Set the threshold from held-out known images, so that at most `reject_rate` of new ones are refused.

        Images that the network was trained on will not do: they score higher than new ones ever will.

        Raises
        ------
        InputError
            If the images are too few for the rate, or the rate is outside 0..1.
        """
        scores = np.sort(self._score(self._check(X)))
        self.offset_ = conformal.threshold(scores, reject_rate)
        self.calibration_ = scores
        return self

    def set_reject_rate(self, reject_rate: float) -> Self:
        """Move the threshold to another false-alarm rate without fitting or scoring again."""
        self.offset_ = conformal.threshold(self._calibration(), reject_rate)
        return self

    def p_values(self, X: Any) -> np.ndarray:
        """Return conformal p-values, shape (images,): small = unlike the known images; needs `calibrate`."""
        return like(conformal.p_values(self._score(self._check(X)), self._calibration()), X)

    def save(self, path: str | Path) -> None:
        """Write the detector to one safetensors file, atomically."""
        persist.save(path, self._kind(), _VERSION, *self.state())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; raises InputError if the file is missing, damaged or of another detector."""
        return cls.restore(*persist.load(path, cls._kind(), _VERSION))

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the arrays and the JSON-able header that `restore` builds the detector from."""
        check_is_fitted(self)
        arrays, header = self._arrays()
        arrays = {**arrays, "calibration": self.calibration_, "offset": np.asarray([self.offset_])}
        return arrays, {"settings": self.get_params(), "n_features": self.n_features_in_, **header}

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> Self:
        """Build the detector again from `state()`."""
        detector = cls(**header["settings"])
        detector.n_features_in_ = int(header["n_features"])
        detector.calibration_ = arrays["calibration"]
        detector.offset_ = float(arrays["offset"][0])
        detector._restore(arrays, header)
        return detector

    @abstractmethod
    def _fit_statistics(self, statistics: ClassStatistics, head: Any) -> None:
        """Learn from statistics and head."""

    @abstractmethod
    def _score(self, X: np.ndarray) -> np.ndarray:
        """Score checked float64 features; higher = more in-distribution."""

    @abstractmethod
    def _arrays(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what was learned, as arrays and a JSON-able header."""

    @abstractmethod
    def _restore(self, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> None:
        """Take back what `_arrays` returned."""

    @classmethod
    def _kind(cls) -> str:
        return f"detector-{cls.__name__}"

    def _check(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return as_features(X, self.n_features_in_, f"this {type(self).__name__}")

    def _offset(self) -> float:
        if np.isnan(self.offset_):
            raise InputError(
                "fitted from statistics alone there is no threshold yet; calibrate on held-out images first"
            )
        return self.offset_

    def _calibration(self) -> np.ndarray:
        check_is_fitted(self)
        if not len(self.calibration_):
            raise InputError("p-values need held-out known images: call calibrate(X_held_out, reject_rate=0.05) first")
        return self.calibration_
