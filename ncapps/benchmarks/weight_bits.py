"""Do collapsed networks bear fewer bits? Weight sweeps of a network trained to collapse and of one stopped early."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch

from ncapps.benchmarks.environment import environment
from ncapps.compression import quantize_weights
from ncapps.compression.drop import Drop, measure_drop
from ncapps.errors import InputError
from ncapps.features import ImageSource, open_images, split_by_class
from ncapps.training import TrainResult, TrainSettings, train

_logger = logging.getLogger(__name__)
COLLAPSED, STOPPED = "collapsed", "stopped early"
ROUNDINGS = ("nearest", "absorbing")


@dataclass(frozen=True, kw_only=True)
class WeightBitsSettings:
    """Two trainings of the same network on the same images, and the bits to round their weights to.

    Parameters
    ----------
    output : str
        The JSON file for the figures.
    data : str
        Labelled images, as `open_images` takes them: 60 % of each class are trained on, the others reported on.
    train : TrainSettings
        The training to collapse.
    stopped_epochs : int
        Epochs of the other one, schedule and all.
    bits : tuple of int
        Bits a weight, 2 to 8.
    seeds : tuple of int
        Each splits, trains and rounds anew; their images are pooled.
    calibration : int
        Training images that absorb the rounding errors.
    """

    output: str
    data: str = "digits"
    train: TrainSettings = field(default_factory=TrainSettings)
    stopped_epochs: int = 8
    bits: tuple[int, ...] = (8, 6, 5, 4, 3, 2)
    seeds: tuple[int, ...] = (0, 1, 2)
    calibration: int = 512

    def __post_init__(self) -> None:
        if not 1 <= self.stopped_epochs < self.train.epochs:
            raise InputError(
                f"stopped_epochs must be 1 or more and below the {self.train.epochs} epochs of the training to "
                f"collapse, but {self.stopped_epochs} came"
            )
        if not self.bits or not self.seeds:
            raise InputError("bits and seeds must name one or more each")


def measure_weight_bits(settings: WeightBitsSettings) -> dict[str, Any]:
    """Train, round, and count what each network loses on images that it was not trained on.

    Returns
    -------
    dict
        `networks`: one row a training, with its NC1 and accuracy; `rows`: one for each training, number of bits and
        way of rounding; `pooled`: the same over all seeds, with 95 % intervals; `claim`: at each number of bits,
        whether the collapsed networks lose less than those stopped early, by intervals that do not touch.
    """
    rows: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    for seed in settings.seeds:
        source = open_images(settings.data)
        parts = split_by_class(source.labels, (0.6, 0.2, 0.2), seed)
        fit, held_out = source.select(parts[0]), source.select(np.concatenate(parts[1:]))
        for arm, epochs in ((COLLAPSED, settings.train.epochs), (STOPPED, settings.stopped_epochs)):
            trained = train(replace(settings.train, epochs=epochs, seed=seed), fit, progress=False)
            last = trained.history[-1]
            outputs = list(_round(trained, fit, held_out, settings))
            rows += [{"arm": arm, "seed": seed, **row} for row in outputs]
            networks.append(
                {
                    "arm": arm, "seed": seed, "epochs": epochs, "nc1": last.nc1, "nc2": last.nc2_equiangularity,
                    "nc3": last.nc3, "train_accuracy": last.train_accuracy, "accuracy": outputs[0]["accuracy_before"],
                }
            )  # fmt: skip
            _logger.info("%s seed %d: NC1 %.3g, accuracy %.2f %%", arm, seed, last.nc1, 100 * networks[-1]["accuracy"])
    pooled = _pooled(rows, settings)
    return {
        "settings": asdict(settings),
        "environment": environment(),
        "networks": networks,
        "rows": rows,
        "pooled": pooled,
        "claim": _claim(pooled, settings),
    }


def _round(
    trained: TrainResult, fit: ImageSource, held_out: ImageSource, settings: WeightBitsSettings
) -> Iterator[dict[str, Any]]:
    images, labels = _batch(trained, held_out)
    calibration, _ = _batch(trained, fit)
    before = _outputs(trained.model, images)
    for bits in settings.bits:
        for rounding in ROUNDINGS:
            given = calibration if rounding == "absorbing" else None
            rough = quantize_weights(trained.model, bits, given, calibration=settings.calibration)
            after = _outputs(rough, images)
            drop = measure_drop(before, after, labels)
            yield {"bits": bits, "rounding": rounding, **_figures(drop), "output_error": _error(before, after)}


def _figures(drop: Drop) -> dict[str, Any]:
    return {
        **asdict(drop),
        "points": drop.points,
        "interval": drop.interval,
        "agreement": drop.agreement,
        "accuracy_before": drop.accuracy_before,
        "accuracy_after": drop.accuracy_after,
    }


def _error(before: np.ndarray, after: np.ndarray) -> float:
    """Return the relative error of the outputs, each image's mean taken out: softmax is blind to it."""
    centred = [outputs - outputs.mean(axis=1, keepdims=True) for outputs in (before, after)]
    return float(np.linalg.norm(centred[1] - centred[0]) / np.linalg.norm(centred[0]))


def _batch(trained: TrainResult, source: ImageSource) -> tuple[torch.Tensor, np.ndarray]:
    preprocessing = trained.backbone.preprocessing
    pixels = np.stack([preprocessing.pixels(source.read(index)) for index in range(len(source))])
    codes = np.searchsorted(np.asarray(trained.classes), np.asarray(source.labels))
    return preprocessing.normalise(torch.from_numpy(pixels)), codes


@torch.inference_mode()
def _outputs(model: torch.nn.Module, images: torch.Tensor) -> np.ndarray:
    return torch.cat([model(batch) for batch in images.split(256)]).double().numpy()


def _pooled(rows: list[dict[str, Any]], settings: WeightBitsSettings) -> list[dict[str, Any]]:
    found = []
    for arm in (COLLAPSED, STOPPED):
        for bits in settings.bits:
            for rounding in ROUNDINGS:
                wanted = (arm, bits, rounding)
                part = [row for row in rows if (row["arm"], row["bits"], row["rounding"]) == wanted]
                counts = ("images", "lost", "gained", "right_before", "changed")
                drop = Drop(**{name: sum(row[name] for row in part) for name in counts})
                error = float(np.mean([row["output_error"] for row in part]))
                found.append({"arm": arm, "bits": bits, "rounding": rounding, **_figures(drop), "output_error": error})
    return found


def _claim(pooled: list[dict[str, Any]], settings: WeightBitsSettings) -> list[dict[str, Any]]:
    by_key = {(row["arm"], row["bits"], row["rounding"]): row for row in pooled}
    found = []
    for rounding in ROUNDINGS:
        for bits in settings.bits:
            collapsed, stopped = (by_key[arm, bits, rounding] for arm in (COLLAPSED, STOPPED))
            if collapsed["interval"][1] < stopped["interval"][0]:
                verdict = "collapsed networks lose less"
            elif stopped["interval"][1] < collapsed["interval"][0]:
                verdict = "collapsed networks lose more"
            else:
                verdict = "no difference shown"
            found.append(
                {
                    "bits": bits, "rounding": rounding, "collapsed": collapsed["points"], "stopped": stopped["points"],
                    "verdict": verdict,
                }
            )  # fmt: skip
    return found
