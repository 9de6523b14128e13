"""Splitting images into parts for fitting, calibrating and reporting, class by class."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ncapps.arrays import as_labels, native
from ncapps.errors import InputError


def split_by_class(labels: Any, fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 0) -> tuple[np.ndarray, ...]:
    """Split positions into parts that each hold the same share of every class.

    Parameters
    ----------
    labels : array-like of str or of int
        One class name an image.
    fractions : sequence of float
        The share of each part; they add up to 1. Every part gets one image of every class at least.
    seed : int
        The same labels, fractions and seed give the same split; other classes do not change how a class is split.

    Returns
    -------
    tuple of ndarray
        For each part its positions, ascending; together they are all positions, each once.

    Raises
    ------
    InputError
        If a class has fewer images than there are parts, or the fractions do not add up to 1.

    Examples
    --------
    >>> fit, report = split_by_class(["a"] * 4 + ["b"] * 2, fractions=(0.5, 0.5))
    >>> len(fit), len(report)
    (3, 3)
    """
    names = as_labels(labels)
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.ndim != 1 or not len(shares) or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise InputError(f"fractions must be positive and add up to 1, but are {tuple(fractions)}")
    parts: list[list[np.ndarray]] = [[] for _ in shares]
    for name in np.unique(names):
        members = np.flatnonzero(names == name)
        if len(members) < len(shares):
            raise InputError(
                f"class {native(name)!r} has {len(members)} image(s), but a split into {len(shares)} parts "
                "needs one for each; add images, or split into fewer parts"
            )
        digest = hashlib.sha256(repr(native(name)).encode()).digest()
        shuffled = np.random.default_rng([seed, int.from_bytes(digest[:8], "big")]).permutation(members)
        ends = np.cumsum(_counts(len(members), shares))[:-1]
        for part, chosen in zip(parts, np.split(shuffled, ends), strict=True):
            part.append(chosen)
    return tuple(np.sort(np.concatenate(part)) if part else np.zeros(0, dtype=np.int64) for part in parts)


def _counts(total: int, shares: np.ndarray) -> np.ndarray:
    """Return whole numbers in proportion to the shares: the largest remainders round up, and none is zero."""
    exact = shares / shares.sum() * total
    counts = np.floor(exact).astype(np.int64)
    order = np.argsort(counts - exact, kind="stable")
    counts[order[: total - counts.sum()]] += 1
    while (counts == 0).any():
        counts[int(np.argmax(counts))] -= 1
        counts[int(np.argmin(counts))] += 1
    return counts
