"""`Learned`: what a detector knows after `fit`, in one object that is replaced whole and never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ncapps.arrays import Label, sorted_names


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """Arrays by name, with the classes whose rows some of them hold.

    A thread that scores reads the object once, so a class added meanwhile is in its whole answer or in no part of it.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray
        All that `Detector._score` needs.
    classes : tuple
        Class names in sorted order; the arrays named in `Detector.per_class` have a row for each.
    """

    arrays: Mapping[str, np.ndarray]
    classes: tuple[Label, ...] = ()
    _made: dict[str, Any] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what `make` builds from the arrays, such as an index, built at the first call alone."""
        if name not in self._made:
            # Two threads may both build it; the first one's stays.
            self._made.setdefault(name, make())
        return self._made[name]

    def with_arrays(self, **arrays: np.ndarray) -> Learned:
        """Return the same with further arrays."""
        return replace(self, arrays={**self.arrays, **arrays}, _made={})

    def without(self, name: Label, per_class: tuple[str, ...]) -> Learned:
        """Drop a class: its row of each of the arrays `per_class`."""
        kept = np.array([one != name for one in self.classes])
        rows = {key: self.arrays[key][kept] for key in per_class}
        names = tuple(one for one in self.classes if one != name)
        return replace(self, arrays={**self.arrays, **rows}, classes=names, _made={})

    def with_rows(self, rows: Mapping[Label, Mapping[str, Any]]) -> Learned:
        """Insert classes, each with its row of each of the arrays that hold one a class, in sorted order of names."""
        names = sorted_names(self.classes, rows)
        position = {name: place for place, name in enumerate(names)}
        old, new = [position[name] for name in self.classes], [position[name] for name in rows]
        arrays = dict(self.arrays)
        for key in next(iter(rows.values())):
            fresh = np.stack([np.asarray(row[key], dtype=arrays[key].dtype) for row in rows.values()])
            whole = np.empty((len(names), *arrays[key].shape[1:]), dtype=arrays[key].dtype)
            whole[old], whole[new] = arrays[key], fresh
            arrays[key] = whole
        return replace(self, arrays=arrays, classes=names, _made={})
