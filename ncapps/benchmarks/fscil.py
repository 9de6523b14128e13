"""The FSCIL protocol on features: classes come session by session, and every session is tested on all seen so far.

Tao et al., Few-Shot Class-Incremental Learning (2020); tested as Zhang et al. (2021) do: one joint decision among all
classes seen, over all their test images. Unlike there nothing is chosen on test images, and the shots are drawn anew.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ncapps.arrays import Label, as_features, as_labels, native
from ncapps.benchmarks.fscil_heads.base import BaseSession, FSCILHead
from ncapps.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class FSCILFeatures:
    """Features of all images of an FSCIL run, and which classes come when.

    Parameters
    ----------
    base, base_labels : array-like
        Training images of the base classes, (images, feature width), and their class names.
    pool, pool_labels : array-like
        Training images of the new classes, that shots are drawn from.
    test, test_labels : array-like
        Test images of all classes.
    sessions : sequence of sequences of class names
        The base classes, then the classes of each step.
    canonical : mapping
        Rows of `pool` that are each new class's shots in the standard draw.
    turned : array-like, optional
        Base images `turned_rows` turned by 90, 180 and 270 degrees, (3, images, feature width).
    turned_rows : array-like, optional
        The rows of `base` that `turned` belongs to.

    Raises
    ------
    InputError
        If a class has no images, comes twice, or has a canonical shot of another class.
    """

    base: np.ndarray
    base_labels: np.ndarray
    pool: np.ndarray
    pool_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    sessions: Sequence[Sequence[Label]]
    canonical: Mapping[Label, Any]
    turned: np.ndarray | None = field(default=None, repr=False)
    turned_rows: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        width = None
        for name in ("base", "pool", "test"):
            matrix = as_features(getattr(self, name), width, "the base session", min_rows=1)
            object.__setattr__(self, name, matrix)
            object.__setattr__(self, f"{name}_labels", as_labels(getattr(self, f"{name}_labels"), len(matrix)))
            width = matrix.shape[1]
        sessions = tuple(tuple(native(label) for label in session) for session in self.sessions)
        object.__setattr__(self, "sessions", sessions)
        self._check()

    def _check(self) -> None:
        names = [label for session in self.sessions for label in session]
        if len(self.sessions) < 2 or len(set(names)) < len(names):
            raise InputError("an FSCIL run needs a base session and one step or more, and each class in only one")
        for part, expected in (("base", self.sessions[0]), ("pool", names[len(self.sessions[0]) :]), ("test", names)):
            there = {native(label) for label in np.unique(getattr(self, f"{part}_labels"))}
            if there != set(expected):
                odd = sorted(there ^ set(expected), key=str)
                raise InputError(f"the {part} images must be of exactly the classes that come, but {odd[:5]} differ")
        for label in names[len(self.sessions[0]) :]:
            rows = np.asarray(self.canonical.get(label, ()), dtype=int)
            if not len(rows) or (self.pool_labels[rows] != label).any():
                raise InputError(f"the canonical shots of {label!r} must be rows of the pool's images of that class")

    @property
    def arrival(self) -> np.ndarray:
        """The session in which each test image's class comes, (test images,); 0 = a base class."""
        number = {label: place for place, session in enumerate(self.sessions) for label in session}
        return np.asarray([number[native(label)] for label in self.test_labels])

    def base_session(self) -> BaseSession:
        """Return all that a head may learn from before the first step."""
        to_come = sum(len(session) for session in self.sessions[1:])
        return BaseSession(
            features=self.base,
            labels=self.base_labels,
            to_come=to_come,
            turned=self.turned,
            turned_rows=self.turned_rows,
        )


def draw_shots(data: FSCILFeatures, shots: int, seed: int) -> dict[Label, np.ndarray]:
    """Return rows of the pool for each new class, drawn evenly; a class's draw depends on the seed and its place alone.

    Raises
    ------
    InputError
        If a class has fewer images than that.
    """
    chosen = {}
    for place, label in enumerate(label for session in data.sessions[1:] for label in session):
        own = np.flatnonzero(data.pool_labels == label)
        if len(own) < shots:
            raise InputError(f"class {label!r} has {len(own)} training images, but {shots} shots are drawn")
        chosen[label] = np.sort(np.random.default_rng([seed, place]).choice(own, shots, replace=False))
    return chosen


def run_draw(fitted: FSCILHead, data: FSCILFeatures, shots: Mapping[Label, Any]) -> np.ndarray:
    """Return which test images are named right after each session, bool (sessions, test images).

    The head is copied: what it learns from these shots stays out of the next draw. Images of classes that are yet to
    come count as wrong.

    Parameters
    ----------
    fitted : FSCILHead
        Fitted to the base session.
    data : FSCILFeatures
        The run.
    shots : mapping
        Rows of the pool for each new class.
    """
    head, arrival = copy.deepcopy(fitted), data.arrival
    hits = np.zeros((len(data.sessions), len(data.test)), dtype=bool)
    for session, classes in enumerate(data.sessions):
        if session:
            rows = np.concatenate([np.asarray(shots[label], dtype=int) for label in classes])
            head.add(data.pool[rows], data.pool_labels[rows])
        seen = arrival <= session
        hits[session, seen] = head.predict(data.test[seen]) == data.test_labels[seen]
    return hits


def harmonic_mean(base: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return 2 b n / (b + n), and 0 where both are 0: high only where base and new classes are both known.

    Examples
    --------
    >>> harmonic_mean(np.array([0.6, 0.5]), np.array([0.3, 0.0])).tolist()
    [0.4, 0.0]
    """
    total = base + new
    return np.divide(2 * base * new, total, out=np.zeros_like(total, dtype=float), where=total > 0)


def accuracies(hits: np.ndarray, arrival: np.ndarray) -> dict[str, np.ndarray]:
    """Return sample-mean accuracy after each session, each of shape (..., sessions).

    Parameters
    ----------
    hits : numpy.ndarray
        Which test images were named right, (..., sessions, test images).
    arrival : numpy.ndarray
        The session in which each test image's class comes.

    Returns
    -------
    dict
        "all" classes seen so far, "base" and "new" ones, and their "harmonic" mean; the last two are NaN in session 0.

    Examples
    --------
    >>> found = accuracies(np.array([[1, 1, 0, 0], [1, 0, 1, 1]], dtype=bool), np.array([0, 0, 1, 1]))
    >>> {name: values.tolist() for name, values in found.items() if name != "new"}
    {'all': [1.0, 0.75], 'base': [1.0, 0.5], 'harmonic': [nan, 0.6666666666666666]}
    """
    sessions = np.arange(hits.shape[-2])[:, None]
    seen, base = arrival[None] <= sessions, np.broadcast_to(arrival == 0, (len(sessions), len(arrival)))
    found = {}
    for name, part in (("all", seen), ("base", base), ("new", seen & ~base)):
        count = part.sum(axis=1)
        right = (hits & part).sum(axis=-1)
        found[name] = np.divide(right, count, out=np.full(right.shape, np.nan), where=count > 0)
    found["harmonic"] = np.full(found["new"].shape, np.nan)
    found["harmonic"][..., 1:] = harmonic_mean(found["base"][..., 1:], found["new"][..., 1:])
    return found
