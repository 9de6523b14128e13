"""Counts, class means and centred scatter of a stream of features, in one pass."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from ncapps.arrays import Label, as_labels, as_matrix, check_finite, sorted_names
from ncapps.errors import InputError
from ncapps.threads import map_in_threads

# Rows of one matrix product, and of one step of the element-wise work before it: with 512 columns a step stays inside
# a core's own cache, and a product of 2,048 rows is as fast as a longer one.
_PRODUCT, _STEP = 2048, 256
# Rows that are sorted by class together, and after which the class means used as pivots are renewed.
_BLOCK = 65_536
# Parts of one product each: fewer are not worth starting threads.
_WORTH_THREADS = 4


class MomentAccumulator:
    """Counts, means and pooled within-class scatter, updated batch by batch in float64.

    Every row is centred on the mean its class had when the stretch of rows began (on its first image, for a new
    class), and the stretch is corrected once at its end:
    S += sum r rT - sum_c D_c D_cT / (n_c + k_c), with r = x - pivot and D_c the sum of r over the k_c new rows of c.
    This is the update of Chan, Golub and LeVeque (1983) taken about the old mean. The pivot is a mean (or a member) of
    the very data, so what cancels is never more than (n_c + k_c) / n_c times what stays.

    An update that raises may have added part of its batch: throw the accumulator away then.
    """

    def __init__(self, width: int) -> None:
        self._index: dict[Label, int] = {}
        self._width = width
        self._counts = np.zeros(0)
        self._means = np.zeros((0, width))
        self._squares = np.zeros(0)
        self._scatter = np.zeros((width, width))
        self._fresh_counts = np.zeros(0)
        self._fresh_sums = np.zeros((0, width))
        self._fresh_rows = 0

    def update(self, features: Any, labels: Any) -> None:
        """Add a batch: features of shape (images, feature width) and one label an image."""
        features = as_matrix(features)
        if features.shape[1] != self._width:
            raise InputError(
                f"features of shape {tuple(features.shape)} came where (images, {self._width}) was expected; "
                "were the batches extracted with different backbones?"
            )
        codes = self._encode(as_labels(labels, len(features)).tolist(), features)
        for start in range(0, len(features), _BLOCK):
            # Sorted by class, a product's rows have few pivots and few sums, whatever the number of classes.
            self._add(features, codes, start + np.argsort(codes[start : start + _BLOCK], kind="stable"))
            if self._fresh_rows >= _BLOCK:
                self._settle()

    def _add(self, features: np.ndarray, codes: np.ndarray, order: np.ndarray) -> None:
        parts = [order[start : start + _PRODUCT] for start in range(0, len(order), _PRODUCT)]
        blas = self._blas if len(parts) >= _WORTH_THREADS else None
        for part in map_in_threads(lambda part: _summarise(features, part, codes[part], self._means), parts, blas):
            self._scatter += part.scatter
            self._fresh_sums[part.classes] += part.sums
            self._squares[part.classes] += part.squares
            self._fresh_counts[part.classes] += part.counts
        self._fresh_rows += len(order)

    @functools.cached_property
    def _blas(self) -> ThreadpoolController:
        # Kept, for looking through the loaded libraries takes milliseconds.
        return ThreadpoolController().select(user_api="blas")

    def _encode(self, labels: list[Label], features: np.ndarray) -> np.ndarray:
        """Return the number of each label's class; a new class gets the next one, and its first image as the pivot."""
        new = [label for label in dict.fromkeys(labels) if label not in self._index]
        if new:
            if type(next(iter(self._index), new[0])) is not type(new[0]):
                raise InputError("class names are of mixed type (int and str); name all classes by one of them")
            self._index.update({label: len(self._index) + position for position, label in enumerate(new)})
        codes = np.fromiter(map(self._index.__getitem__, labels), dtype=np.int64, count=len(labels))
        if new:
            present, first = np.unique(codes, return_index=True)
            pivots = features[first[-len(new) :]].astype(np.float64)
            check_finite(pivots)
            zeros = np.zeros(len(new))
            self._counts, self._squares, self._fresh_counts = (
                np.concatenate([old, zeros]) for old in (self._counts, self._squares, self._fresh_counts)
            )
            self._means = np.concatenate([self._means, pivots])
            self._fresh_sums = np.concatenate([self._fresh_sums, np.zeros_like(pivots)])
        return codes

    def _settle(self) -> None:
        """Move the pivots to the class means of all rows so far and take the shift out of the scatter."""
        fresh = np.flatnonzero(self._fresh_counts)
        if len(fresh):
            total = self._counts[fresh] + self._fresh_counts[fresh]
            shift = self._fresh_sums[fresh] / np.sqrt(total)[:, None]
            self._scatter -= shift.T @ shift
            squares = self._squares[fresh] - np.einsum("ij,ij->i", shift, shift)
            # A class of one image has no scatter; rounding must not make it negative.
            self._squares[fresh] = np.where(total > 1, np.maximum(squares, 0.0), 0.0)
            self._means[fresh] += self._fresh_sums[fresh] / total[:, None]
            self._counts[fresh] = total
        self._fresh_counts[:] = 0
        self._fresh_sums[:] = 0
        self._fresh_rows = 0

    def result(self) -> tuple[tuple[Label, ...], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return class names, counts, means, summed squared distances to the mean, and the scatter, in name order."""
        self._settle()
        classes = tuple(sorted(self._index))
        order = np.fromiter((self._index[label] for label in classes), dtype=np.int64, count=len(classes))
        # Half the sum with its transpose: symmetric to the bit, whatever way the products were taken.
        scatter = (self._scatter + self._scatter.T) / 2
        return classes, self._counts[order].astype(np.int64), self._means[order], self._squares[order], scatter


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What is summed of some rows, centred on their classes' pivots: over all, and for each class present."""

    scatter: np.ndarray
    classes: np.ndarray
    counts: np.ndarray
    sums: np.ndarray
    squares: np.ndarray


def _summarise(features: np.ndarray, chosen: np.ndarray, codes: np.ndarray, means: np.ndarray) -> _Part:
    """Centre the chosen rows, whose class numbers are sorted, and sum; raise InputError if one is not finite."""
    residuals = np.empty((len(chosen), features.shape[1]))
    for start in range(0, len(chosen), _STEP):
        step = slice(start, start + _STEP)
        np.subtract(features[chosen[step]], means[codes[step]], out=residuals[step])
    squares = np.einsum("ij,ij->i", residuals, residuals)
    if not np.isfinite(squares.sum()):
        check_finite(features)
        raise InputError("features are too large to be squared in float64; scale them down")
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    stops = np.append(starts[1:], len(codes))
    sums = np.empty((len(starts), features.shape[1]))
    # One plain sum a class: `np.add.reduceat` was ten times slower here.
    for position, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
        np.add.reduce(residuals[start:stop], axis=0, out=sums[position])
    return _Part(
        scatter=residuals.T @ residuals,
        classes=codes[starts],
        counts=stops - starts,
        sums=sums,
        squares=np.add.reduceat(squares, starts),
    )


def merge_means(counts: np.ndarray, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge two sides' class means; return them and the shifts whose outer products the scatter has to gain.

    Chan, Golub and LeVeque (1983): m = m_a + n_b / n (m_b - m_a), S = S_a + S_b + n_a n_b / n (m_b - m_a)(.)T.

    Parameters
    ----------
    counts : numpy.ndarray
        Images a class on each side, shape (2, classes).
    means : numpy.ndarray
        Class means on each side, shape (2, classes, feature width).
    """
    total = np.maximum(counts.sum(axis=0), 1)
    both = counts.min(axis=0) > 0
    gap = np.where(both[:, None], means[1] - means[0], 0.0)
    # A class on one side only keeps its mean bit for bit.
    merged = np.where(counts[0, :, None] > 0, means[0], means[1]) + (counts[1] / total)[:, None] * gap
    return merged, np.sqrt(counts[0] * counts[1] / total)[:, None] * gap


def merge_scatter(
    pooled: tuple[np.ndarray, np.ndarray],
    apart: tuple[Mapping[Label, np.ndarray], Mapping[Label, np.ndarray]],
    shifts: Mapping[Label, np.ndarray],
) -> tuple[np.ndarray, dict[Label, np.ndarray]]:
    """Merge two sides' scatter: a class stays apart if every side that has it holds it apart, else it is pooled.

    Parameters
    ----------
    shifts : mapping of class name to numpy.ndarray
        For each class that is on both sides its row of `merge_means`'s second result.
    """
    merged = pooled[0] + pooled[1]
    factors: dict[Label, np.ndarray] = {}
    for name in sorted_names(*apart):
        sides = [side[name] for side in apart if name in side]
        if name in shifts and len(sides) == 2:
            factors[name] = compress_factor(np.concatenate([*sides, shifts[name][None]]))
        elif name in shifts:
            merged += sides[0].T @ sides[0]
        else:
            factors[name] = sides[0]
    loose = [shift for name, shift in shifts.items() if name not in factors]
    if loose:
        stacked = np.stack(loose)
        merged += stacked.T @ stacked
    return merged, factors


def compress_factor(factor: np.ndarray) -> np.ndarray:
    """Return a factor of at most (feature width) rows with the same RT R, where there are many more rows."""
    return np.asarray(np.linalg.qr(factor, mode="r")) if len(factor) > 2 * factor.shape[1] else factor
