"""A small world for the OOD benchmark's tests: pictures on disk, a network's file, and features without a network."""

import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from ncapps.benchmarks.ood_data import TaskFeatures
from ncapps.benchmarks.ood_settings import (
    KnownSettings,
    NetworkSettings,
    OODSettings,
    TaskSettings,
    UnknownSettings,
)
from ncapps.conformal import threshold
from ncapps.errors import InputError
from ncapps.features import BackboneSpec, Features, build_model
from ncapps.features.class_head import ClassHead

CLASSES = ("bird", "cat", "dog")


def write_zip(path: Path, names: list[str], seed: int) -> None:
    """Write pictures of noise, each of its own, under these names."""
    rng = np.random.default_rng(seed)
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            with archive.open(name, "w") as file:
                Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file, "PNG")


def make_world(root: Path) -> OODSettings:
    """Write known and unknown pictures and a network's weights; return settings that use them."""
    write_zip(root / "fit.zip", [f"{name}/{i}.png" for name in CLASSES for i in range(6)], 0)
    write_zip(root / "held.zip", [f"{name}/{i}.png" for name in CLASSES for i in range(20)], 1)
    write_zip(root / "near.zip", [f"val/{i}.png" for i in range(12)], 2)
    write_zip(root / "far.zip", [f"{i}.png" for i in range(8)], 3)
    with zipfile.ZipFile(root / "lists.zip", "w") as archive:
        archive.writestr("cifar10/test.txt", "".join(f"tin/val/images/{i}.png -1\n" for i in range(0, 12, 2)))
    write_weights(root / "net.safetensors", ("dog", "bird", "cat"))
    network = NetworkSettings(name="small", spec=BackboneSpec(name="cifar_resnet20", checkpoint="net.safetensors"))
    task = TaskSettings(
        name="animals",
        networks=[network],
        known=KnownSettings(fit="fit.zip", report="held.zip", validation=24),
        unknown=[
            UnknownSettings(name="tin", group="near", images="near.zip", listed_in="lists.zip/cifar10/test.txt"),
            UnknownSettings(name="specks", group="far", images="far.zip"),
        ],
    )
    return OODSettings(tasks=[task], data=str(root), cache=str(root / "cache"), resamples=40, reject_rates=(0.05, 0.2))


def write_weights(path: Path, classes: tuple[str, ...]) -> None:
    """Write a network's random weights with the names of its classes."""
    model = build_model(BackboneSpec(name="cifar_resnet20", num_classes=len(classes)), seed=0)
    weights = {name: value.clone() for name, value in model.state_dict().items() if value.dtype != torch.int64}
    save_file(weights, path, metadata={"classes": " ".join(classes)})


def make_features(width: int = 6, seed: int = 0) -> TaskFeatures:
    """Return features: known images near their class's axis, near ones on the way to the middle, far ones in it."""
    rng = np.random.default_rng(seed)

    def some(count: int, pull: float, labelled: bool = True) -> Features:
        codes = np.arange(count) % len(CLASSES)
        values = np.eye(width)[codes] * 4 * pull + rng.normal(0, 0.5, (count, width))
        labels = np.asarray(CLASSES)[codes] if labelled else None
        keys = tuple(str(i) for i in range(count))
        return Features(values=values.astype(np.float32), keys=keys, labels=labels)

    return TaskFeatures(
        fit=some(60, 1),
        validation=some(99, 1),
        report=some(150, 1),
        unknown={"half": some(80, 0.6, False), "middle": some(70, 0, False), "other": some(30, 0.3, False)},
        groups={"half": "near", "middle": "far", "other": "development"},
        head=ClassHead(np.eye(len(CLASSES), width)),
        provenance={
            "weights": "0" * 64,
            "sets": {
                name: {"images": 10, "unreadable": 0, "fingerprint": "f" * 64}
                for name in ("fit", "validation", "report", "half", "middle", "other")
            },
        },
    )


class Largest:
    """The largest feature: a detector in all that the benchmark asks of one."""

    def __init__(self, sign: float = 1.0) -> None:
        self.sign = sign

    def fit(self, X, y=None, head=None, X_val=None):
        """Note what came."""
        self.seen = (len(X), None if y is None else len(y), head, len(X_val))
        return self

    def score_samples(self, X):
        """Return the largest feature of each image."""
        return self.sign * np.asarray(X, dtype=np.float64).max(axis=1)

    def calibrate(self, X, reject_rate=0.05):
        """Keep the scores and set the threshold."""
        self.held = self.score_samples(X)
        return self.set_reject_rate(reject_rate)

    def set_reject_rate(self, reject_rate):
        """Move the threshold."""
        self.offset_ = threshold(np.sort(self.held), reject_rate)
        return self


class Refusing(Largest):
    """A detector that no data suits."""

    def fit(self, X, y=None, head=None, X_val=None):
        """Refuse."""
        raise InputError("needs a head with 7 classes")


class Broken(Largest):
    """A detector whose scores are NaN for some images."""

    def score_samples(self, X):
        """Return NaN for every other image."""
        scores = super().score_samples(X)
        scores[::2] = np.nan
        return scores
