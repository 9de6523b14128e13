"""Prune a trained network without training and measure it on images it has not seen; writes one JSON file.

python recipes/compress.py --config configs/compress/resnet56_cifar10.yaml --data_root ../shared
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ncapps import config, persist
from ncapps.compression import compress
from ncapps.features import BackboneSpec, ImageSource, Preprocessing, build_model, open_images
from ncapps.features.loader import batches

_log = logging.getLogger("compress")


@dataclass(frozen=True, kw_only=True)
class CompressSettings:
    """A network, its calibration and test images, and the targets to try.

    Parameters
    ----------
    name, checkpoint : str
        The timm name and the weights; paths are relative to `data_root`.
    calibration_data, test_data : str
        Labelled images; those for calibration are drawn evenly over the classes.
    macs, importances, seeds : tuple
        Every combination is run; the seed draws the calibration images.
    images_for_choices : int
        The test images whose SHA-256 (of the file's bytes) sorts first, kept out of the reported figure.
    report_images : int
        The most test images in the reported figure.
    """

    name: str
    checkpoint: str
    calibration_data: str
    test_data: str
    output: str
    data_root: str = os.environ.get("NCAPPS_DATA", "../shared")
    macs: tuple[float, ...] = (0.5,)
    importances: tuple[str, ...] = ("obs",)
    seeds: tuple[int, ...] = (0,)
    calibration: int = 500
    images_for_choices: int = 1000
    report_images: int = 1_000_000
    image_size: int = 32
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)


def read(source: ImageSource, positions: np.ndarray, settings: CompressSettings) -> torch.Tensor:
    """Return images as the network's input."""
    size = (settings.image_size, settings.image_size)
    preprocessing = Preprocessing(size=size, mean=settings.mean, std=settings.std)
    pixels = torch.cat(
        [b.pixels for b in batches(source, positions.tolist(), preprocessing, batch_size=500, workers=0)]
    )
    return preprocessing.normalise(pixels).contiguous()


def reporting_positions(path: Path, source: ImageSource, settings: CompressSettings) -> np.ndarray:
    """Return the test images that are not for choices, in the order of their hashes."""
    with zipfile.ZipFile(path) as archive:
        digests = [hashlib.sha256(archive.read(key)).hexdigest() for key in source.keys]
    order = np.argsort(np.asarray(digests))[settings.images_for_choices :]
    return order[: settings.report_images]


def codes_of(source: ImageSource) -> np.ndarray:
    """Return class indices in the order of the sorted class names."""
    return np.unique(np.asarray(source.labels), return_inverse=True)[1]


def main() -> None:
    """Run every combination and write the figures."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = config.parse(CompressSettings)
    root = Path(settings.data_root)
    model = build_model(BackboneSpec(name=settings.name, checkpoint=str(root / settings.checkpoint))).eval()
    train, test = open_images(root / settings.calibration_data), open_images(root / settings.test_data)
    reported = reporting_positions(root / settings.test_data, test, settings)
    held_out = (read(test, reported, settings), codes_of(test)[reported])
    train_codes = codes_of(train)
    rows = []
    for seed in settings.seeds:
        rng = np.random.default_rng(seed)
        each = settings.calibration // len(np.unique(train_codes))
        drawn = [rng.choice(np.flatnonzero(train_codes == k), each, replace=False) for k in np.unique(train_codes)]
        chosen = rng.permutation(np.concatenate(drawn))
        images = read(train, chosen, settings)
        for importance in settings.importances:
            for macs in settings.macs:
                small = compress(
                    model, images, train_codes[chosen], macs=macs, importance=importance,
                    calibration=len(images), held_out=held_out, seed=seed,
                )  # fmt: skip
                report = small.report
                before, after = report.held_out_accuracy_before or 0.0, report.held_out_accuracy_after or 0.0
                rows.append({"importance": importance, "macs": macs, "seed": seed, **asdict(report)})
                rows[-1] |= {"macs_ratio": report.macs_ratio, "drop_points": 100 * (before - after)}
                _log.info(
                    "%s macs %.3f seed %d: %.2f %% -> %.2f %% (%d images), %.0f s",
                    importance, report.macs_ratio, seed, 100 * before, 100 * after, len(reported), report.seconds,
                )  # fmt: skip
    result = {"settings": asdict(replace(settings, data_root="")), "torch": torch.__version__, "rows": rows}
    persist.write_text(settings.output, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
