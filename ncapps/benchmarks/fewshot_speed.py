"""How long a `PrototypeClassifier` takes to add a class and to name an image, and how long episodes take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ncapps.benchmarks.episode_evaluation import evaluate_episodes
from ncapps.benchmarks.episode_methods import EPISODE_METHODS, Base
from ncapps.benchmarks.episodes import EpisodeSettings, draw_episodes
from ncapps.errors import InputError
from ncapps.fewshot import METRICS, PrototypeClassifier


@dataclass(frozen=True, kw_only=True)
class FewShotSpeedSettings:
    """What to time: standard normal features about class means, in float64, with fixed knobs and temperature.

    `add_class` takes `shots` images at `classes` x `width`, of which `late_share` were added before and the others
    fitted from `images` each; `predict` takes one image at `small_classes` x `small_width`, likewise. Five-way episodes
    with 15 queries a class are drawn from `episode_classes` x `episode_images`, beside which the methods have as many
    base images. The checks of the input, the copies, the digest and the audit entry count.
    """

    metrics: tuple[str, ...] = tuple(METRICS)
    classes: int = 1000
    width: int = 2048
    images: int = 3
    shots: int = 5
    late_share: float = 0.1
    small_classes: int = 100
    small_width: int = 512
    repeats: int = 40
    singles: int = 400
    episodes: int = 10_000
    episode_classes: int = 64
    episode_images: int = 100
    episode_shots: tuple[int, ...] = (1, 5)
    episode_methods: tuple[str, ...] = ("euclidean", "cosine")
    rounds: int = 3
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for names, there in ((self.metrics, METRICS), (self.episode_methods, EPISODE_METHODS)):
            unknown = sorted(set(names) - set(there))
            if unknown:
                raise InputError(f"{unknown[0]!r} is not known; choose from {', '.join(there)}")
        if not 0 <= self.late_share < 1:
            raise InputError(f"late_share must be 0 or more and below 1, but {self.late_share} came")
        for name in ("classes", "width", "images", "shots", "small_classes", "small_width", "repeats", "singles"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above 0, but {getattr(self, name)} came")


def measure_fewshot_speed(settings: FewShotSpeedSettings) -> dict[str, Any]:
    """Time every metric and the episodes; every figure has the median and the minimum.

    Returns
    -------
    dict
        `add_class` and `remove_class`: milliseconds by metric; `predict_one`: microseconds by metric; `episodes`:
        seconds by number of shots and method, over the rounds, with the time to draw the episodes beside them.
    """
    with threadpool_limits(settings.threads):
        result: dict[str, Any] = {"add_class": {}, "remove_class": {}, "predict_one": {}}
        for name in settings.metrics:
            adding, removing = _add_and_remove(name, settings)
            result["add_class"][name], result["remove_class"][name] = _summary(adding, 1e3), _summary(removing, 1e3)
            result["predict_one"][name] = _summary(_predict(name, settings), 1e6)
    with threadpool_limits(settings.threads):
        result["episodes"] = {str(shots): _episodes(shots, settings) for shots in settings.episode_shots}
    return result


def grown(metric: str, classes: int, width: int, settings: FewShotSpeedSettings) -> tuple[PrototypeClassifier, Any]:
    """Return a classifier of so many classes, a share of them added, and what draws images of a class it lacks."""
    random = np.random.default_rng(settings.seed)
    late = int(settings.late_share * classes)
    means = random.standard_normal((classes + 1, width))
    codes = np.arange(max(classes - late, 1) * settings.images) % max(classes - late, 1)
    names = np.array([f"class {code}" for code in range(classes)])
    classifier = PrototypeClassifier(metric=metric, temperature=1.0, knobs={})
    classifier.fit(means[codes] + random.standard_normal((len(codes), width)), names[codes])
    for code in range(codes.max() + 1, classes):
        classifier.add_class(str(names[code]), means[code] + random.standard_normal((settings.shots, width)))
    return classifier, lambda count: means[-1] + random.standard_normal((count, width))


def _add_and_remove(metric: str, settings: FewShotSpeedSettings) -> tuple[list[float], list[float]]:
    classifier, draw = grown(metric, settings.classes, settings.width, settings)
    adding, removing = [], []
    for _ in range(settings.repeats):
        images = draw(settings.shots)
        adding.append(_time(lambda images=images: classifier.add_class("kiwi", images)))
        removing.append(_time(lambda: classifier.remove_class("kiwi")))
    return adding, removing


def _predict(metric: str, settings: FewShotSpeedSettings) -> list[float]:
    classifier, draw = grown(metric, settings.small_classes, settings.small_width, settings)
    images = draw(settings.singles)
    classifier.predict(images[:1])
    return [_time(lambda row=row: classifier.predict(images[row : row + 1])) for row in range(len(images))]


def _episodes(shots: int, settings: FewShotSpeedSettings) -> dict[str, Any]:
    random = np.random.default_rng(settings.seed)
    shape = (settings.episode_classes, settings.episode_images, settings.small_width)
    means = random.standard_normal((2, settings.episode_classes, 1, settings.small_width))
    base, new = (means + random.standard_normal((2, *shape))).reshape(2, -1, settings.small_width)
    labels = np.repeat(np.arange(settings.episode_classes), settings.episode_images)
    drawing = EpisodeSettings(episodes=settings.episodes, shots=shots, seed=settings.seed)
    started = time.perf_counter()
    episodes = draw_episodes(labels, drawing)
    drawn = time.perf_counter() - started
    methods = {name: EPISODE_METHODS[name](Base(base, labels)) for name in settings.episode_methods}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(settings.rounds):
        for name, result in evaluate_episodes(new, episodes, methods).items():
            seconds[name].append(result.seconds)
    return {"draw_seconds": drawn, **{name: _summary(taken) for name, taken in seconds.items()}}


def _summary(seconds: list[float], scale: float = 1.0) -> dict[str, float]:
    return {"median": scale * float(np.median(seconds)), "minimum": scale * min(seconds)}


def _time(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
