"""`LifeCycle`: classes are added, removed, renamed and merged; every change is whole and leaves an audit entry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ncapps.arrays import Label, as_features, native, sorted_names, unknown_class
from ncapps.errors import InputError
from ncapps.fewshot.audit import AuditEntry, Remainder
from ncapps.fewshot.dry_run import DryRun, Trial, try_class
from ncapps.fewshot.metrics import metric_named
from ncapps.fewshot.priors import log_priors, moved_priors
from ncapps.fewshot.table import AddedClass
from ncapps.statistics import ClassStatistics

if TYPE_CHECKING:
    from ncapps.features import FeatureStore
    from ncapps.fewshot.calibration import Calibrated
    from ncapps.fewshot.metric import Arrays
    from ncapps.fewshot.rehearsed import Rehearsed
    from ncapps.fewshot.table import Table


class LifeCycle(ABC):
    """What a `PrototypeClassifier` can do to its classes once it is fitted."""

    metric: str
    priors: Mapping[Label, float] | None
    seed: int
    temperature_: float
    n_features_in_: int
    statistics_: ClassStatistics
    forgotten_: int
    added_classes_: dict[Label, AddedClass]
    frame_: Arrays
    learned_: Arrays
    table_: Table
    rehearsed_: Rehearsed | None
    calibrated_: Calibrated
    audit_: tuple[AuditEntry, ...]

    @overload
    def add_class(
        self, name: Label, X: Any, *, dry_run: Literal[False] = False, wanted_accuracy: float = 0.9
    ) -> Self: ...

    @overload
    def add_class(self, name: Label, X: Any, *, dry_run: Literal[True], wanted_accuracy: float = 0.9) -> DryRun: ...

    def add_class(self, name: Label, X: Any, *, dry_run: bool = False, wanted_accuracy: float = 0.9) -> Self | DryRun:
        """Add a class from a few images' features, shape (images, feature width); the geometry stays as it is.

        Parameters
        ----------
        dry_run : bool
            Change nothing, and tell instead what adding would do: whether the images agree with one another, which
            known classes they collide with, the accuracy to expect, and how many more images a better one takes.
        wanted_accuracy : float
            The accuracy that the dry run finds the number of images for, between 0 and 1.

        Raises
        ------
        InputError
            If the name is taken or of another type than the others, or there is no image.

        Examples
        --------
        >>> from ncapps.fewshot import PrototypeClassifier
        >>> random = np.random.default_rng(0)
        >>> X = random.standard_normal((40, 3)) + 9 * np.eye(4, 3).repeat(10, axis=0)
        >>> classifier = PrototypeClassifier(metric="euclidean").fit(X, np.repeat(list("abcd"), 10))
        >>> told = classifier.add_class("kiwi", random.standard_normal((5, 3)) + [9, 9, 0], dry_run=True)
        >>> told.consistent, told.expected_accuracy > 0.9, told.images_needed
        (True, True, 0)
        """
        check_is_fitted(self)
        X = as_features(X, self.n_features_in_, type(self).__name__)
        name = native(name)
        if not len(X):
            raise InputError(f"class {name!r} came without an image; one or more are needed")
        self._free(name, "use partial_fit for more images of it, or another name")
        if dry_run:
            return self._dry_run(name, X, wanted_accuracy)
        # The caller's array may change later.
        rows = X.copy()
        added = AddedClass.of(metric_named(self.metric), self.frame_, self.learned_, rows)
        self._renew({**self.added_classes_, name: added})
        self._note("add", (name,), len(rows), rows)
        return self

    def remove_class(self, name: Label, *, store: FeatureStore | None = None) -> Self:
        """Remove a class: an added one as if it had never been there; a fitted one's count, mean and prior go.

        `remainder` tells beforehand what stays of it here.

        Parameters
        ----------
        store : FeatureStore, optional
            Features on disk that the class's rows are to be erased from too; how many went stands in the audit trail,
            as "erase".

        Raises
        ------
        InputError
            If the class is unknown, or the last one.
        """
        name = self._known(name)
        if len(self.table_.names) == 1:
            raise InputError(f"class {name!r} is the last one; a classifier without a class can't answer")
        images = self._images(name)
        erased = None if store is None else store.erase_class(name)
        if name in self.added_classes_:
            gone = self.added_classes_[name].rows
            self._renew({key: one for key, one in self.added_classes_.items() if key != name})
            self._note("remove", (name,), images, gone)
        else:
            self.forgotten_ += 0 if name in self.statistics_.apart else images
            self.statistics_ = self.statistics_.forget(name)
            self.priors = self.priors and {key: one for key, one in self.priors.items() if native(key) != name}
            self._renew(self.added_classes_, fitted_moved=True)
            self._note("remove", (name,), images)
        if erased is not None:
            self._note("erase", (name,), erased)
        return self

    def remainder(self, name: Label) -> Remainder:
        """Tell what `remove_class` would leave of a class; raises InputError for a class that is not known."""
        name = self._known(name)
        calibrated = self.calibrated_.parts_with(name)
        if name in self.added_classes_:
            return Remainder(name=name, exact=not calibrated, images=0, where=calibrated)
        where = ("within-class scatter", "geometry of the class means", "knobs", "temperature", *calibrated)
        return Remainder(name=name, exact=False, images=self._images(name), where=tuple(dict.fromkeys(where)))

    def rename_class(self, old: Label, new: Label) -> Self:
        """Give a class another name; no score moves, and its prior goes with it.

        Raises
        ------
        InputError
            If the class is unknown, or the new name is taken or of another type than the others.
        """
        old, new = self._known(old), native(new)
        self._free(new, "merge_classes makes one class of two")
        images = self._images(old)
        added = {new if key == old else key: one for key, one in self.added_classes_.items()}
        fitted_moved = old in self.statistics_.classes
        if fitted_moved:
            self.statistics_ = self.statistics_.rename(old, new)
        self.priors = moved_priors(self.priors, [old], new)
        self._renew(added, fitted_moved)
        self.calibrated_ = self.calibrated_.renamed(old, new)
        self._note("rename", (old, new), images)
        return self

    def merge_classes(self, names: Iterable[Label], into: Label) -> Self:
        """Make one class of several; images of added ones join as images, of fitted ones counts and means.

        The threshold of `calibrate` is cleared; where priors name one of them, the new class has their sum.

        Raises
        ------
        InputError
            If fewer than two classes are named, one is unknown, or `into` is the name of another class.
        """
        chosen = [self._known(name) for name in dict.fromkeys(names)]
        into = native(into)
        if len(chosen) < 2:
            raise InputError(f"merging takes two classes or more, but {len(chosen)} came")
        if into not in chosen:
            self._free(into, "name it among the classes to be merged if it is one of them")
        images = sum(map(self._images, chosen))
        late = [name for name in chosen if name in self.added_classes_]
        rows = [self.added_classes_[name].rows for name in late]
        added = {key: one for key, one in self.added_classes_.items() if key not in late}
        early = [name for name in chosen if name not in late]
        metric = metric_named(self.metric)
        if early:
            merged = self.statistics_
            for name in early:
                merged = merged if name == into else merged.rename(name, into, merge=True)
            if rows:
                # The geometry stays frozen; only where the class lies takes its new images in.
                joined = metric.prepare(self.frame_, np.concatenate(rows))
                merged = merged + ClassStatistics.from_features(joined, np.full(len(joined), into))
            self.statistics_ = merged
        else:
            added[into] = AddedClass.of(metric, self.frame_, self.learned_, np.concatenate(rows))
        self.priors = moved_priors(self.priors, chosen, into)
        self._renew(added, fitted_moved=bool(early))
        for name in chosen:
            self.calibrated_ = self.calibrated_.renamed(name, into)
        self.calibrated_ = self.calibrated_.without_threshold()
        self._note("merge", (*chosen, into), images)
        return self

    def _dry_run(self, name: Label, X: np.ndarray, wanted: float) -> DryRun:
        if not 0 < wanted < 1:
            raise InputError(f"the wanted accuracy lies between 0 and 1, but {wanted} came; write 0.9 for 90 %")
        table = self.table_
        priors = {native(key): weight for key, weight in (self.priors or {}).items()}
        known = {key: weight for key, weight in priors.items() if key != name}
        trial = Trial(
            metric=metric_named(self.metric),
            frame=self.frame_,
            statistics=self._of_those_left(),
            table=table,
            prior=self.temperature_ * log_priors(known, table.names),
            new_prior=self.temperature_ * float(np.log(priors.get(name, 1.0))),
            seed=self.seed,
        )
        return try_class(trial, self.rehearsed_, name, X, wanted)

    def _of_those_left(self) -> ClassStatistics:
        """Return the fitted classes' statistics, the pooled scatter scaled to them: removed ones left theirs in it."""
        statistics = self.statistics_
        if not self.forgotten_:
            return statistics
        pooled = [name not in statistics.apart for name in statistics.classes]
        left = int(statistics.counts[pooled].sum())
        # Whose scatter it is can't be told; so the covariance stays as it was.
        return replace(statistics, pooled=statistics.pooled * (left / (left + self.forgotten_)))

    @abstractmethod
    def _renew(self, added: dict[Label, AddedClass], fitted_moved: bool = False) -> None:
        """Put a new table in place."""

    def _note(self, action: str, classes: tuple[Label, ...], images: int, rows: np.ndarray | None = None) -> None:
        self.audit_ = (*self.audit_, AuditEntry.now(action, classes, images, rows))

    def _known(self, name: Label) -> Label:
        check_is_fitted(self)
        name = native(name)
        if name not in self.table_.names.tolist():
            raise unknown_class(name, self.table_.names)
        return name

    def _free(self, name: Label, hint: str) -> None:
        if name in self.table_.names.tolist():
            raise InputError(f"class {name!r} is there already; {hint}")
        # All are of one type, so one of them stands for it.
        sorted_names(self.table_.names[:1], [name])

    def _images(self, name: Label) -> int:
        return int(self.table_.counts[self.table_.names.tolist().index(name)])
