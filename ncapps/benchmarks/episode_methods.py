"""The methods that episodes compare: from base-class features to a function of many episodes side by side."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np

from ncapps.arrays import as_features
from ncapps.fewshot.transductive import TRANSDUCTIVE
from ncapps.fewshot.transductive.batches import squared_distances
from ncapps.prototypes import unit_rows
from ncapps.statistics import ClassStatistics


class EpisodeMethod(Protocol):
    """Scores for many episodes at once."""

    def __call__(self, support: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """Return scores, shape (episodes, queries, ways); higher = more alike.

        Parameters
        ----------
        support : numpy.ndarray
            Features of the support images, shape (episodes, ways, shots, width), float64.
        queries : numpy.ndarray
            Features of the query images, shape (episodes, queries, width), float64.
        """
        ...


class Base:
    """The base classes' images: all that a method may know before an episode.

    Parameters
    ----------
    features : array-like
        Shape (images, width).
    labels : array-like of str or of int
        One class name an image.
    """

    def __init__(self, features: Any, labels: Any) -> None:
        self.features = as_features(features, min_rows=1)
        self.labels = labels

    @cached_property
    def center(self) -> np.ndarray:
        """The mean of all base images, shape (width,)."""
        return self.features.mean(axis=0)

    @cached_property
    def statistics(self) -> ClassStatistics:
        """The base classes' statistics."""
        return ClassStatistics.from_features(self.features, self.labels)


def euclidean(base: Base) -> EpisodeMethod:
    """Nearest class mean: -||x - mu||^2."""
    return lambda support, queries: -squared_distances(queries, support.mean(axis=2))


def cosine(base: Base) -> EpisodeMethod:
    """Cosine between x - m and mu - m, m the mean of the base class means."""
    center = base.statistics.center
    return lambda support, queries: _cosines(queries - center, support.mean(axis=2) - center)


def cl2n(base: Base) -> EpisodeMethod:
    """SimpleShot's CL2N: -||phi(x) - mean phi(x_i)||^2, phi(x) = (x - m) / ||x - m||, m the mean of all base images.

    Wang et al. 2019, section 3.1; they leave the root on the distance, which orders the classes alike.
    """
    return _in_cl2n(base, lambda prototypes, counts, queries: -squared_distances(queries, prototypes))


def easyfsl_prototypical(base: Base) -> EpisodeMethod:
    """Minus the distance, not squared, of unit rows: PrototypicalNetworks as easyfsl's benchmark runs them."""
    return lambda support, queries: -np.sqrt(squared_distances(unit_rows(queries), unit_rows(support).mean(axis=2)))


def easyfsl_simple_shot(base: Base) -> EpisodeMethod:
    """Cosine to the mean of unit rows, which nothing has centered: SimpleShot as easyfsl's benchmark runs it."""
    return lambda support, queries: _cosines(queries, unit_rows(support).mean(axis=2))


def transductive(base: Base, *, method: str, **options: Any) -> EpisodeMethod:
    """One of `ncapps.fewshot.transductive`, on CL2N features; the episode's queries are the batch."""
    assign = partial(TRANSDUCTIVE[method], **options)
    return _in_cl2n(base, lambda prototypes, counts, queries: assign(queries, prototypes, counts))


def one_by_one(score: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]) -> EpisodeMethod:
    """Run what can't take episodes side by side, episode by episode.

    Parameters
    ----------
    score : callable
        (queries, prototypes, images a prototype) of one episode to scores, shape (queries, ways): a metric of
        `PrototypeClassifier` with what it has learned from the base classes bound to it.
    """

    def run(support: np.ndarray, queries: np.ndarray) -> np.ndarray:
        counts = np.full(support.shape[1], support.shape[2])
        pairs = zip(queries, support.mean(axis=2), strict=True)
        return np.stack([score(rows, prototypes, counts) for rows, prototypes in pairs])

    return run


EPISODE_METHODS: dict[str, Callable[[Base], EpisodeMethod]] = {
    "euclidean": euclidean,
    "cosine": cosine,
    "cl2n": cl2n,
    "easyfsl ProtoNet": easyfsl_prototypical,
    "easyfsl SimpleShot": easyfsl_simple_shot,
    "bd_cspn": partial(transductive, method="bd_cspn"),
    "bd_cspn shifted": partial(transductive, method="bd_cspn", shift=True),
    "laplacian": partial(transductive, method="laplacian"),
    "laplacian shifted": partial(transductive, method="laplacian", shift=True),
    "sinkhorn uniform": partial(transductive, method="sinkhorn", marginals="uniform"),
    "sinkhorn estimated": partial(transductive, method="sinkhorn", marginals="estimated"),
}
"""Every method by the name that it has in YAML files and in reports; see `SEES_THE_BATCH` too."""

SEES_THE_BATCH = frozenset(
    {"bd_cspn", "bd_cspn shifted", "laplacian", "laplacian shifted", "sinkhorn uniform", "sinkhorn estimated"}
)
"""The transductive ones: all queries of an episode are one batch."""


def _in_cl2n(base: Base, score: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]) -> EpisodeMethod:
    """Return a method that scores (prototypes, images a prototype, queries) in CL2N space."""

    def run(support: np.ndarray, queries: np.ndarray) -> np.ndarray:
        prototypes = unit_rows(support - base.center).mean(axis=2)
        counts = np.full(support.shape[1], support.shape[2])
        return score(prototypes, counts, unit_rows(queries - base.center))

    return run


def _cosines(rows: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    return unit_rows(rows) @ unit_rows(prototypes).swapaxes(-1, -2)
