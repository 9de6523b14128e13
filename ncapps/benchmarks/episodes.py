"""`draw_episodes`: N-way K-shot episodes as row numbers, all drawn at once, the same ones for every method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ncapps.arrays import as_labels, native
from ncapps.errors import InputError

# Redraws of Dirichlet shares that ask a class for more images than it has, before giving up.
_REDRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class EpisodeSettings:
    """What an episode holds, and how many there are.

    Parameters
    ----------
    episodes : int
        Episodes drawn; 1,000 give an interval of about half a point.
    ways, shots : int
        Classes an episode, and support images a class.
    queries : int
        Query images a class; where unbalanced, the mean over the episode's classes.
    concentration : float, optional
        Of the symmetric Dirichlet law that an episode's query shares come from: smaller = less balanced (Veilleux et
        al. 2021, section 3.2, use 2). Left out, every class has the same number of queries.
    seed : int
        Of all draws.

    Raises
    ------
    InputError
        If a number is too small to make an episode.
    """

    episodes: int = 1000
    ways: int = 5
    shots: int = 5
    queries: int = 15
    concentration: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("episodes", 1), ("ways", 2), ("shots", 1), ("queries", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be {least} or more, but {getattr(self, name)} came")
        if self.concentration is not None and not self.concentration > 0:
            raise InputError(
                f"concentration must be above 0, but {self.concentration} came; leave it out for balanced queries"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Episodes:
    """Row numbers of the images of each episode; no image is in an episode twice.

    Parameters
    ----------
    classes : numpy.ndarray
        Class names of each episode's ways, shape (episodes, ways).
    support : numpy.ndarray
        Rows of the support images, shape (episodes, ways, shots).
    queries : numpy.ndarray
        Rows of the query images, shape (episodes, queries), way after way.
    truth : numpy.ndarray
        The way that each query belongs to, shape (episodes, queries).
    """

    classes: np.ndarray
    support: np.ndarray
    queries: np.ndarray
    truth: np.ndarray

    def __len__(self) -> int:
        return len(self.support)


def draw_episodes(labels: Any, settings: EpisodeSettings | None = None) -> Episodes:
    """Draw episodes: classes without replacement, then each class's images without replacement.

    Parameters
    ----------
    labels : array-like of str or of int
        One class name an image; classes may be of any sizes, and each is as likely as the others.
    settings : EpisodeSettings, optional
        1,000 five-way five-shot episodes with 15 queries a class when left out.

    Raises
    ------
    InputError
        If there are fewer classes than ways, or a class has fewer images than an episode takes of it.

    Examples
    --------
    >>> labels = ["cat"] * 4 + ["dog"] * 6 + ["owl"] * 5
    >>> drawn = draw_episodes(labels, EpisodeSettings(episodes=100, ways=2, shots=1, queries=3))
    >>> drawn.support.shape, drawn.queries.shape
    ((100, 2, 1), (100, 6))
    """
    settings = settings or EpisodeSettings()
    names, codes, sizes = np.unique(as_labels(labels), return_inverse=True, return_counts=True)
    _check_sizes(names, sizes, settings)
    rng = np.random.default_rng(settings.seed)
    ways = draw_prefixes(np.full(settings.episodes, len(names)), settings.ways, rng)
    counts = _query_counts(sizes[ways] - settings.shots, settings, rng)
    places = draw_prefixes(sizes[ways], settings.shots + int(counts.max()), rng)
    # Rows of class c stand together from starts[c] on once sorted by class.
    by_class, starts = np.argsort(codes, kind="stable"), np.cumsum(sizes) - sizes
    rows = np.where(places < sizes[ways][..., None], places + starts[ways][..., None], 0)
    rows = by_class[rows]
    ends = np.cumsum(counts, axis=1)
    numbers = np.arange(ends[0, -1])
    truth = (ends[:, None, :] <= numbers[:, None]).sum(axis=2)
    episode = np.arange(settings.episodes)[:, None]
    within = numbers - (ends - counts)[episode, truth]
    return Episodes(
        classes=names[ways],
        support=rows[..., : settings.shots],
        queries=rows[episode, truth, settings.shots + within],
        truth=truth,
    )


def draw_prefixes(sizes: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """Return the first `length` places of one random order of 0, ..., size - 1 for each size.

    Fisher and Yates's shuffle in all orders at once, of which only the places that moved are kept: time and memory do
    not depend on the sizes. What stands beyond a size is not below it, and means nothing.

    Parameters
    ----------
    sizes : numpy.ndarray
        How many things each order has, any shape.
    length : int
        Places wanted of each.

    Returns
    -------
    numpy.ndarray
        Shape (*shape of sizes, length).
    """
    drawn = np.empty((length, *sizes.shape), dtype=np.int64)
    moved: list[tuple[np.ndarray, np.ndarray]] = []
    for place in range(length):
        target = rng.integers(np.minimum(place, sizes - 1), sizes)
        target = np.maximum(target, place)
        drawn[place] = _content(target, moved)
        moved.append((target, _content(np.full_like(target, place), moved)))
    return np.moveaxis(drawn, 0, -1)


def _content(places: np.ndarray, moved: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return what stands at these places after the swaps so far."""
    content = places.copy()
    for target, thing in moved:
        np.copyto(content, thing, where=places == target)
    return content


def _check_sizes(names: np.ndarray, sizes: np.ndarray, settings: EpisodeSettings) -> None:
    if len(names) < settings.ways:
        raise InputError(
            f"{settings.ways}-way episodes need {settings.ways} classes or more, but the labels name {len(names)}"
        )
    least = int(sizes.argmin())
    if sizes[least] < settings.shots + settings.queries:
        raise InputError(
            f"class {native(names[least])!r} has {sizes[least]} image(s), but an episode takes {settings.shots} + "
            f"{settings.queries} of a class; take fewer shots or queries, or leave the class out"
        )


def _query_counts(room: np.ndarray, settings: EpisodeSettings, rng: np.random.Generator) -> np.ndarray:
    """Return the queries of each way, shape (episodes, ways); where unbalanced, given that no class runs short."""
    if settings.concentration is None:
        return np.full(room.shape, settings.queries)
    counts = _dirichlet_counts(len(room), settings, rng)
    for _ in range(_REDRAWS):
        short = (counts > room).any(axis=1)
        if not short.any():
            return counts
        counts[short] = _dirichlet_counts(int(short.sum()), settings, rng)
    raise InputError(
        f"the classes are too small for unbalanced queries: {settings.ways} ways share "
        f"{settings.ways * settings.queries} queries, but some have room for {room.min()}; take fewer queries"
    )


def _dirichlet_counts(episodes: int, settings: EpisodeSettings, rng: np.random.Generator) -> np.ndarray:
    shares = rng.dirichlet(np.full(settings.ways, settings.concentration), episodes)
    # Rounded sums, not rounded shares: the counts add up.
    ends = np.rint(np.cumsum(shares, axis=1) * settings.ways * settings.queries).astype(np.int64)
    ends[:, -1] = settings.ways * settings.queries
    return np.diff(ends, axis=1, prepend=0)
