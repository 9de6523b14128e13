"""`PrototypeClassifier`: classes are added from a few images and removed exactly, without training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ncapps import persist
from ncapps.arrays import Label, as_features, as_labels, like, sorted_names
from ncapps.errors import InputError
from ncapps.fewshot import state
from ncapps.fewshot.audit import AuditEntry
from ncapps.fewshot.batch import Batch
from ncapps.fewshot.calibration import Calibrated, Calibration
from ncapps.fewshot.hidden_classes import rehearse
from ncapps.fewshot.knobs import Choice, choose_knobs
from ncapps.fewshot.life_cycle import LifeCycle
from ncapps.fewshot.metric import Knobs, Metric
from ncapps.fewshot.metrics import metric_named
from ncapps.fewshot.parameters import given_knobs, given_temperature
from ncapps.fewshot.priors import log_priors
from ncapps.fewshot.table import AddedClass, Table
from ncapps.fewshot.temperature import fit_image_temperature, image_units
from ncapps.statistics import ClassStatistics


class PrototypeClassifier(LifeCycle, Calibration, Batch, ClassifierMixin, BaseEstimator):
    """Names the class that an image is most like, each class known by the mean of its images' features.

    What `fit` saw is frozen: `add_class` moves neither the geometry nor the temperature, and `remove_class` of an added
    class gives the state before back, bit for bit.

    Parameters
    ----------
    metric : str
        How likeness is scored: a name in `ncapps.fewshot.METRICS`.
    temperature : float or "auto"
        Divides the scores before the softmax of `predict_proba`; "auto" fits it on known classes that are hidden and
        added back from five images.
    knobs : mapping of str to float, or "auto"
        The metric's own settings; "auto" chooses those under which hidden known classes and visible ones are named
        best. Knobs that are not given have the metric's defaults.
    priors : mapping of class name to float, optional
        How often each class is met, relative to 1 for a class that is not named here.
    seed : int
        Fixes which known classes are hidden, and random projections.

    Attributes
    ----------
    classes_ : numpy.ndarray
        Names of all classes, fitted and added, sorted.
    statistics_ : ClassStatistics
        Statistics of the fitted classes' prepared features.
    added_ : dict
        Features of each added class, shape (images, feature width).
    knobs_ : dict
        The knobs in use.
    temperature_ : float
        The temperature in use.
    spread_ : float
        How far the typical image's scores for the fitted classes lie apart, where the temperature was fitted; else 0.
    rehearsed_ : Rehearsed or None
        How known classes fared when they were hidden and added back.
    calibrated_ : Calibrated
        What held-out images left behind.
    audit_ : tuple of AuditEntry
        What was done, oldest first.

    Examples
    --------
    >>> import numpy as np
    >>> classifier = PrototypeClassifier().fit(np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4)
    >>> _ = classifier.add_class("kiwi", -np.ones((5, 3)))
    >>> classifier.predict(np.array([[0.9, 0.1, 0.0], [-1.0, -1.0, -0.9]])).tolist()
    ['a', 'kiwi']
    """

    def __init__(
        self,
        metric: str = "plda",
        temperature: float | str = "auto",
        knobs: Mapping[str, float] | str = "auto",
        priors: Mapping[Label, float] | None = None,
        seed: int = 0,
    ) -> None:
        self.metric = metric
        self.temperature = temperature
        self.knobs = knobs
        self.priors = priors
        self.seed = seed

    def fit(self, X: Any, y: Any) -> PrototypeClassifier:
        """Fit prototypes to features, shape (images, feature width), and one class name an image."""
        X = as_features(X, min_rows=1)
        y = as_labels(y, len(X))
        metric, given, temperature = self._checked()
        choice = None
        if temperature is None or (given is None and metric.knobs):
            choice = choose_knobs(metric, rehearse(metric, X, y, self.seed), given)
        frame = metric.frame(X, self.seed)
        statistics = ClassStatistics.from_features(metric.prepare(frame, X), y)
        self.n_features_in_ = X.shape[1]
        self._learn(statistics, frame, choice)
        self.audit_ = (AuditEntry.now("fit", statistics.classes, len(X), X, y),)
        return self

    def fit_statistics(self, statistics: ClassStatistics) -> PrototypeClassifier:
        """Fit from statistics alone: with no image, knobs have their defaults, the temperature the classes' spread.

        Raises
        ------
        InputError
            If the metric averages features that it has prepared, which statistics of other features can't tell.
        """
        metric, _, _ = self._checked()
        if not statistics.classes:
            raise InputError("a classifier needs one class or more, but no image came")
        self.n_features_in_ = statistics.width
        self._learn(statistics, metric.frame_of_statistics(statistics), None)
        self.audit_ = (AuditEntry.now("fit", statistics.classes, statistics.total),)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> PrototypeClassifier:
        """Add images to fitted or added classes; names not seen before become fitted classes.

        Unlike `add_class` this moves the geometry of the fitted classes; knobs and temperature stay until the next
        `fit`. `classes` is there for scikit-learn's sake: names may come in any call, so it is not needed.
        """
        X = as_features(X, getattr(self, "n_features_in_", None), type(self).__name__)
        y = as_labels(y, len(X))
        if not hasattr(self, "statistics_"):
            return self.fit(X, y)
        sorted_names(self.classes_, np.unique(y))
        metric, _, _ = self._checked()
        late = np.isin(y, np.asarray(sorted(self.added_))) if self.added_ else np.zeros(len(y), dtype=bool)
        rows = self.added_
        for name in sorted_names(np.unique(y[late])):
            rows[name] = np.concatenate([rows[name], X[y == name]])
        if not late.all():
            more = ClassStatistics.from_features(metric.prepare(self.frame_, X[~late]), y[~late])
            self.statistics_, self.forgotten_ = self._of_those_left() + more, 0
            self.learned_ = metric.learn(self.statistics_, self.knobs_)
        added = {name: AddedClass.of(metric, self.frame_, self.learned_, part) for name, part in rows.items()}
        self._renew(added, fitted_moved=True)
        self.calibrated_ = self.calibrated_.without_threshold()
        self.audit_ = (*self.audit_, AuditEntry.now("partial_fit", sorted_names(np.unique(y)), len(X), X, y))
        return self

    @property
    def classes_(self) -> np.ndarray:
        """Names of all classes, fitted and added, sorted."""
        return self.table_.names

    @property
    def added_(self) -> dict[Label, np.ndarray]:
        """Features of each added class, shape (images, feature width)."""
        return {name: one.rows for name, one in self.added_classes_.items()}

    @property
    def prototypes_(self) -> np.ndarray:
        """Mean prepared feature of each class, shape (classes, prepared width), ordered as `classes_`."""
        return self.table_.prototypes

    def scores(self, X: Any) -> np.ndarray:
        """Return the likeness to each class, shape (images, classes), ordered as `classes_`; higher = more alike."""
        check_is_fitted(self)
        return like(self._scores(self._features(X), self.table_), X)

    def predict(self, X: Any, *, reject_rate: float | None = None, unknown: Label | None = None) -> np.ndarray:
        """Name the most likely class of each image, shape (images,).

        Parameters
        ----------
        reject_rate : float, optional
            The share of known images that may be called unknown, between 0 and 1; left out, every image gets a name.
            It holds against the images that `calibrate` was given.
        unknown : str or int, optional
            The mark of an image that fits no class: "unknown" where classes are strings, -1 where they are integers.

        Raises
        ------
        InputError
            If a rate is given before `calibrate`, or one that so few images can't hold, or the mark names a class.
        """
        check_is_fitted(self)
        table = self.table_
        scores = self._scores(self._features(X), table)
        answer = table.names[(scores + self._prior(table, scores)).argmax(axis=1)]
        return answer if reject_rate is None else self._refuse(answer, scores, reject_rate, unknown)

    def predict_proba(self, X: Any, *, unknown: bool = False) -> np.ndarray:
        """Return class probabilities, shape (images, classes): softmax(scores / temperature + log prior).

        A temperature that was fitted is one an image: times the root of how far its scores for the fitted classes lie
        apart, in units of the typical image's.

        Parameters
        ----------
        unknown : bool
            Append one column: the probability of a class never seen, weighted as one class. "plda" alone can tell.

        Raises
        ------
        InputError
            If the metric has no likelihood of a class never seen.
        """
        check_is_fitted(self)
        table, features = self.table_, self._features(X)
        scores = self._scores(features, table)
        temperature = self._temperatures(table, scores)
        scores = scores + self._prior(table, scores)
        if unknown:
            metric = metric_named(self.metric)
            never, prepared = metric.unknown(table.learned), metric.prepare(self.frame_, features)
            scores = np.hstack([scores, metric.scores(table.learned, never, prepared)])
        return like(softmax(scores / temperature, axis=1), X)

    def state_hash(self) -> str:
        """SHA-256 over all that predictions depend on: equal before `add_class` and after `remove_class`."""
        check_is_fitted(self)
        return state.state_hash(self)

    def save(self, path: str | Path) -> None:
        """Write the classifier to one safetensors file, atomically."""
        persist.save(path, state.KIND, state.VERSION, *self.state())

    @classmethod
    def load(cls, path: str | Path) -> PrototypeClassifier:
        """Read what `save` wrote; raises InputError if the file is missing, damaged or of another kind."""
        return cls.restore(*persist.load(path, state.KIND, state.VERSION, oldest=state.OLDEST))

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the arrays and the JSON-able header that `restore` builds the classifier from."""
        check_is_fitted(self)
        return state.pack(self)

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> PrototypeClassifier:
        """Build the classifier again from `state()`."""
        return state.unpack(cls, arrays, header)

    def _features(self, X: Any) -> np.ndarray:
        return as_features(X, self.n_features_in_, type(self).__name__)

    def _checked(self) -> tuple[Metric, Knobs | None, float | None]:
        """Return metric, knobs and temperature, None for "auto", or say which is not what it has to be."""
        metric = metric_named(self.metric)
        return metric, given_knobs(self.metric, metric, self.knobs), given_temperature(self.temperature)

    def _learn(self, statistics: ClassStatistics, frame: dict[str, np.ndarray], choice: Choice | None) -> None:
        metric, given, temperature = self._checked()
        self.knobs_ = given if given is not None else dict(choice.knobs if choice else metric.defaults)
        self.rehearsed_ = choice.rehearsed if choice else None
        self.frame_, self.statistics_, self.forgotten_ = frame, statistics, 0
        self.learned_ = metric.learn(statistics, self.knobs_)
        self.spread_ = 0.0
        if temperature is not None:
            self.temperature_ = temperature
        elif choice is not None:
            fitted = fit_image_temperature(choice.scores, choice.codes, choice.weights, choice.visible)
            self.temperature_, self.spread_ = fitted
        else:
            self.temperature_ = metric.spread_temperature(statistics)
        self.calibrated_ = Calibrated()
        self._renew({}, fitted_moved=True)

    def _renew(self, added: dict[Label, AddedClass], fitted_moved: bool = False) -> None:
        """Put a new table in place."""
        alone = None if fitted_moved else self.table_.alone
        table = Table.of(metric_named(self.metric), self.learned_, self.statistics_, added, alone)
        self.added_classes_, self.table_ = added, table

    def _scores(self, X: np.ndarray, table: Table) -> np.ndarray:
        metric = metric_named(self.metric)
        return table.scores(metric, metric.prepare(self.frame_, X))

    def _temperatures(self, table: Table, scores: np.ndarray) -> np.ndarray | float:
        """Return the temperature, one an image where it was fitted, shape (images, 1)."""
        return self.temperature_ * image_units(scores[:, table.is_fitted], self.spread_)

    def _prior(self, table: Table, scores: np.ndarray) -> np.ndarray | float:
        return 0.0 if not self.priors else self._temperatures(table, scores) * log_priors(self.priors, table.names)
