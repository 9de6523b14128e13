"""`evaluate_episodes`: every method on the same episodes, with intervals and paired differences."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ncapps.arrays import as_features
from ncapps.benchmarks.episode_methods import EpisodeMethod
from ncapps.benchmarks.episodes import Episodes
from ncapps.errors import InputError

# Bytes of features that are gathered at a time: what fits a processor's cache is twice as fast.
_BLOCK = 4 * 2**20


@dataclass(frozen=True, kw_only=True, eq=False)
class EpisodeResult:
    """What one method did.

    Parameters
    ----------
    accuracies : numpy.ndarray
        The share of each episode's queries that are named right, shape (episodes,).
    seconds, processor_seconds : float
        Wall clock and processor time of all episodes, features in memory.
    """

    accuracies: np.ndarray
    seconds: float
    processor_seconds: float

    @property
    def mean(self) -> float:
        """The mean accuracy over episodes, 0..1."""
        return float(self.accuracies.mean())

    @property
    def half_width(self) -> float:
        """Half the 95 % interval of the mean, see `half_width`."""
        return half_width(self.accuracies)


def half_width(values: np.ndarray) -> float:
    """Return half the 95 % interval of a mean over episodes: 1.96 standard deviations / sqrt(episodes).

    The deviation divides by the number of episodes, not by one less, as in SimpleShot's code. The interval is over
    episodes drawn from these images and classes; it says nothing of other images.
    """
    return float(1.96 * np.std(values) / np.sqrt(len(values)))


def paired_difference(result: EpisodeResult, other: EpisodeResult) -> tuple[float, float]:
    """Return the mean difference in accuracy over the episodes that both saw, and half its 95 % interval."""
    difference = result.accuracies - other.accuracies
    return float(difference.mean()), half_width(difference)


def evaluate_episodes(
    features: Any, episodes: Episodes, methods: Mapping[str, EpisodeMethod]
) -> dict[str, EpisodeResult]:
    """Run methods on the same episodes, in blocks of episodes that fit a processor's cache.

    Parameters
    ----------
    features : array-like
        Of the images that the episodes were drawn from, shape (images, width).
    episodes : Episodes
        From `draw_episodes`.
    methods : mapping from name to EpisodeMethod
        See `ncapps.benchmarks.episode_methods.EPISODE_METHODS`.

    Raises
    ------
    InputError
        If the episodes name rows that the features lack, or a method's scores have another shape or are NaN.

    Examples
    --------
    >>> from ncapps.benchmarks.episode_methods import EPISODE_METHODS, Base
    >>> from ncapps.benchmarks.episodes import EpisodeSettings, draw_episodes
    >>> features, labels = np.eye(3).repeat(8, axis=0), ["cat"] * 8 + ["dog"] * 8 + ["owl"] * 8
    >>> episodes = draw_episodes(labels, EpisodeSettings(episodes=10, ways=3, shots=2, queries=4))
    >>> method = EPISODE_METHODS["euclidean"](Base(features, labels))
    >>> evaluate_episodes(features, episodes, {"euclidean": method})["euclidean"].mean
    1.0
    """
    features = as_features(features, min_rows=1)
    last = max(int(episodes.support.max()), int(episodes.queries.max()))
    if last >= len(features):
        raise InputError(
            f"the episodes name row {last}, but there are {len(features)} images; were they drawn from other labels?"
        )
    return {name: _evaluate(features, episodes, name, method) for name, method in methods.items()}


def _evaluate(features: np.ndarray, episodes: Episodes, name: str, method: EpisodeMethod) -> EpisodeResult:
    images = episodes.support[0].size + episodes.queries[0].size
    step = max(1, _BLOCK // (images * features.shape[1] * features.itemsize))
    accuracies = np.empty(len(episodes))
    started = time.perf_counter(), time.process_time()
    for start in range(0, len(episodes), step):
        block = slice(start, start + step)
        scores = method(features[episodes.support[block]], features[episodes.queries[block]])
        truth = episodes.truth[block]
        _check_scores(scores, (*truth.shape, episodes.support.shape[1]), name)
        accuracies[block] = (scores.argmax(axis=2) == truth).mean(axis=1)
    seconds, processor_seconds = time.perf_counter() - started[0], time.process_time() - started[1]
    return EpisodeResult(accuracies=accuracies, seconds=seconds, processor_seconds=processor_seconds)


def _check_scores(scores: np.ndarray, shape: tuple[int, ...], name: str) -> None:
    if scores.shape != shape:
        raise InputError(f"{name} gave scores of shape {scores.shape}, but (episodes, queries, ways) is {shape}")
    if np.isnan(scores).any():
        raise InputError(f"{name} gave a score that is no number")
