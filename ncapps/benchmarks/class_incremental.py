"""Class-incremental learning on a pretrained backbone: classes come in steps with all their images, none comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ncapps import config
from ncapps.benchmarks.environment import environment
from ncapps.benchmarks.fscil_results import mean_interval
from ncapps.benchmarks.generalized_few_shot_protocol import read_set
from ncapps.benchmarks.generalized_few_shot_settings import GeneralizedSet
from ncapps.config import did_you_mean
from ncapps.errors import InputError
from ncapps.features import split_by_class
from ncapps.fewshot import METRICS, PrototypeClassifier


@dataclass(frozen=True, kw_only=True)
class ClassIncrementalSettings:
    """Every metric on the same orders of classes.

    Parameters
    ----------
    sets : list of GeneralizedSet
        What is measured.
    data, cache : str
        The folder that images and weights lie in, and the one that features are kept in.
    metrics : list of str
        Names in `METRICS`; all of them when empty.
    steps : int
        How many groups the classes come in; fewer where a group would have fewer than three classes.
    asked_share : float
        The share of a class's images that is asked about and not learned.
    orders, seed : int
        How many orders of the classes, numbered from the seed on.
    level : float
        What the intervals hold.
    """

    sets: list[GeneralizedSet] = field(default_factory=list)
    data: str = "../shared"
    cache: str = "runs/fewshot/features"
    metrics: list[str] = field(default_factory=list)
    steps: int = 5
    asked_share: float = 0.3
    orders: int = 5
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        for name in self.metrics:
            if name not in METRICS:
                raise InputError(f"there is no metric {name!r}{did_you_mean(name, list(METRICS))}")
        if self.steps < 2 or self.orders < 2:
            raise InputError(f"steps and orders must be 2 or more, but {self.steps} and {self.orders} came")
        if not 0 < self.asked_share < 1 or not 0 < self.level < 1:
            raise InputError(f"asked_share and level are shares, but {self.asked_share} and {self.level} came")


def run_class_incremental(
    settings: ClassIncrementalSettings, say: Callable[[str], object] = lambda text: None
) -> dict[str, Any]:
    """Learn every set step by step with every metric.

    Returns
    -------
    dict
        "sets": by set and metric "average" (mean accuracy over the steps, among all classes seen), "last", "forgotten"
        (accuracy of the first step's images among its own classes alone, minus that among all at the end) and "joint"
        (all classes fitted at once), each as [mean, low, high] over the orders. "data", "settings", "environment".

    Raises
    ------
    InputError
        If images or weights are missing, or a set has fewer than six classes.
    """
    report: dict[str, Any] = {"sets": {}, "data": {}}
    for one in settings.sets:
        features, labels, report["data"][one.name] = read_set(one, settings.data, settings.cache)
        found: dict[str, Any] = {}
        for name in settings.metrics or METRICS:
            orders = range(settings.seed, settings.seed + settings.orders)
            rows = [run_order(name, features, labels, settings, seed) for seed in orders]
            found[name] = {key: mean_interval(np.array([row[key] for row in rows]), settings.level) for key in rows[0]}
            told = ", ".join(f"{key} {100 * values[0]:.2f}" for key, values in found[name].items())
            say(f"{one.name}, {name}: {told}")
        report["sets"][one.name] = found
    return {**report, "settings": config.to_dict(settings), "environment": environment(seed=settings.seed)}


def run_order(
    metric: str, features: np.ndarray, labels: np.ndarray, settings: ClassIncrementalSettings, seed: int
) -> dict[str, float]:
    """Return the figures of one metric on one order of the classes."""
    names = np.random.default_rng(seed).permutation(np.unique(labels))
    steps = min(settings.steps, len(names) // 3)
    if steps < 2:
        raise InputError(f"two steps of three classes make six, but the labels name {len(names)}")
    groups = np.array_split(names, steps)
    asked, learned = split_by_class(labels, (settings.asked_share, 1 - settings.asked_share), seed)
    classifier = PrototypeClassifier(metric=metric, seed=settings.seed)
    curve = []
    first = asked[np.isin(labels[asked], groups[0])]
    before = 0.0
    for place, group in enumerate(groups):
        rows = learned[np.isin(labels[learned], group)]
        classifier.partial_fit(features[rows], labels[rows])
        seen = asked[np.isin(labels[asked], names[: sum(map(len, groups[: place + 1]))])]
        curve.append(_accuracy(classifier, features, labels, seen))
        if place == 0:
            before = _accuracy(classifier, features, labels, first)
    joint = PrototypeClassifier(metric=metric, seed=settings.seed).fit(features[learned], labels[learned])
    return {
        "average": float(np.mean(curve)),
        "last": curve[-1],
        "forgotten": before - _accuracy(classifier, features, labels, first),
        "joint": _accuracy(joint, features, labels, asked),
    }


def _accuracy(classifier: PrototypeClassifier, features: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> float:
    return float(np.mean(classifier.predict(features[rows]) == labels[rows]))
