"""`Table`: the classes as answers are read off them, replaced whole so that no reader sees half a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ncapps.arrays import Label
from ncapps.fewshot.metric import Arrays, Metric
from ncapps.statistics import ClassStatistics


@dataclass(frozen=True, kw_only=True, eq=False)
class AddedClass:
    """A class added after the fit: its images' features, and where they put it.

    Parameters
    ----------
    rows : numpy.ndarray
        Features as they came, shape (images, feature width).
    mean : numpy.ndarray
        Mean of the prepared features, shape (1, prepared width).
    placed : mapping of str to numpy.ndarray
        The one row that the metric made of it.
    """

    rows: np.ndarray
    mean: np.ndarray
    placed: Arrays

    @classmethod
    def of(cls, metric: Metric, frame: Arrays, learned: Arrays, rows: np.ndarray) -> AddedClass:
        """Place a class by its images."""
        mean = metric.prepare(frame, rows).mean(axis=0, keepdims=True)
        return cls(rows=rows, mean=mean, placed=metric.place_added(learned, mean, np.array([len(rows)])))


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Names, counts and placed rows of all classes; fitted classes' rows are kept apart and never copied.

    Parameters
    ----------
    learned : mapping of str to numpy.ndarray
        The geometry that the rows were placed in.
    names : numpy.ndarray
        All names, sorted.
    counts : numpy.ndarray
        Images a class, in that order.
    order : numpy.ndarray
        For each name its column in (fitted, added).
    fitted, added : mapping of str to numpy.ndarray
        Placed rows beside one another.
    alone : mapping of str to numpy.ndarray
        The fitted rows as they would stand without the added ones.
    means : numpy.ndarray
        Mean prepared features of the fitted classes, shape (fitted classes, prepared width).
    late : tuple of AddedClass
        The added classes, in name order.
    """

    learned: Arrays
    names: np.ndarray
    counts: np.ndarray
    order: np.ndarray
    fitted: Arrays
    added: Arrays
    alone: Arrays
    means: np.ndarray
    late: tuple[AddedClass, ...]

    @property
    def is_fitted(self) -> np.ndarray:
        """Which of the names are fitted classes' and not added ones', bool, shape (classes,)."""
        return self.order < len(self.means)

    @property
    def prototypes(self) -> np.ndarray:
        """Mean prepared features of all classes, shape (classes, prepared width), in the order of `names`."""
        return np.concatenate([self.means, *(one.mean for one in self.late)])[self.order]

    @classmethod
    def of(
        cls,
        metric: Metric,
        learned: Arrays,
        statistics: ClassStatistics,
        added: Mapping[Label, AddedClass],
        alone: Arrays | None = None,
    ) -> Table:
        """Build the table; `alone` spares placing the fitted classes again where they are as before."""
        late = sorted(added)
        columns = (*statistics.classes, *late)
        # Two sorted runs: one merge, not a sort of them all.
        order = np.array(sorted(range(len(columns)), key=columns.__getitem__))
        names = np.asarray([columns[column] for column in order])
        counts = np.concatenate([statistics.counts, [len(added[name].rows) for name in late]]).astype(np.int64)
        if alone is None:
            alone = metric.place(learned, statistics.means, statistics.counts)
        # In name order, so that the order of adding leaves no trace in the last bits.
        parts = [added[name].placed for name in late]
        stacked = {
            key: np.concatenate([part[key] for part in parts]) if parts else rows[:0] for key, rows in alone.items()
        }
        fitted, beside = metric.combine(learned, alone, stacked)
        return cls(
            learned=learned,
            names=names,
            counts=counts[order],
            order=order,
            fitted=fitted,
            added=beside,
            alone=alone,
            means=statistics.means,
            late=tuple(added[name] for name in late),
        )

    def scores(self, metric: Metric, prepared: np.ndarray) -> np.ndarray:
        """Return the likeness of prepared features to each class, in the order of `names`."""
        learned, turned = metric.turn(self.learned, prepared)
        fitted = metric.scores(learned, self.fitted, turned)
        if len(self.order) == fitted.shape[1]:
            return fitted[:, self.order]
        return np.hstack([fitted, metric.scores(learned, self.added, turned)])[:, self.order]
