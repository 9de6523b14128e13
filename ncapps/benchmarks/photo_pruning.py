"""What pruning without training leaves of an ImageNet network on photos: its answers, and what its features say."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest
from torch import nn
from torch.nn import functional as F

from ncapps.benchmarks.environment import environment
from ncapps.benchmarks.metrics import accuracy
from ncapps.benchmarks.pruning import file_bytes, read_images
from ncapps.compression import Compressed, compress_front
from ncapps.compression.drop import Drop, measure_drop
from ncapps.errors import InputError
from ncapps.features import BackboneSpec, Preprocessing, build_model, open_images
from ncapps.prototypes import euclidean_scores

_logger = logging.getLogger(__name__)
PARTS = ("held_out", "development")


@dataclass(frozen=True, kw_only=True)
class PhotoPruningSettings:
    """A network, photos without labels to calibrate it on, and photos with labels for its features.

    Parameters
    ----------
    name, checkpoint, model_kwargs
        The timm name, the weights and arguments of the constructor; paths are relative to `data_root`.
    photos : tuple of str
        Zips or folders of photos. The SHA-256 of the files' bytes shares them out: held out, development, calibration.
    labelled : str
        The one of them whose classes the nearest-mean classifier is asked for.
    output : str
        The JSON file for the figures.
    macs : tuple of float
        Fractions of the multiply-accumulates to keep.
    held_out, development : float
        Fractions of all photos; the rest is for calibration.
    evaluate : {"held_out", "development"}
        On which part the figures are taken; choices are made on the development part, whose photos calibrate too when
        the held-out ones are asked about.
    views : int
        Views of each photo that the repair sees.
    allocation : str
        As in `compress`.
    shift : int
        Pixels of the shift whose agreement is told for comparison.
    batch_size : int
        Photos in a forward pass.
    image_size, mean, std
        Preprocessing.
    """

    name: str
    checkpoint: str
    photos: tuple[str, ...]
    labelled: str
    output: str
    data_root: str = os.environ.get("NCAPPS_DATA", "../shared")
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    macs: tuple[float, ...] = (0.6667,)
    held_out: float = 0.3
    development: float = 0.15
    evaluate: str = "held_out"
    views: int = 2
    allocation: str = "loss"
    shift: int = 4
    batch_size: int = 32
    seed: int = 0
    image_size: int = 224
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        if self.evaluate not in PARTS:
            raise InputError(f"evaluate is one of {', '.join(PARTS)}, but {self.evaluate!r} came")
        if self.labelled not in self.photos:
            raise InputError(f"labelled must be one of the photos, {', '.join(self.photos)}; {self.labelled!r} came")


def measure_photo_pruning(settings: PhotoPruningSettings) -> dict[str, Any]:
    """Prune to each target from one statistics pass; return the settings, the environment and a row for each.

    Raises
    ------
    InputError
        If a part of the photos is empty, or an image cannot be read.
    """
    root = Path(settings.data_root)
    spec = BackboneSpec(
        name=settings.name, checkpoint=str(root / settings.checkpoint), model_kwargs=settings.model_kwargs
    )
    model = build_model(spec).eval()
    photos = _Photos.read(settings)
    asked = photos.images[photos.parts[settings.evaluate]]
    before = _outputs(model, asked, settings.batch_size)
    shifted = measure_drop(before, _outputs(model, _shift(asked, settings.shift), settings.batch_size))
    dense_right, asked_labelled = photos.nearest_mean_accuracy(model, settings)
    # When choices have been made, the images that they were made on calibrate too.
    used = ("calibration", "development") if settings.evaluate == "held_out" else ("calibration",)
    calibration = photos.images[np.concatenate([photos.parts[part] for part in used])]
    front = compress_front(
        model, calibration, macs=settings.macs, calibration=len(calibration), batch_size=settings.batch_size,
        views=settings.views, allocation=settings.allocation, seed=settings.seed,
    )  # fmt: skip
    rows = []
    for macs, small in zip(settings.macs, front, strict=True):
        drop = measure_drop(before, _outputs(small.model, asked, settings.batch_size))
        right, _ = photos.nearest_mean_accuracy(small.model, settings)
        rows.append({"macs": macs, **_row(small), **_agreement(drop), "nearest_mean_accuracy": right})
        _logger.info(
            "macs %.3f: %.1f %% agree, nearest means %.1f %% (dense %.1f %%), %.0f s",
            small.report.macs_ratio, 100 * drop.agreement, 100 * right, 100 * dense_right, small.report.seconds,
        )  # fmt: skip
    return {
        "settings": asdict(replace(settings, data_root="")),
        "environment": environment(),
        "photos": {name: len(part) for name, part in photos.parts.items()},
        "labelled_photos": asked_labelled,
        "dense": {"nearest_mean_accuracy": dense_right, "shifted": _agreement(shifted)},
        "rows": rows,
    }


def split_by_hash(hashes: Sequence[str], held_out: float, development: float) -> dict[str, np.ndarray]:
    """Return the positions held out, for development and for calibration: the first hashes, the next, and the rest.

    Raises
    ------
    InputError
        If a part is empty.
    """
    order = np.argsort(np.asarray(hashes))
    first, second = int(held_out * len(order)), int(development * len(order))
    parts = {
        "held_out": order[:first],
        "development": order[first : first + second],
        "calibration": order[first + second :],
    }
    empty = [name for name, part in parts.items() if not len(part)]
    if empty:
        raise InputError(
            f"{len(order)} photos, held_out={held_out:g} and development={development:g} leave none for {empty[0]}"
        )
    return parts


@dataclass(frozen=True, kw_only=True)
class _Photos:
    images: torch.Tensor
    classes: np.ndarray
    """Of the labelled ones; empty elsewhere."""
    parts: dict[str, np.ndarray]

    @classmethod
    def read(cls, settings: PhotoPruningSettings) -> _Photos:
        images, classes, hashes = [], [], []
        size = (settings.image_size, settings.image_size)
        preprocessing = Preprocessing(size=size, mean=settings.mean, std=settings.std)
        for name in settings.photos:
            path = Path(settings.data_root) / name
            source = open_images(path)
            images.append(read_images(source, np.arange(len(source.keys)), preprocessing))
            labels = source.labels if name == settings.labelled and source.labels is not None else None
            classes += [""] * len(source.keys) if labels is None else [str(label) for label in labels]
            hashes += [hashlib.sha256(data).hexdigest() for data in file_bytes(path, source.keys)]
        parts = split_by_hash(hashes, settings.held_out, settings.development)
        return cls(images=torch.cat(images), classes=np.asarray(classes), parts=parts)

    def nearest_mean_accuracy(self, model: nn.Module, settings: PhotoPruningSettings) -> tuple[float, int]:
        """Return the accuracy of the class means of all labelled photos but those that are asked, and their number."""
        labelled = self.classes != ""
        asked = np.zeros(len(labelled), dtype=bool)
        asked[self.parts[settings.evaluate]] = True
        known = labelled & ~asked
        # What is held out is not looked at when choices are made.
        if settings.evaluate != "held_out":
            known[self.parts["held_out"]] = False
        asked &= labelled
        fitted, tested = (
            _features(model, self.images[torch.from_numpy(some)], settings.batch_size) for some in (known, asked)
        )
        names, codes = np.unique(self.classes[known], return_inverse=True)
        members = np.eye(len(names))[codes]
        means = members.T @ fitted / members.sum(axis=0)[:, None]
        answers = names[euclidean_scores(tested, means).argmax(axis=1)]
        return accuracy(answers, self.classes[asked]), int(asked.sum())


def _agreement(drop: Drop) -> dict[str, Any]:
    found = binomtest(drop.images - drop.changed, drop.images).proportion_ci(method="wilson")
    return {"agreement": drop.agreement, "agreement_95": [found.low, found.high], "asked": drop.images}


def _row(small: Compressed) -> dict[str, Any]:
    report = small.report
    names = ("macs_before", "macs_after", "params_before", "params_after", "seconds", "images", "widths_after")
    return {**{name: getattr(report, name) for name in names}, "macs_ratio": report.macs_ratio}


def _shift(images: torch.Tensor, pixels: int) -> torch.Tensor:
    """Return the images moved down and right, what is uncovered mirrored in."""
    padded = F.pad(images, (pixels, 0, pixels, 0), mode="reflect")
    return padded[:, :, : images.shape[2], : images.shape[3]]


@torch.no_grad()
def _outputs(model: nn.Module, images: torch.Tensor, batch_size: int) -> np.ndarray:
    return torch.cat([model(batch) for batch in images.split(batch_size)]).numpy()


def _features(model: Any, images: torch.Tensor, batch_size: int) -> np.ndarray:
    """Return what the classifier reads."""
    found: list[torch.Tensor] = []
    handle = model.get_classifier().register_forward_pre_hook(lambda module, inputs: found.append(inputs[0]))
    try:
        _outputs(model, images, batch_size)
    finally:
        handle.remove()
    return torch.cat(found).numpy()
