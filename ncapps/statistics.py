"""`ClassStatistics`: what every method needs to know of the features, in one mergeable object."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ncapps import persist
from ncapps.arrays import Label, as_labels, as_matrix, check_finite, native, sorted_names, unknown_class
from ncapps.errors import InputError
from ncapps.moments import MomentAccumulator, compress_factor, merge_means, merge_scatter

_KIND, _VERSION = "class-statistics", 1


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassStatistics:
    """Counts, means and within-class scatter of each class, in float64; `a + b` is what one pass over both would give.

    A class can be *held apart*: its scatter is then kept by itself, in at most twice (feature width) rows, and the
    class can be removed bit for bit. The scatter of all other classes is pooled into one matrix, which none can leave.

    Parameters
    ----------
    classes : tuple of str or of int
        Class names in sorted order.
    counts : numpy.ndarray
        Images a class, shape (classes,).
    means : numpy.ndarray
        Class means, shape (classes, feature width).
    squares : numpy.ndarray
        Summed squared distance of the images to their class mean, shape (classes,).
    pooled : numpy.ndarray
        Summed scatter of the classes that are not held apart, shape (feature width, feature width), not divided.
    apart : mapping of class name to numpy.ndarray
        For each class held apart a factor R with scatter RT R, shape (rows, feature width).

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.arange(12.0).reshape(6, 2), ["cat", "cat", "cat", "dog", "dog", "dog"]
    >>> whole = ClassStatistics.from_features(X, y)
    >>> parts = ClassStatistics.from_features(X[:4], y[:4]) + ClassStatistics.from_features(X[4:], y[4:])
    >>> bool(np.allclose(whole.within, parts.within, rtol=1e-10)), whole.counts.tolist()
    (True, [3, 3])
    """

    classes: tuple[Label, ...]
    counts: np.ndarray
    means: np.ndarray
    squares: np.ndarray
    pooled: np.ndarray
    apart: Mapping[Label, np.ndarray] = field(default_factory=dict)

    @classmethod
    def empty(cls, width: int = 0) -> ClassStatistics:
        """Return the neutral element of `+`."""
        zeros = np.zeros
        return cls(
            classes=(), counts=zeros(0, int), means=zeros((0, width)), squares=zeros(0), pooled=zeros((width, width))
        )

    @classmethod
    def from_features(
        cls, features: Any, labels: Any, *, apart: Collection[Label] | Literal["all"] = ()
    ) -> ClassStatistics:
        """Read the statistics off features, shape (images, feature width), and one label an image, in one pass.

        Parameters
        ----------
        apart : collection of class names, or "all"
            Classes whose scatter is kept by itself, so that `remove` can take them out again exactly.

        Raises
        ------
        InputError
            If shapes disagree, a value is NaN or infinite, labels mix str and int, or a name in `apart` has no image.
        """
        features = as_matrix(features)
        labels = as_labels(labels, len(features))
        names = sorted_names(np.unique(labels)) if apart == "all" else sorted_names(apart)
        alone = cls.empty(features.shape[1])
        if names:
            check_finite(features)
            for name in names:
                alone = alone + cls._held_apart(name, features[labels == name])
            rest = ~np.isin(labels, np.asarray(names))
            features, labels = features[rest], labels[rest]
        return alone + cls.from_batches([(features, labels)])

    @classmethod
    def from_batches(cls, batches: Iterable[tuple[Any, Any]]) -> ClassStatistics:
        """Read the statistics off a stream of (features, labels); memory does not grow with the number of images."""
        accumulator: MomentAccumulator | None = None
        for features, labels in batches:
            features = as_matrix(features)
            if accumulator is None:
                accumulator = MomentAccumulator(features.shape[-1])
            accumulator.update(features, labels)
        if accumulator is None:
            return cls.empty()
        classes, counts, means, squares, scatter = accumulator.result()
        return cls(classes=classes, counts=counts, means=means, squares=squares, pooled=scatter)

    @classmethod
    def _held_apart(cls, name: Label, rows: np.ndarray) -> ClassStatistics:
        if not len(rows):
            raise InputError(
                f"class {name!r} is to be held apart, but has no image; is the name spelt as in the labels?"
            )
        one = cls.from_batches([(rows, np.full(len(rows), name))])
        factor = compress_factor(rows.astype(np.float64) - one.means)
        return cls(
            classes=one.classes,
            counts=one.counts,
            means=one.means,
            squares=one.squares,
            pooled=np.zeros_like(one.pooled),
            apart={one.classes[0]: factor},
        )

    @property
    def width(self) -> int:
        """Feature width."""
        return self.means.shape[1]

    @property
    def total(self) -> int:
        """Number of images."""
        return int(self.counts.sum())

    @property
    def within(self) -> np.ndarray:
        """Summed within-class scatter, shape (feature width, feature width), not divided."""
        scatter = self.pooled.copy()
        for name in sorted(self.apart):
            scatter += self.apart[name].T @ self.apart[name]
        return scatter

    @property
    def within_covariance(self) -> np.ndarray:
        """Within-class covariance: `within` divided by the number of images."""
        return self.within / max(self.total, 1)

    @property
    def center(self) -> np.ndarray:
        """Mean of the class means, shape (feature width,)."""
        return self.means.mean(axis=0)

    @property
    def sample_mean(self) -> np.ndarray:
        """Mean of all images, shape (feature width,)."""
        return self.counts @ self.means / max(self.total, 1)

    def position(self, name: Label) -> int:
        """Return the row of a class; raises InputError for a name that is not there."""
        try:
            return self.classes.index(native(name))
        except ValueError:
            raise unknown_class(name, self.classes) from None

    def __add__(self, other: ClassStatistics) -> ClassStatistics:
        if not isinstance(other, ClassStatistics):
            return NotImplemented
        if not other.classes:
            return self if self.classes or self.width else other
        if self.width not in (0, other.width):
            raise InputError(
                f"statistics of {self.width} and of {other.width} feature columns can't be added; "
                "were they extracted with different backbones?"
            )
        return _merge(self, other) if self.classes else other

    def __radd__(self, other: object) -> ClassStatistics:
        # `sum(parts)` starts from the integer 0.
        return self if other == 0 else NotImplemented

    def remove(self, name: Label) -> ClassStatistics:
        """Return the statistics without one class, bit for bit what they would be had it never been added.

        Raises
        ------
        InputError
            If the class is unknown, or its scatter is pooled with the others' and so can't be told apart.
        """
        row = self.position(name)
        if self.classes[row] not in self.apart:
            raise InputError(
                f"class {name!r} can't be removed exactly: its scatter is pooled with that of the other classes; "
                "build the statistics with from_features(..., apart=[names]) for classes that may have to go"
            )
        rest = {key: factor for key, factor in self.apart.items() if key != self.classes[row]}
        return replace(self, apart=rest)._without_row(row)

    def forget(self, name: Label) -> ClassStatistics:
        """Drop a class's count and mean; of a class that is not held apart its share of the pooled scatter stays."""
        row = self.position(name)
        return self.remove(name) if self.classes[row] in self.apart else self._without_row(row)

    def rename(self, old: Label, new: Label, *, merge: bool = False) -> ClassStatistics:
        """Return the statistics with a class under another name, joined to a class of that name where `merge` is set.

        Raises
        ------
        InputError
            If the class is unknown, the new name is of another type, or it is taken and `merge` is not set.
        """
        row, new = self.position(old), native(new)
        sorted_names(self.classes, [new])
        if new in self.classes and not merge:
            raise InputError(f"class {new!r} is there already; merge=True makes one class of both")
        old = self.classes[row]
        rest = {key: factor for key, factor in self.apart.items() if key != old}
        one = replace(
            self,
            classes=(new,),
            counts=self.counts[[row]],
            means=self.means[[row]],
            squares=self.squares[[row]],
            pooled=np.zeros_like(self.pooled),
            apart={new: self.apart[old]} if old in self.apart else {},
        )
        others = replace(self, apart=rest)._without_row(row)
        # Statistics of no class are the neutral element, which would lose the scatter that is pooled.
        return others + one if others.classes else replace(one, pooled=self.pooled)

    def _without_row(self, row: int) -> ClassStatistics:
        kept = np.arange(len(self.classes)) != row
        return replace(
            self,
            classes=self.classes[:row] + self.classes[row + 1 :],
            counts=self.counts[kept],
            means=self.means[kept],
            squares=self.squares[kept],
        )

    def digest(self) -> str:
        """SHA-256 over every number and name: equal digests mean equal statistics, bit for bit."""
        sha = hashlib.sha256(repr((self.classes, sorted(self.apart))).encode())
        parts = [self.counts, self.means, self.squares, self.pooled, *(self.apart[key] for key in sorted(self.apart))]
        for part in parts:
            sha.update(repr(part.shape).encode() + np.ascontiguousarray(part).tobytes())
        return sha.hexdigest()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays that `save` writes, by name, for objects that hold statistics."""
        factors = {f"apart.{row}": self.apart[name] for row, name in enumerate(sorted(self.apart))}
        return {"counts": self.counts, "means": self.means, "squares": self.squares, "pooled": self.pooled, **factors}

    def header(self) -> dict[str, Any]:
        """Return the JSON-able part of what `save` writes."""
        return {"classes": list(self.classes), "apart": sorted(self.apart)}

    @classmethod
    def restore(cls, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> ClassStatistics:
        """Build the statistics again from `arrays()` and `header()`."""
        try:
            apart = {name: arrays[f"apart.{row}"] for row, name in enumerate(header["apart"])}
            plain = {key: arrays[key] for key in ("counts", "means", "squares", "pooled")}
            return cls(classes=tuple(header["classes"]), apart=apart, **plain)
        except KeyError as error:
            raise InputError(f"saved statistics lack {error}; is the file damaged?") from None

    def save(self, path: str | Path) -> None:
        """Write the statistics to one safetensors file, atomically."""
        persist.save(path, _KIND, _VERSION, self.arrays(), self.header())

    @classmethod
    def load(cls, path: str | Path) -> ClassStatistics:
        """Read what `save` wrote; raises InputError if the file is missing, damaged or of another kind."""
        return cls.restore(*persist.load(path, _KIND, _VERSION))


def _merge(a: ClassStatistics, b: ClassStatistics) -> ClassStatistics:
    """Match the classes by name and add them up, all at once."""
    classes = sorted_names(a.classes, b.classes)
    row = {name: position for position, name in enumerate(classes)}
    counts, means, squares = np.zeros((2, len(classes))), np.zeros((2, len(classes), a.width)), np.zeros(len(classes))
    for side, part in enumerate((a, b)):
        rows = [row[name] for name in part.classes]
        counts[side, rows], means[side, rows] = part.counts, part.means
        squares[rows] += part.squares
    mean, shift = merge_means(counts, means)
    shifts = {classes[index]: shift[index] for index in np.flatnonzero(counts.min(axis=0))}
    pooled, apart = merge_scatter((a.pooled, b.pooled), (a.apart, b.apart), shifts)
    return ClassStatistics(
        classes=classes,
        counts=counts.sum(axis=0).astype(np.int64),
        means=mean,
        squares=squares + np.einsum("ij,ij->i", shift, shift),
        pooled=pooled,
        apart=apart,
    )
