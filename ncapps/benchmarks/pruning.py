"""What pruning without training costs in accuracy, on test images that no choice was made on."""

from __future__ import annotations

import hashlib
import logging
import os
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ncapps.benchmarks.environment import environment
from ncapps.compression import TORCH_PRUNING, Compressed, compress_front
from ncapps.errors import InputError
from ncapps.features import BackboneSpec, ImageSource, Preprocessing, build_model, open_images
from ncapps.features.loader import batches

_logger = logging.getLogger(__name__)
REPAIRS: dict[str, bool | str] = {"full": True, "batchnorm": "batchnorm", "none": False}


@dataclass(frozen=True, kw_only=True)
class PruningSettings:
    """A network, its calibration and test images, and the targets to try.

    Parameters
    ----------
    name, checkpoint : str
        The timm name and the weights; paths are relative to `data_root`.
    calibration_data, test_data : str
        Zips or folders of labelled images; those for calibration are drawn evenly over the classes.
    output : str
        The JSON file for the figures.
    macs, importances, repairs, seeds : tuple
        Every combination is run; the seed draws the calibration images. A repair is "full", "batchnorm" or "none".
        torch-pruning's importances share the target out as it does: the same fraction of each width.
    classes : tuple of int
        Prune for these classes alone; all of them by default.
    calibration : int
        Calibration images, all classes together.
    images_for_choices : int
        The test images whose SHA-256 (of the file's bytes) sorts first, kept out of the reported figure.
    report_images : int
        The most test images in the reported figure.
    image_size, mean, std
        Preprocessing: side in pixels, and what each colour in [0, 1] is normalised with.
    """

    name: str
    checkpoint: str
    calibration_data: str
    test_data: str
    output: str
    data_root: str = os.environ.get("NCAPPS_DATA", "../shared")
    macs: tuple[float, ...] = (0.5,)
    importances: tuple[str, ...] = ("obs",)
    repairs: tuple[str, ...] = ("full",)
    classes: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (0,)
    calibration: int = 500
    images_for_choices: int = 1000
    report_images: int = 1_000_000
    image_size: int = 32
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)


def measure_pruning(settings: PruningSettings) -> dict[str, Any]:
    """Run every combination and return the settings, the environment and one row of figures for each.

    Raises
    ------
    InputError
        If the data sets have other classes than each other, a class has too few images, none are left to report on,
        or an image cannot be read.
    """
    root = Path(settings.data_root)
    model = build_model(BackboneSpec(name=settings.name, checkpoint=str(root / settings.checkpoint))).eval()
    train, test = open_images(root / settings.calibration_data), open_images(root / settings.test_data)
    (train_names, train_codes), (test_names, test_codes) = classes_of(train), classes_of(test)
    if train_names != test_names:
        raise InputError(
            f"calibration and test images must be of the same classes, but {train.name} has {', '.join(train_names)} "
            f"and {test.name} has {', '.join(test_names)}"
        )
    reported = reporting_positions(
        root / settings.test_data, test.keys, for_choices=settings.images_for_choices, most=settings.report_images
    )
    held_out = (_read(test, reported, settings), test_codes[reported])
    wanted = settings.classes or tuple(range(len(train_names)))
    pool = np.flatnonzero(np.isin(train_codes, wanted))
    rows = []
    for seed in settings.seeds:
        chosen = pool[draw_evenly(train_codes[pool], settings.calibration, np.random.default_rng(seed))]
        images = _read(train, chosen, settings)
        rows += list(_prune(model, (images, train_codes[chosen]), held_out, seed, settings))
    return {"settings": asdict(replace(settings, data_root="")), "environment": environment(), "rows": rows}


def reporting_positions(path: str | Path, keys: tuple[str, ...], *, for_choices: int, most: int) -> np.ndarray:
    """Return which images are not for choices, in the order of the SHA-256 of their files' bytes.

    Parameters
    ----------
    path : str or Path
        The zip or folder that the images lie in.
    keys : tuple of str
        Their names inside it.
    for_choices : int
        This many, the first in that order, are left out.
    most : int
        The most positions to return.

    Raises
    ------
    InputError
        If no image is left.
    """
    order = np.argsort(np.asarray([hashlib.sha256(data).hexdigest() for data in file_bytes(Path(path), keys)]))
    reported = order[for_choices:][:most]
    if not len(reported):
        raise InputError(f"{len(keys)} test images came and {for_choices} are for choices: none is left to report on")
    return reported


