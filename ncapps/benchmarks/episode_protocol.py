"""`run_episodes`: from an episode benchmark's settings to figures, features read from the cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ncapps.benchmarks.cached_features import benchmark_extractor, extract_cached, open_named
from ncapps.benchmarks.episode_evaluation import EpisodeResult, evaluate_episodes, paired_difference
from ncapps.benchmarks.episode_methods import EPISODE_METHODS, SEES_THE_BATCH, Base
from ncapps.benchmarks.episode_settings import EpisodeBenchmarkSettings, EpisodeSet
from ncapps.benchmarks.episodes import EpisodeSettings, draw_episodes
from ncapps.errors import InputError

_SPEED_WIDTH, _SPEED_CLASSES, _SPEED_IMAGES = 512, 100, 100


def run_episodes(settings: EpisodeBenchmarkSettings, *, say: Callable[[str], object] = lambda line: None) -> dict:
    """Measure every method on every set and draw; return plain data, ready for JSON.

    Parameters
    ----------
    settings : EpisodeBenchmarkSettings
        What to measure.
    say : callable
        Told one line a result, as it comes.

    Raises
    ------
    InputError
        If images or weights are missing, or a set has too few classes or images for its episodes.
    """
    report: dict[str, Any] = {"sets": [_run_set(one, settings, say) for one in settings.sets]}
    if settings.speed_episodes:
        report["speed"] = measure_speed(settings.speed_episodes, settings.seed)
        for name, taken in report["speed"]["methods"].items():
            say(f"{settings.speed_episodes:,} episodes, {name}: {taken['seconds']:.1f} s")
    return report


def split_classes(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the names of the base classes, a share of all drawn by the seed, and those of the others.

    Raises
    ------
    InputError
        If there are fewer than two classes.
    """
    names = np.unique(labels)
    if len(names) < 2:
        raise InputError(f"base classes and others need two classes or more, but the labels name {len(names)}")
    order = np.random.default_rng(seed).permutation(names)
    base = min(max(1, round(share * len(names))), len(names) - 1)
    return order[:base], order[base:]


def large_classes(labels: np.ndarray, least_images: int) -> np.ndarray:
    """Return which images are of a class with enough of them, shape (images,)."""
    codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)[1:]
    return sizes[codes] >= least_images


def measure_speed(episodes: int, seed: int = 0) -> dict[str, Any]:
    """Time drawing and scoring five-way five-shot episodes with 15 queries a class, on random features 512 wide."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(_SPEED_CLASSES), _SPEED_IMAGES)
    features = rng.standard_normal((len(labels), _SPEED_WIDTH)).astype(np.float32)
    started = time.perf_counter(), time.process_time()
    drawn = draw_episodes(labels, EpisodeSettings(episodes=episodes, seed=seed))
    drawing = {"seconds": time.perf_counter() - started[0], "processor_seconds": time.process_time() - started[1]}
    base = Base(features, labels)
    methods = {name: EPISODE_METHODS[name](base) for name in ("euclidean", "cosine")}
    found = evaluate_episodes(features, drawn, methods)
    return {
        "episodes": episodes,
        "width": _SPEED_WIDTH,
        "drawing": drawing,
        "methods": {
            name: {"seconds": one.seconds, "processor_seconds": one.processor_seconds} for name, one in found.items()
        },
    }


def _run_set(one: EpisodeSet, settings: EpisodeBenchmarkSettings, say: Callable[[str], object]) -> dict[str, Any]:
    extractor = benchmark_extractor(one.network, settings.data)
    features, fingerprint = extract_cached(extractor, open_named(settings.data, one.images), settings.cache)
    base_prints = {}
    labels = np.asarray(features.labels)
    if one.base:
        source = open_named(settings.data, one.base)
        base_features, base_prints["base_images"] = extract_cached(extractor, source, settings.cache)
        base, kept = Base(base_features.values, base_features.labels), np.ones(len(labels), dtype=bool)
    else:
        known = np.isin(labels, split_classes(labels, one.base_share, settings.seed)[0])
        base, kept = Base(features.values[known], labels[known]), ~known
    wanted, kept = len(np.unique(labels[kept])), kept & large_classes(labels, one.least_images)
    values, names = features.values[kept], labels[kept]
    methods = {name: EPISODE_METHODS[name](base) for name in settings.compared()}
    rows = []
    for draw in settings.draws():
        found = evaluate_episodes(values, draw_episodes(names, draw), methods)
        rows += [_row(name, result, found[settings.reference], draw) for name, result in found.items()]
        for name, result in found.items():
            queries = f"Dirichlet {draw.concentration}" if draw.concentration else "balanced"
            score = f"{100 * result.mean:.2f} +- {100 * result.half_width:.2f}"
            say(f"{one.name}, {draw.shots} shots, {queries}, {name}: {score}, {result.seconds:.1f} s")
    return {
        "set": one.name,
        "network": extractor.backbone.tag,
        "weights": extractor.backbone.weights_hash,
        "images": fingerprint,
        **base_prints,
        "base_classes": len(base.statistics.classes),
        "episode_classes": len(np.unique(names)),
        "episode_images": len(names),
        "classes_too_small": wanted - len(np.unique(names)),
        "width": values.shape[1],
        "rows": rows,
    }


def _row(name: str, result: EpisodeResult, reference: EpisodeResult, draw: EpisodeSettings) -> dict[str, Any]:
    difference, half = paired_difference(result, reference)
    return {
        "method": name,
        "transductive": name in SEES_THE_BATCH,
        "shots": draw.shots,
        "concentration": draw.concentration,
        "accuracy": result.mean,
        "half_width": result.half_width,
        "difference": difference,
        "difference_half_width": half,
        "seconds": result.seconds,
        "processor_milliseconds_an_episode": 1000 * result.processor_seconds / draw.episodes,
    }
