"""The steps of the quickstart, each from features to figures."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ncapps.benchmarks.metrics import accuracy, auroc, confusion, harmonic_mean
from ncapps.compression import compress
from ncapps.conformal import false_alarm_band
from ncapps.features import FeatureExtractor, Features, ImageSource
from ncapps.quickstart.data import ADDED, DigitsTask
from ncapps.recognizer import Recognizer
from ncapps.training import TrainResult

REJECT_RATE = 0.05
TARGET_MACS = 0.5
_MACS = (0.75, TARGET_MACS, 0.35, 0.25)


class Views:
    """Features of every part that is only looked at."""

    def __init__(self, extractor: FeatureExtractor, task: DigitsTask) -> None:
        self.test: Features = extractor.extract(task.test)
        self.added: Features = extractor.extract(task.added)
        self.shots = task.shots
        self.unknown = {
            name: self.added if source is task.added else extractor.extract(source)
            for name, source in task.unknown.items()
        }
        self.n_calibration = len(task.calibration)


def detect(recognizer: Recognizer, views: Views) -> dict[str, Any]:
    """How well the unknown is told from the known, before anything is added."""
    known = recognizer.detector.score_samples(views.test.values)
    unknown = {name: recognizer.detector.score_samples(view.values) for name, view in views.unknown.items()}
    each = {name: auroc(known, scores) for name, scores in unknown.items()}
    refused = float(np.mean(known < recognizer.detector.offset_))
    low, high = false_alarm_band(views.n_calibration, len(known), REJECT_RATE)
    predicted = recognizer.classifier.predict(views.test.values)
    names = recognizer.classes
    return {
        "accuracy": accuracy(predicted, np.asarray(views.test.labels)),
        "auroc_each": each,
        "auroc": float(np.mean(list(each.values()))),
        "false_alarm_rate": {"target": REJECT_RATE, "measured": refused, "low": low, "high": high},
        "detected": {name: float(np.mean(s < recognizer.detector.offset_)) for name, s in unknown.items()},
        "scores": {"known digits": known, **unknown},
        "confusion": (confusion(predicted, np.asarray(views.test.labels), names), names),
    }


def add_digits(recognizer: Recognizer, views: Views) -> dict[str, Any]:
    """Accuracy in one label space of ten digits, over draws of five images; the first draw stays in the recognizer."""
    before = recognizer.classifier.state_hash()
    draws = [_one_draw(recognizer, views, shots) for shots in views.shots[1:]]
    for digit, rows in views.shots[0].items():
        recognizer.detector.add_class(digit, views.added.values[rows])
    first = _one_draw(recognizer, views, views.shots[0], keep=True)
    draws.append(first)
    names = recognizer.classes
    known, added = (np.asarray([draw[part] for draw in draws]) for part in ("known", "added"))
    refused = recognizer.detector.predict(views.added.values[first["rest"]]) == -1
    undone = _hash_without_added(recognizer)
    return {
        "accuracy_known": float(known.mean()),
        "accuracy_added": float(added.mean()),
        "accuracy_added_deviation": float(added.std(ddof=1)),
        "accuracy_all": float(np.mean([draw["all"] for draw in draws])),
        "harmonic_mean": float(np.mean([harmonic_mean(k, a) for k, a in zip(known, added, strict=True)])),
        "false_alarm_rate_added": float(refused.mean()),
        "undo_is_exact": undone == before,
        "confusion": (confusion(first["predicted"], first["true"], names), names),
    }


def _one_draw(recognizer: Recognizer, views: Views, shots: dict[int, np.ndarray], keep: bool = False) -> dict[str, Any]:
    """Add the digits from one draw of images, name all others, and take the digits out again unless they are kept."""
    rest = np.setdiff1d(np.arange(len(views.added)), np.concatenate(list(shots.values())))
    for digit, rows in shots.items():
        recognizer.classifier.add_class(digit, views.added.values[rows])
    predicted = recognizer.classifier.predict(np.concatenate([views.test.values, views.added.values[rest]]))
    true = np.concatenate([np.asarray(views.test.labels), np.asarray(views.added.labels)[rest]])
    if not keep:
        for digit in shots:
            recognizer.classifier.remove_class(digit)
    split = len(views.test)
    return {
        "known": accuracy(predicted[:split], true[:split]),
        "added": accuracy(predicted[split:], true[split:]),
        "all": accuracy(predicted, true),
        "predicted": predicted,
        "true": true,
        "rest": rest,
    }


def _hash_without_added(recognizer: Recognizer) -> str:
    """Take the added digits out of a copy again and return its state hash."""
    twin = type(recognizer.classifier).restore(*recognizer.classifier.state())
    for digit in ADDED:
        twin.remove_class(digit)
    return twin.state_hash()


def prune(trained: TrainResult, task: DigitsTask, progress: bool) -> dict[str, Any]:
    """Accuracy of the dense and the pruned networks' own heads on the reporting images."""
    calibration, _ = known_batch(trained, task.train)
    images, labels = known_batch(trained, task.test)
    dense = head_accuracy(trained.model, images, labels)
    small = {macs: compress(trained.model, calibration, macs=macs, progress=progress) for macs in _MACS}
    points = [(one.report.macs_ratio, head_accuracy(one.model, images, labels)) for one in small.values()]
    at_target = points[_MACS.index(TARGET_MACS)]
    return {
        "dense": dense,
        "tradeoff": ((1.0, dense), *points),
        "chosen": at_target,
        "seconds": small[TARGET_MACS].report.seconds,
    }


def known_batch(trained: TrainResult, source: Any) -> tuple[torch.Tensor, np.ndarray]:
    """Return images as the network's input, and the row of the head that each image's class has."""
    preprocessing = trained.backbone.preprocessing
    pixels = np.stack([preprocessing.pixels(source.read(index)) for index in range(len(source))])
    codes = np.searchsorted(np.asarray(trained.classes), np.asarray(source.labels))
    return preprocessing.normalise(torch.from_numpy(pixels)), codes


@torch.inference_mode()
def head_accuracy(model: torch.nn.Module, images: torch.Tensor, labels: np.ndarray) -> float:
    """Return the share of images that the network's own head names right."""
    return accuracy(model.eval()(images).argmax(1).numpy(), labels)


def round_trip(recognizer: Recognizer, task: DigitsTask, folder: str | Path | None) -> tuple[list, list, list]:
    """Save, load, and let the loaded recognizer name a few images of every kind."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(folder or temporary) / "digits.ncapps"
        recognizer.save(path)
        loaded = Recognizer.load(path, precision="float32", progress=False)
    shown = {"known": (task.test, 6), "added": (_unseen(task), 4)}
    shown |= {name: (source, 3) for name, source in task.unknown.items() if source is not task.added}
    images, captions, marks = [], [], []
    for kind, (source, count) in shown.items():
        chosen = np.linspace(0, len(source) - 1, count).astype(int)
        part = source.select(chosen)
        for row, index in zip(loaded.predict(part).rows, range(count), strict=True):
            images.append(np.asarray(part.read(index).convert("L")))
            captions.append(f"{row.name}, {row.probability:.0%}" if row.known else "unknown")
            right = (part.labels is not None and row.known and row.name == part.labels[index]) or (
                part.labels is None and not row.known
            )
            marks.append(kind if right else f"{kind}, wrong")
    return images, captions, marks


def _unseen(task: DigitsTask) -> ImageSource:
    """Images of the added digits that the first draw leaves."""
    return task.added.select(np.setdiff1d(np.arange(len(task.added)), np.concatenate(list(task.shots[0].values()))))