def draw_evenly(codes: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the shuffled positions of the same number of images of each class, `count` or a few fewer in all.

    Parameters
    ----------
    codes : ndarray
        The class index of each image.

    Raises
    ------
    InputError
        If `count` is less than one image a class, or a class has too few.
    """
    classes, sizes = np.unique(codes, return_counts=True)
    each = count // len(classes)
    if not 1 <= each <= sizes.min():
        raise InputError(
            f"calibration={count} is {each} images of each of {len(classes)} classes, but 1 to {sizes.min()} can be "
            f"drawn; choose from {len(classes)} to {len(classes) * sizes.min()}"
        )
    drawn = [rng.choice(np.flatnonzero(codes == k), each, replace=False) for k in classes]
    return rng.permutation(np.concatenate(drawn))


def _prune(
    model: nn.Module,
    chosen: tuple[torch.Tensor, np.ndarray],
    held_out: tuple[torch.Tensor, np.ndarray],
    seed: int,
    settings: PruningSettings,
) -> Iterator[dict[str, Any]]:
    images, codes = chosen
    for importance in settings.importances:
        for repair in settings.repairs:
            front = compress_front(
                model,
                images,
                codes,
                macs=settings.macs,
                importance=importance,
                allocation="uniform" if importance in TORCH_PRUNING else "loss",
                repair=REPAIRS[repair],
                calibration=len(images),
                held_out=held_out,
                classes=settings.classes or None,
                seed=seed,
            )
            for macs, small in zip(settings.macs, front, strict=True):
                row = _row(small)
                _logger.info(
                    "%s, repair %s, macs %.3f, seed %d: %.2f points lost on %d images, %.0f s",
                    importance, repair, row["macs_ratio"], seed, row["drop"], row["held_out_images"], row["seconds"],
                )  # fmt: skip
                yield {"importance": importance, "repair": repair, "macs": macs, "seed": seed, **row}


def _row(small: Compressed) -> dict[str, Any]:
    # The front says what the other rows say, and the profile is the dense network's in all of them.
    told = {k: v for k, v in asdict(small.report).items() if k not in ("front", "collapse_profile")}
    return {**told, "macs_ratio": small.report.macs_ratio}


def file_bytes(path: Path, keys: tuple[str, ...]) -> Iterator[bytes]:
    """Yield the bytes of the images in a zip or folder."""
    if path.is_dir():
        yield from ((path / key).read_bytes() for key in keys)
        return
    with zipfile.ZipFile(path) as archive:
        yield from (archive.read(key) for key in keys)


def classes_of(source: ImageSource) -> tuple[list[str], np.ndarray]:
    """Return the sorted class names, and the images' places among them.

    Raises
    ------
    InputError
        If the source has no labels.
    """
    if source.labels is None:
        raise InputError(f"{source.name} has no labels; put the images of each class into a folder of its own")
    names, codes = np.unique(np.asarray(source.labels), return_inverse=True)
    return [str(name) for name in names], codes


def read_images(source: ImageSource, positions: np.ndarray, preprocessing: Preprocessing) -> torch.Tensor:
    """Return images as the network's input.

    Raises
    ------
    InputError
        If one cannot be read.
    """
    read = [b.pixels for b in batches(source, positions.tolist(), preprocessing, batch_size=500, workers=0)]
    if sum(len(pixels) for pixels in read) < len(positions):
        missing = len(positions) - sum(len(pixels) for pixels in read)
        raise InputError(f"{missing} of {len(positions)} images of {source.name} cannot be read; mend or remove them")
    return preprocessing.normalise(torch.cat(read)).contiguous()


def _read(source: ImageSource, positions: np.ndarray, settings: PruningSettings) -> torch.Tensor:
    size = (settings.image_size, settings.image_size)
    return read_images(source, positions, Preprocessing(size=size, mean=settings.mean, std=settings.std))
