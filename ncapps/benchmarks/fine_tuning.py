"""What fine-tuning adds to pruning without training, on test images that no choice was made on."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ncapps.benchmarks.environment import environment
from ncapps.benchmarks.pruning import classes_of, draw_evenly, read_images, reporting_positions
from ncapps.compression import Compressed, FineTuneSettings, compress, fine_tune, load_compressed
from ncapps.compression.calibration import gather
from ncapps.compression.drop import measure_drop
from ncapps.errors import InputError
from ncapps.features import BackboneSpec, ImageSource, Preprocessing, build_model, open_images


@dataclass(frozen=True, kw_only=True)
class FineTuningSettings:
    """A network, its target, and how it is trained further after the pruning.

    Parameters
    ----------
    name, checkpoint : str
        The timm name and the weights; paths are relative to `data_root`.
    train_data, test_data : str
        Zips or folders of labelled images of the same classes.
    output : str
        The folder for the networks, the checkpoint and the figures; a run that was interrupted goes on from there.
    macs : float
        The fraction of the operations to keep.
    calibration : int
        Training images for pruning and repair, drawn evenly over the classes.
    images : int, optional
        Training images to fine-tune on, drawn in the same way; all of them where left out.
    images_for_choices : int
        The test images whose SHA-256 (of the file's bytes) sorts first: the epoch is chosen by them, and they are kept
        out of the reported figure.
    report_images : int
        The most test images in the reported figure.
    seed : int
        Of the draws of images.
    image_size, mean, std
        Preprocessing: side in pixels, and what each colour in [0, 1] is normalised with.
    fine_tune : FineTuneSettings
        How to fine-tune.
    """

    name: str
    checkpoint: str
    train_data: str
    test_data: str
    output: str
    data_root: str = os.environ.get("NCAPPS_DATA", "../shared")
    macs: float = 0.5
    calibration: int = 500
    images: int | None = None
    images_for_choices: int = 1000
    report_images: int = 1_000_000
    seed: int = 0
    image_size: int = 32
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    fine_tune: FineTuneSettings = field(default_factory=FineTuneSettings)


def measure_fine_tuning(settings: FineTuningSettings, *, progress: bool = True) -> dict[str, Any]:
    """Prune, fine-tune, save both networks, and compare each with the dense one on images no choice was made on.

    Returns
    -------
    dict
        `epoch`: the one whose weights are kept, 0 = before the first; `history`: one row an epoch; `pruned` and
        `fine_tuned`: points lost with their 95 % interval, accuracy and agreement, on the reported images.

    Raises
    ------
    InputError
        If the two data sets have other classes, too few images, or one that cannot be read; or as `fine_tune`.
    """
    root, output = Path(settings.data_root), Path(settings.output)
    model = build_model(BackboneSpec(name=settings.name, checkpoint=str(root / settings.checkpoint))).eval()
    train, test = open_images(root / settings.train_data), open_images(root / settings.test_data)
    (names, codes), (test_names, test_codes) = classes_of(train), classes_of(test)
    if names != test_names:
        raise InputError(
            f"training and test images must be of the same classes, but {train.name} has {', '.join(names)} "
            f"and {test.name} has {', '.join(test_names)}"
        )
    reported = reporting_positions(
        root / settings.test_data, test.keys, for_choices=settings.images_for_choices, most=len(test)
    )
    chosen = np.setdiff1d(np.arange(len(test)), reported)
    rng = np.random.default_rng(settings.seed)
    calibration = draw_evenly(codes, settings.calibration, rng)
    taught = np.arange(len(train)) if settings.images is None else draw_evenly(codes, settings.images, rng)
    small = _pruned(model, _read(train, calibration, settings), codes[calibration], settings, output, progress)
    tuned = fine_tune(
        small,
        model,
        _read(train, taught, settings),
        codes[taught],
        settings=settings.fine_tune,
        held_out=(_read(test, chosen, settings), test_codes[chosen]) if len(chosen) else None,
        checkpoint=output / "checkpoint.safetensors",
        progress=progress,
    )
    tuned.compressed.save(output / "fine_tuned.safetensors")
    reported = reported[: settings.report_images]
    figures = _figures(
        model, (small.model, tuned.compressed.model), _read(test, reported, settings), test_codes[reported]
    )
    return {
        "settings": asdict(replace(settings, data_root="")),
        "environment": environment(),
        "macs_ratio": small.report.macs_ratio,
        "epoch": tuned.epoch,
        "history": [asdict(record) for record in tuned.history],
        "pruned": figures[0],
        "fine_tuned": figures[1],
    }


def _pruned(
    model: nn.Module,
    images: torch.Tensor,
    codes: np.ndarray,
    settings: FineTuningSettings,
    output: Path,
    progress: bool,
) -> Compressed:
    """Return the pruned network, from its file where an earlier run with the same settings left one."""
    file = output / f"pruned-{_digest(model, settings)}.safetensors"
    if file.exists():
        return load_compressed(file, model)
    small = compress(
        model, images, codes, macs=settings.macs, calibration=len(images), seed=settings.seed, progress=progress
    )
    small.save(file)
    return small


def _digest(model: nn.Module, settings: FineTuningSettings) -> str:
    """Return what names the pruned network: whatever else changes, a run goes on from the very same one."""
    free = ("output", "data_root", "images", "images_for_choices", "report_images", "fine_tune", "test_data")
    decisive = {name: value for name, value in asdict(settings).items() if name not in free}
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
    for tensor in model.state_dict().values():
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def _figures(
    dense: nn.Module, networks: tuple[nn.Module, ...], images: torch.Tensor, codes: np.ndarray
) -> list[dict[str, Any]]:
    held = gather(images, codes, limit=len(images), batch_size=256, seed=0)
    before = held.outputs(dense)
    drops = [measure_drop(before, held.outputs(network), codes) for network in networks]
    return [
        {
            "drop": drop.points,
            "drop_interval": drop.interval,
            "accuracy_before": drop.accuracy_before,
            "accuracy_after": drop.accuracy_after,
            "agreement": drop.agreement,
            "images": drop.images,
        }
        for drop in drops
    ]


def _read(source: ImageSource, positions: np.ndarray, settings: FineTuningSettings) -> torch.Tensor:
    size = (settings.image_size, settings.image_size)
    return read_images(source, positions, Preprocessing(size=size, mean=settings.mean, std=settings.std))
