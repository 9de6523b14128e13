"""`PrototypeClassifier`: classes are added from a few images and removed exactly, without training."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ncapps import persist
from ncapps.arrays import Label, as_features, as_labels, like, native, sorted_names, to_numpy, unknown_class
from ncapps.errors import InputError
from ncapps.fewshot.metrics import METRICS, Metric
from ncapps.fewshot.temperature import fit_temperature, left_out_scores
from ncapps.statistics import ClassStatistics

_KIND, _VERSION = "prototype-classifier", 1
# Leave-one-out on more images than this changes the temperature by nothing that matters.
_LEFT_OUT = 20_000


@dataclass(frozen=True, kw_only=True, eq=False)
class _Table:
    """What an answer is read off: swapped whole, so that a reader in another thread sees the old one or the new one."""

    names: np.ndarray
    counts: np.ndarray
    prototypes: np.ndarray


class PrototypeClassifier(ClassifierMixin, BaseEstimator):
    """Names the class whose prototype is most alike; a prototype is the mean of a class's features.

    What `fit` saw is frozen: `add_class` moves neither the other prototypes, nor the centre, nor the temperature, and
    `remove_class` of an added class gives the state before back, bit for bit.

    Parameters
    ----------
    metric : {"mahalanobis", "euclidean", "cosine"}
        How likeness is scored, see `ncapps.fewshot.METRICS`.
    temperature : float or "auto"
        Divides the scores before the softmax of `predict_proba`; "auto" fits it by leaving each fitted image out.

    Attributes
    ----------
    classes_ : numpy.ndarray
        Names of all classes, fitted and added, sorted.
    statistics_ : ClassStatistics
        Statistics of the fitted classes.
    added_ : dict
        Features of each added class, shape (images, feature width).
    center_ : numpy.ndarray
        Mean of the fitted class means.
    projection_ : numpy.ndarray or None
        What features are multiplied by before they are compared: the whitening of "mahalanobis".
    temperature_ : float
        The temperature in use.

    Examples
    --------
    >>> import numpy as np
    >>> classifier = PrototypeClassifier().fit(np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4)
    >>> _ = classifier.add_class("kiwi", -np.ones((5, 3)))
    >>> classifier.predict(np.array([[0.9, 0.1, 0.0], [-1.0, -1.0, -0.9]])).tolist()
    ['a', 'kiwi']
    """

    def __init__(self, metric: str = "mahalanobis", temperature: float | str = "auto") -> None:
        self.metric = metric
        self.temperature = temperature

    def fit(self, X: Any, y: Any) -> PrototypeClassifier:
        """Fit prototypes to features, shape (images, feature width), and one class name an image."""
        X = as_features(X, min_rows=1)
        y = as_labels(y, len(X))
        self._reset(ClassStatistics.from_features(X, y))
        if self.temperature == "auto" and len(self.statistics_.classes) > 1:
            codes = np.searchsorted(np.asarray(self.statistics_.classes), y)
            # The only image of a class is its prototype: left in, it would call for a temperature of 0.
            several = np.flatnonzero(self.statistics_.counts[codes] > 1)
            if not len(several):
                return self
            chosen = several[np.linspace(0, len(several) - 1, min(len(several), _LEFT_OUT)).astype(int)]
            codes = codes[chosen]
            rows = (self._project(X[chosen]), codes, self.statistics_.counts, self._project(self.statistics_.means))
            left_out = left_out_scores(self._metric().scores, *rows, self._project(self.center_))
            self.temperature_ = fit_temperature(left_out, codes)
        return self

    def calibrate_temperature(self, X: Any, y: Any) -> PrototypeClassifier:
        """Fit the temperature to held-out known images: on images that the network was trained on it would be too low.

        Raises
        ------
        InputError
            If there is no image, or one of a class that is not known.
        """
        check_is_fitted(self)
        X = as_features(X, self.n_features_in_, "this classifier", min_rows=1)
        y = as_labels(y, len(X))
        strange = sorted(set(sorted_names(self.classes_, y)) - set(self.classes_.tolist()))
        if strange:
            raise unknown_class(strange[0], self.classes_)
        self.temperature_ = fit_temperature(self._scores(X, self.table_), np.searchsorted(self.classes_, y))
        return self

    def fit_statistics(self, statistics: ClassStatistics) -> PrototypeClassifier:
        """Fit from statistics alone; with no image to leave out, "auto" takes the temperature from the class spread."""
        self._reset(statistics)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> PrototypeClassifier:
        """Add images to fitted or added classes; names not seen before become fitted classes.

        Unlike `add_class` this moves the centre of the fitted classes; the temperature stays until the next `fit`.
        `classes` is there for scikit-learn's sake: names may come in any call, so it is not needed.
        """
        X = as_features(X, getattr(self, "n_features_in_", None), "this classifier")
        y = as_labels(y, len(X))
        if not hasattr(self, "statistics_"):
            return self.fit(X, y)
        sorted_names(self.classes_, np.unique(y))
        late = np.isin(y, np.asarray(sorted(self.added_))) if self.added_ else np.zeros(len(y), dtype=bool)
        added = dict(self.added_)
        for name in sorted_names(np.unique(y[late])):
            added[name] = np.concatenate([added[name], X[y == name]])
        temperature = self.temperature_
        self._reset(self.statistics_ + ClassStatistics.from_features(X[~late], y[~late]), added)
        self.temperature_ = temperature
        return self

    @property
    def classes_(self) -> np.ndarray:
        """Names of all classes, fitted and added, sorted."""
        return self.table_.names

    @property
    def prototypes_(self) -> np.ndarray:
        """Prototype of each class in feature units, shape (classes, feature width), ordered as `classes_`."""
        return self.table_.prototypes

    def add_class(self, name: Label, X: Any) -> PrototypeClassifier:
        """Add a class from a few images' features, shape (images, feature width); nothing else moves.

        Raises
        ------
        InputError
            If the name is taken or of another type than the others, or there is no image.
        """
        check_is_fitted(self)
        X = as_features(X, self.n_features_in_, "this classifier")
        name = native(name)
        if not len(X):
            raise InputError(f"class {name!r} came without an image; one or more are needed")
        if name in self.classes_.tolist():
            raise InputError(f"class {name!r} is there already; use partial_fit for more images of it, or another name")
        sorted_names(self.classes_, [name])
        self._renew({**self.added_, name: X.copy()})
        return self

    def remove_class(self, name: Label) -> PrototypeClassifier:
        """Remove a class: an added one as if it had never been there; of a fitted one count and mean go.

        Raises
        ------
        InputError
            If the class is unknown, or the last one.
        """
        check_is_fitted(self)
        name = native(name)
        if name not in self.classes_.tolist():
            raise unknown_class(name, self.classes_)
        if len(self.classes_) == 1:
            raise InputError(f"class {name!r} is the last one; a classifier without a class can't answer")
        if name in self.added_:
            self._renew({key: rows for key, rows in self.added_.items() if key != name})
        else:
            self.statistics_ = self.statistics_.forget(name)
            self._renew(self.added_)
        return self

    def scores(self, X: Any) -> np.ndarray:
        """Return the likeness to each class, shape (images, classes), ordered as `classes_`; higher = more alike."""
        check_is_fitted(self)
        return like(self._scores(as_features(X, self.n_features_in_, "this classifier"), self.table_), X)

    def predict(self, X: Any) -> np.ndarray:
        """Name the most likely class of each image, shape (images,)."""
        check_is_fitted(self)
        table = self.table_
        return table.names[self._scores(as_features(X, self.n_features_in_, "this classifier"), table).argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities, shape (images, classes): softmax(scores / temperature)."""
        return like(softmax(to_numpy(self.scores(X)) / self.temperature_, axis=1), X)

    def state_hash(self) -> str:
        """SHA-256 over all that predictions depend on: equal before `add_class` and after `remove_class`."""
        check_is_fitted(self)
        sha = hashlib.sha256(f"{self.metric}|{self.temperature_!r}|{self.statistics_.digest()}".encode())
        sha.update(self.center_.tobytes())
        sha.update(b"" if self.projection_ is None else self.projection_.tobytes())
        for name in sorted(self.added_):
            sha.update(repr(name).encode() + self.added_[name].tobytes())
        return sha.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the classifier to one safetensors file, atomically."""
        persist.save(path, _KIND, _VERSION, *self.state())

    @classmethod
    def load(cls, path: str | Path) -> PrototypeClassifier:
        """Read what `save` wrote; raises InputError if the file is missing, damaged or of another kind."""
        return cls.restore(*persist.load(path, _KIND, _VERSION))

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the arrays and the JSON-able header that `restore` builds the classifier from."""
        check_is_fitted(self)
        arrays = {f"statistics.{key}": value for key, value in self.statistics_.arrays().items()}
        # After a fitted class has gone, the frozen centre is no longer the mean of the means that are left.
        arrays["center"] = self.center_
        arrays |= {f"added.{row}": self.added_[name] for row, name in enumerate(sorted(self.added_))}
        if self.projection_ is not None:
            arrays["projection"] = self.projection_
        header = {
            "metric": self.metric,
            "temperature": self.temperature,
            "fitted_temperature": self.temperature_,
            "added": sorted(self.added_),
            "statistics": self.statistics_.header(),
        }
        return arrays, header

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> PrototypeClassifier:
        """Build the classifier again from `state()`."""
        own = {key.removeprefix("statistics."): value for key, value in arrays.items() if key.startswith("statistics.")}
        classifier = cls(metric=header["metric"], temperature=header["temperature"])
        added = {name: arrays[f"added.{row}"] for row, name in enumerate(header["added"])}
        classifier._metric()
        classifier.statistics_ = ClassStatistics.restore(own, header["statistics"])
        classifier.n_features_in_ = classifier.statistics_.width
        classifier.temperature_ = float(header["fitted_temperature"])
        classifier.center_ = arrays["center"]
        classifier.projection_ = arrays.get("projection")
        classifier._renew(added)
        return classifier

    def _reset(self, statistics: ClassStatistics, added: dict[Label, np.ndarray] | None = None) -> None:
        metric = self._metric()
        if not statistics.classes:
            raise InputError("a classifier needs one class or more, but no image came")
        given = self.temperature
        if given != "auto" and not (isinstance(given, (int, float)) and given > 0):
            raise InputError(f"the temperature must be above 0, or 'auto', but {given!r} came")
        self.statistics_ = statistics
        self.n_features_in_ = statistics.width
        self.center_ = statistics.center
        self.projection_ = metric.projection(statistics)
        self.temperature_ = metric.spread_temperature(statistics) if given == "auto" else float(given)
        self._renew(added or {})

    def _renew(self, added: dict[Label, np.ndarray]) -> None:
        """Make the table anew from fitted and added classes, in name order."""
        names = sorted_names(self.statistics_.classes, added)
        means = dict(zip(self.statistics_.classes, self.statistics_.means, strict=True))
        means |= {name: rows.mean(axis=0) for name, rows in added.items()}
        counts = dict(zip(self.statistics_.classes, self.statistics_.counts, strict=True))
        counts |= {name: len(rows) for name, rows in added.items()}
        self.added_ = added
        self.table_ = _Table(
            names=np.asarray(names),
            counts=np.asarray([counts[name] for name in names]),
            prototypes=np.stack([means[name] for name in names]),
        )

    def _scores(self, X: np.ndarray, table: _Table) -> np.ndarray:
        parts = self._project(X), self._project(table.prototypes), table.counts, self._project(self.center_)
        return self._metric().scores(*parts)

    def _project(self, X: np.ndarray) -> np.ndarray:
        return X if self.projection_ is None else X @ self.projection_

    def _metric(self) -> Metric:
        if self.metric not in METRICS:
            raise InputError(f"metric {self.metric!r} is not known; choose one of {', '.join(METRICS)}")
        return METRICS[self.metric]
