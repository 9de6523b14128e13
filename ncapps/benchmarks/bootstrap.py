"""Bootstrap of AUROC and FPR: one sort a score, and the same resampled images for every detector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ncapps.benchmarks.ood_metrics import needed
from ncapps.conformal import check_scores
from ncapps.errors import InputError

_CHUNK = 128
_ROWS = 4096


@dataclass(frozen=True, kw_only=True)
class Replicates:
    """Each figure on every resample of the images, shape (resamples,).

    Parameters
    ----------
    auroc : numpy.ndarray
        AUROC; 1 = perfect.
    fpr_ood, fpr_id : numpy.ndarray
        FPR at 95 % TPR with unknown, and with known, images as the positive ones; 0 = perfect.
    """

    auroc: np.ndarray
    fpr_ood: np.ndarray
    fpr_id: np.ndarray


class PairedBootstrap:
    """Resampled image counts of the known set and of each unknown set, drawn once and used for every detector.

    Differences between detectors are therefore paired: both see the same resampled images. Each set is drawn anew with
    replacement, known and unknown ones apart (Efron and Tibshirani 1993, ch. 8).

    Parameters
    ----------
    known : int
        Known images.
    unknown : mapping from name to int
        Images of each unknown set.
    resamples : int
        How many times.
    seed : int
        Of all draws; a set's draws depend on the seed and its place alone.

    Raises
    ------
    InputError
        If a set is empty or there are no resamples.

    Examples
    --------
    >>> bootstrap = PairedBootstrap(4, {"far": 3}, resamples=50)
    >>> found = bootstrap.replicates(np.array([5.0, 6, 7, 8]), {"far": np.array([1.0, 2, 3])})
    >>> interval(found["far"].auroc)
    (1.0, 1.0)
    """

    def __init__(self, known: int, unknown: Mapping[str, int], *, resamples: int = 1000, seed: int = 0) -> None:
        if resamples < 1:
            raise InputError(f"a bootstrap needs 1 resample or more, but {resamples} came")
        for name, images in {"known": known, **unknown}.items():
            if images < 1:
                raise InputError(f"set {name!r} holds no images to resample")
        self.resamples = resamples
        self._known = _draw(known, resamples, np.random.default_rng([seed, 0]))
        self._unknown = {
            name: _draw(images, resamples, np.random.default_rng([seed, place]))
            for place, (name, images) in enumerate(unknown.items(), 1)
        }

    def replicates(self, known: np.ndarray, unknown: Mapping[str, np.ndarray]) -> dict[str, Replicates]:
        """Return each set's figures on all resamples, from one detector's scores (images,), higher = known.

        Raises
        ------
        InputError
            If the sets or their sizes are not those of the bootstrap, or a score is NaN.
        """
        sizes = {name: len(counts) for name, counts in self._unknown.items()}
        if len(known) != len(self._known) or {name: len(scores) for name, scores in unknown.items()} != sizes:
            raise InputError(f"the bootstrap was drawn for {len(self._known)} known images and {sizes}, others came")
        order = np.argsort(check_scores(known, "known scores"), kind="stable")
        sets = {name: _Sorted(known[order], check_scores(scores, name)) for name, scores in unknown.items()}
        parts: dict[str, list[np.ndarray]] = {name: [] for name in sets}
        for columns in _chunks(self.resamples):
            above = _cumulated(self._known[order, columns])
            for name, ranked in sets.items():
                parts[name].append(ranked.figures(above, self._unknown[name][ranked.order, columns]))
        joined = {name: np.concatenate(found, axis=1) for name, found in parts.items()}
        return {name: Replicates(auroc=a, fpr_ood=ood, fpr_id=known) for name, (a, ood, known) in joined.items()}


def interval(replicates: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval that holds `level` of the replicates."""
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


class _Sorted:
    """One unknown set's scores in ascending order, and where they fall among the sorted known ones."""

    def __init__(self, known: np.ndarray, unknown: np.ndarray) -> None:
        self.order = np.argsort(unknown, kind="stable")
        ranked = unknown[self.order]
        self.known, self.images = len(known), len(unknown)
        self.below = np.searchsorted(known, ranked, side="left")
        self.not_above = np.searchsorted(known, ranked, side="right")
        self.unknown_below_known = np.searchsorted(ranked, known, side="left")
        self.tied = bool((self.below != self.not_above).any())

    def figures(self, known_cumulated: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return AUROC and both FPRs, shape (3, resamples), from counts in sorted order."""
        columns = np.arange(counts.shape[1])
        refused = np.zeros(counts.shape[1])
        for start in range(0, self.images, _ROWS):
            rows = slice(start, start + _ROWS)
            passed = known_cumulated[self.below[rows]].astype(np.float32)
            if self.tied:
                passed += known_cumulated[self.not_above[rows]]
                passed *= 0.5
            # Row by row in float32 would lose digits on millions of pairs; a block at a time does not.
            refused += np.einsum("ij,ij->j", passed, counts[rows].astype(np.float32))
        auroc = 1 - refused / (self.known * self.images)
        cumulated = _cumulated(counts)
        found = _first_reaching(cumulated, needed(self.images, 0.95)) - 1
        fpr_ood = known_cumulated[self.not_above[found], columns] / self.known
        # The k-th known image from the top is where those below it still leave k: the first to exceed n - k.
        cut = _first_reaching(known_cumulated, self.known - needed(self.known, 0.95) + 1) - 1
        fpr_id = 1 - cumulated[self.unknown_below_known[cut], columns] / self.images
        return np.stack([auroc, fpr_ood, fpr_id])


def _draw(images: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each image is drawn, shape (images, resamples)."""
    counts = np.empty((images, resamples), dtype=np.uint16)
    for column in range(resamples):
        counts[:, column] = np.bincount(rng.integers(0, images, images), minlength=images)
    return counts


def _cumulated(counts: np.ndarray) -> np.ndarray:
    """Return sums over the first 0, 1, ..., images rows, shape (images + 1, resamples)."""
    sums = np.zeros((len(counts) + 1, counts.shape[1]), dtype=np.int32)
    np.cumsum(counts, axis=0, dtype=np.int32, out=sums[1:])
    return sums


def _first_reaching(cumulated: np.ndarray, wanted: int) -> np.ndarray:
    """Return in each column the first row with `wanted` or more, by bisection."""
    low = np.zeros(cumulated.shape[1], dtype=np.int64)
    high = np.full(cumulated.shape[1], len(cumulated) - 1, dtype=np.int64)
    columns = np.arange(cumulated.shape[1])
    while (low < high).any():
        middle = (low + high) // 2
        reached = cumulated[middle, columns] >= wanted
        low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
    return high


def _chunks(resamples: int) -> Iterator[slice]:
    return (slice(start, min(start + _CHUNK, resamples)) for start in range(0, resamples, _CHUNK))
