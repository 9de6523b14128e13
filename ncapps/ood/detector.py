"""`Detector`: the interface of every detector; the sign rule and the decision live here and nowhere else."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from ncapps import conformal, persist
from ncapps.arrays import Label, as_features, as_labels, like, native, sorted_names, to_numpy, unknown_class
from ncapps.errors import InputError
from ncapps.ood.blocks import score_in_blocks
from ncapps.ood.decision import Decision
from ncapps.ood.learned import Learned
from ncapps.ood.state import pack, unpack

_VERSION = 2
# One writer at a time, so that two classes added at once are both there; those who score never wait.
_WRITING = threading.RLock()


class Detector(OutlierMixin, BaseEstimator, ABC):
    """Scores how well an image fits the known classes; higher = more in-distribution, always.

    A new detector is one file with `_fit` and `_score` (or, on `StatisticsDetector`, `_learn` and `_score`), and one
    line in `DETECTORS`.

    Attributes
    ----------
    learned_ : Learned
        Arrays and class names, replaced whole whenever something is learned.
    decision_ : Decision
        Threshold and held-out scores, replaced whole likewise.
    """

    per_class: ClassVar[tuple[str, ...]] = ()
    """The learned arrays that have one row a class; a detector with none can't take in a class."""
    offset_images: ClassVar[int | None] = None
    """The most fitted images that the first threshold is taken from, for detectors that score slowly."""

    def fit(self, X: Any, y: Any = None, head: Any = None, X_val: Any = None) -> Self:
        """Fit to features of known images, shape (images, feature width).

        Parameters
        ----------
        y : array-like, optional
            One class name an image; without it all images are of one class.
        head : object with `weight` and `bias`, optional
            The classifier on these features; without it the class means serve.
        X_val : array-like, optional
            Held-out known images, for detectors that learn from such: a network has memorised those it was trained on.

        Raises
        ------
        InputError
            If features or labels are not what they have to be, or the head does not read these features.
        """
        X = as_features(X, min_rows=1)
        y = np.zeros(len(X), dtype=np.int64) if y is None else as_labels(y, len(X))
        if X_val is not None:
            X_val = as_features(X_val, X.shape[1], "the head and X", min_rows=1)
        self._begin(X.shape[1], self._fit(X, y, head, X_val))
        if self.offset_images is not None and len(X) > self.offset_images:
            X = X[np.linspace(0, len(X) - 1, self.offset_images).astype(np.int64)]
        self.decision_ = Decision(offset=float(np.quantile(self._scores(self.learned_, X), 0.05)))
        return self

    @property
    def offset_(self) -> float:
        """The threshold: first the 5 % quantile of the fitted images' own scores, later `calibrate`'s."""
        check_is_fitted(self)
        return self.decision_.offset

    @property
    def calibration_(self) -> np.ndarray:
        """Scores of the held-out known images, sorted; empty before `calibrate`."""
        check_is_fitted(self)
        return self.decision_.scores

    @property
    def classes_(self) -> tuple[Label, ...]:
        """Names of all classes, fitted and added, sorted."""
        check_is_fitted(self)
        return self.learned_.classes

    def score_samples(self, X: Any) -> np.ndarray:
        """Return one score an image, shape (images,); higher = more in-distribution."""
        return like(self._scores(self._learned(), self._check(X)), X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return score - threshold, shape (images,): below 0 = unknown."""
        scores, offsets = self._scores_and_offsets(self._check(X))
        return like(scores - offsets, X)

    def predict(self, X: Any) -> np.ndarray:
        """Return +1 for known and -1 for unknown images, shape (images,)."""
        scores, offsets = self._scores_and_offsets(self._check(X))
        return like(np.where(scores >= offsets, 1, -1), X)

    def nearest_class(self, X: Any) -> np.ndarray:
        """Return the name of the class that each image fits best, shape (images,).

        Raises
        ------
        InputError
            If the detector does not compare images with classes.
        """
        learned = self._learned()
        return np.asarray(learned.classes)[self._nearest(learned, self._check(X))]

    def calibrate(self, X: Any, reject_rate: float = 0.05, *, per_class: bool = False) -> Self:
        """Set the threshold from held-out known images, so that at most `reject_rate` of new ones are refused.

        Images that the network was trained on will not do: they score higher than new ones ever will.

        Parameters
        ----------
        per_class : bool
            Keep the rate within each class that images are nearest to; classes added later share the common threshold.

        Raises
        ------
        InputError
            If the images are too few for the rate, or the rate is outside 0..1.
        """
        X, learned = self._check(X), self.learned_
        nearest = [learned.classes[row] for row in self._nearest(learned, X)] if per_class else None
        self.decision_ = Decision.calibrated(self._scores(learned, X), reject_rate, nearest)
        return self

    def set_reject_rate(self, reject_rate: float) -> Self:
        """Move the threshold to another false-alarm rate without fitting or scoring again."""
        self.decision_ = self._calibrated().at_rate(reject_rate)
        return self

    def p_values(self, X: Any) -> np.ndarray:
        """Return conformal p-values, shape (images,): small = unlike the known images; needs `calibrate`."""
        X, learned, decision = self._check(X), self._learned(), self._calibrated()
        nearest = self._nearest(learned, X) if decision.groups else None
        return like(decision.p_values(self._scores(learned, X), learned.classes, nearest), X)

    def predict_batch(self, X: Any, false_discovery_rate: float = 0.05) -> np.ndarray:
        """Return +1 or -1 for a whole batch: of the images called unknown at most the rate given are known, on average.

        The procedure of Benjamini and Hochberg (1995) on the p-values, valid for conformal ones (Bates et al. 2023).
        """
        flagged = conformal.benjamini_hochberg(to_numpy(self.p_values(X)), false_discovery_rate)
        return like(np.where(flagged, -1, 1), X)

    def add_class(self, name: Label, X: Any) -> Self:
        """Add a class from a few images; threshold, scale and the other classes stay as they are.

        Raises
        ------
        InputError
            If the name is taken, there is no image, or the detector does not compare images with classes.
        """
        self._learned()
        self._check_growth()
        X = as_features(X, self.n_features_in_, type(self).__name__, min_rows=1)
        name = native(name)
        with _WRITING:
            if name in self.learned_.classes:
                raise InputError(f"class {name!r} is there already; remove it first, or choose another name")
            sorted_names(self.learned_.classes, [name])
            self._renew(self.base_, {**self.added_, name: X})
        return self

    def remove_class(self, name: Label) -> Self:
        """Remove a class; of one that was added nothing is left, bit for bit.

        Raises
        ------
        InputError
            If the class is unknown, or the last one.
        """
        self._learned()
        self._check_growth()
        name = native(name)
        with _WRITING:
            if name not in self.learned_.classes:
                raise unknown_class(name, self.learned_.classes)
            if name in self.added_:
                self._renew(self.base_, {key: rows for key, rows in self.added_.items() if key != name})
            elif len(self.base_.classes) == 1:
                raise InputError(f"class {name!r} is the last one that was fitted; without any a detector can't answer")
            else:
                self._renew(self._without(self.base_, name), self.added_)
                self.decision_ = self.decision_.without(name)
        return self

    def save(self, path: str | Path) -> None:
        """Write the detector to one safetensors file, atomically."""
        persist.save(path, self._kind(), _VERSION, *self.state())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; raises InputError if the file is missing, damaged or of another detector."""
        return cls.restore(*persist.load(path, cls._kind(), _VERSION, oldest=_VERSION))

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the arrays and the JSON-able header that `restore` builds the detector from."""
        check_is_fitted(self)
        arrays, header = pack(self.base_, self.added_, self.decision_)
        return arrays, {"settings": self.get_params(), "n_features": self.n_features_in_, **header}

    @classmethod
    def restore(cls, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> Self:
        """Build the detector again from `state()`."""
        detector = cls(**header["settings"])
        detector.n_features_in_ = int(header["n_features"])
        base, added, decision = unpack(arrays, header)
        detector._renew(base, added)
        detector.decision_ = decision
        return detector

    @abstractmethod
    def _fit(self, X: np.ndarray, y: np.ndarray, head: Any, X_val: np.ndarray | None) -> Learned:
        """Learn from checked float64 features."""

    @abstractmethod
    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        """Score checked float64 features; higher = more in-distribution."""

    def _nearest(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        """Return the row in `learned.classes` of the class that each image fits best."""
        raise InputError(f"{type(self).__name__} does not compare images with classes; take one that does, such as MDS")

    def _class_rows(self, base: Learned, X: np.ndarray) -> dict[str, Any]:
        """Return an added class's row of each of the arrays `per_class`; a detector that names none needs none."""
        return {}

    def _with_classes(self, base: Learned, added: Mapping[Label, np.ndarray]) -> Learned:
        return base.with_rows({name: self._class_rows(base, added[name]) for name in sorted(added)})

    def _without(self, base: Learned, name: Label) -> Learned:
        return base.without(name, self.per_class)

    def _begin(self, width: int, base: Learned) -> None:
        self.n_features_in_ = width
        # In C order, as a file gives them back: products with another order round otherwise.
        self._renew(base.with_arrays(**{name: np.asarray(rows, order="C") for name, rows in base.arrays.items()}), {})
        self.decision_ = Decision()

    def _renew(self, base: Learned, added: dict[Label, np.ndarray]) -> None:
        learned = self._with_classes(base, added) if added else base
        # -inf is SHE's mark of a class that the head does not know.
        if added and any((np.isnan(learned[name]) | np.isposinf(learned[name])).any() for name in self.per_class):
            raise InputError("the class can't be added: its features are too large; are they of this backbone?")
        self.base_, self.added_ = base, added
        # Last, and in one assignment: what other threads read.
        self.learned_ = learned

    def _scores(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return score_in_blocks(lambda block: self._score(learned, block), X)

    def _scores_and_offsets(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        learned, decision = self._learned(), self.decision_
        if np.isnan(decision.offset):
            raise InputError(
                "fitted from statistics alone there is no threshold yet; calibrate on held-out images first"
            )
        scores = self._scores(learned, X)
        if not decision.groups:
            return scores, np.full(len(scores), decision.offset)
        return scores, decision.offsets_of(learned.classes, self._nearest(learned, X))

    def _learned(self) -> Learned:
        # `check_is_fitted` takes as long as scoring one image; it is asked only where its error is due.
        if "learned_" not in self.__dict__:
            check_is_fitted(self)
        return self.learned_

    def _calibrated(self) -> Decision:
        self._learned()
        if not len((decision := self.decision_).scores):
            raise InputError("p-values need held-out known images: call calibrate(X_held_out, reject_rate=0.05) first")
        return decision

    def _check(self, X: Any) -> np.ndarray:
        self._learned()
        return as_features(X, self.n_features_in_, type(self).__name__)

    def _check_growth(self) -> None:
        if not self.per_class:
            raise InputError(
                f"{type(self).__name__} does not compare images with classes, so none can be added or removed; "
                "take a detector that does, such as ETFDetector"
            )

    @classmethod
    def _kind(cls) -> str:
        return f"detector-{cls.__name__}"
