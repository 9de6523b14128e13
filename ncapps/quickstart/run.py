"""`run_quickstart`: train, measure, add classes, flag the unknown, prune, save, load, and report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ncapps import config
from ncapps.benchmarks.environment import environment
from ncapps.collapse import measure_collapse
from ncapps.features import FeatureExtractor
from ncapps.quickstart import steps
from ncapps.quickstart.data import SHOTS, digits_task
from ncapps.quickstart.results import headline
from ncapps.quickstart.settings import digits_settings
from ncapps.recognizer import Recognizer
from ncapps.simplex import SimplexETF
from ncapps.statistics import ClassStatistics
from ncapps.training import EpochRecord, TrainSettings, train


@dataclass(frozen=True, kw_only=True, eq=False)
class Quickstart:
    """What one run found: the headline figures in `results`, and what its report is drawn from."""

    results: dict[str, Any]
    history: tuple[EpochRecord, ...]
    features: np.ndarray
    labels: np.ndarray
    added_features: np.ndarray
    added_labels: np.ndarray
    unknown_features: np.ndarray
    vertices: np.ndarray
    scores: dict[str, np.ndarray]
    threshold: float
    confusion_before: tuple[np.ndarray, tuple]
    confusion_after: tuple[np.ndarray, tuple]
    tradeoff: tuple[tuple[float, float], ...]
    chosen: tuple[float, float]
    gallery: tuple[list[np.ndarray], list[str], list[str]]
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)


def run_quickstart(
    folder: str | Path | None = "ncapps-quickstart",
    *,
    seed: int = 0,
    settings: TrainSettings | None = None,
    progress: bool = True,
    say: Callable[[str], object] | None = None,
) -> Quickstart:
    """Run the whole idea on the bundled digits; needs no network, about a minute on two cores.

    Parameters
    ----------
    folder : path, optional
        Where digits.ncapps is written (`write_results` adds results.json and report.html); None: to a temporary file.
    seed : int
        Fixes splits, shots, training and textures.
    settings : TrainSettings, optional
        How to train, instead of `digits_settings(seed)`.
    progress : bool
        Show progress bars.
    say : callable, optional
        Told each step in a line of plain words.
    """
    start = time.perf_counter()
    say = say or (lambda line: None)
    task = digits_task(seed)
    settings = settings or digits_settings(seed)
    say(f"1/6 train {settings.backbone} to collapse on {len(task.train)} images of the digits 0 to 7")
    trained = train(settings, task.train, val_images=task.calibration, progress=progress)
    extractor = FeatureExtractor(trained.backbone, precision="float32", progress=False)
    say("2/6 measure the collapse")
    fitted = extractor.extract(task.train)
    stats = ClassStatistics.from_features(fitted.values, fitted.labels)
    collapse = measure_collapse(fitted.values, fitted.labels, extractor.head, statistics=stats)
    say(f"3/6 flag unknown images, with at most {steps.REJECT_RATE:.0%} of the known ones refused")
    recognizer = Recognizer.fit(extractor, task.train, calibration=task.calibration, reject_rate=steps.REJECT_RATE)
    views = steps.Views(extractor, task)
    before = steps.detect(recognizer, views)
    say(f"4/6 add the digits 8 and 9 from {SHOTS} images each")
    after = steps.add_digits(recognizer, views)
    say(f"5/6 prune to {steps.TARGET_MACS:.0%} of the operations, without training")
    pruned = steps.prune(trained, task, progress)
    say("6/6 save the recognizer, load it, predict")
    gallery = steps.round_trip(recognizer, task, folder)
    results = headline(collapse, trained, before, after, pruned)
    results["seconds"] = time.perf_counter() - start
    return Quickstart(
        results=results,
        history=trained.history,
        features=views.test.values,
        labels=np.asarray(views.test.labels),
        added_features=views.added.values,
        added_labels=np.asarray(views.added.labels),
        unknown_features=np.concatenate([view.values for view in views.unknown.values() if view is not views.added]),
        vertices=SimplexETF.fit(stats.means).points,
        scores=before["scores"],
        threshold=recognizer.detector.offset_,
        confusion_before=before["confusion"],
        confusion_after=after["confusion"],
        tradeoff=pruned["tradeoff"],
        chosen=pruned["chosen"],
        gallery=gallery,
        settings=config.to_dict(settings),
        environment=environment(seed=seed, data="scikit-learn digits", data_hash=task.train.fingerprint()),
    )
