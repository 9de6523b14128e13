"""How fast the extractor is: against the bare forward pass, against the plain timm loop, and from JPEG files."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ncapps.errors import InputError
from ncapps.features import Backbone, FeatureExtractor, Preprocessing

Arms = dict[str, Callable[[], object]]


@dataclass(frozen=True, kw_only=True)
class ExtractionSettings:
    """What to time.

    Parameters
    ----------
    models : tuple of str
        Timm names; random weights do.
    size : int
        Side of the images in memory, pixels.
    seconds : float
        About how long one turn of one arm is to take; it fixes the number of images.
    rounds : int
        Turns of each arm, taken alternately.
    threads : int
        Torch's threads; 0 leaves torch's own choice.
    jpegs : int
        Photos on disk for the third comparison; 0 leaves it out.
    jpeg_models : tuple of str
        Timm names for the third comparison.
    long_job : int
        Images of the job whose time is reckoned with compiling included.
    seed : int
        For weights, images and crops.
    """

    models: tuple[str, ...] = ("resnet18", "convnext_atto", "vit_tiny_patch16_224", "mobilenetv3_small_100")
    size: int = 224
    seconds: float = 1.0
    rounds: int = 15
    threads: int = 0
    jpegs: int = 400
    jpeg_models: tuple[str, ...] = ("resnet18", "mobilenetv3_small_100")
    long_job: int = 100_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.seconds <= 0:
            raise InputError(f"rounds and seconds must be positive, but {self.rounds} and {self.seconds} came")


def measure_model(name: str, settings: ExtractionSettings) -> dict[str, Any]:
    """Return images a second of the extractor, of the bare forward pass and of the plain loop, and their ratios.

    - bare: the network as the extractor runs it (precision, batch, compiler, replicas), on one batch that is ready;
    - extractor: `FeatureExtractor.extract` from an array in memory, features and logits out, once compiled;
    - plain: timm's model as created, float32, uncompiled, batches of 64, normalised batch by batch.
    """
    with _threads(settings.threads):
        backbone = _backbone(name, settings)
        extractor = FeatureExtractor(backbone, compile=True, progress=False)
        images = _pictures(extractor.batch_size, settings)
        start = time.perf_counter()
        extractor.extract(images)
        compiling = time.perf_counter() - start
        seconds = min(_time(lambda: extractor.extract(images)) for _ in range(5))
        repeats = max(1, round(settings.seconds / seconds))
        images = np.concatenate([images] * repeats)
        arms: Arms = {
            "bare": _bare(extractor, images),
            "extractor": lambda: extractor.extract(images),
            "plain": _plain(backbone, images),
        }
        times = _alternate(arms, settings.rounds)
    rate = {arm: len(images) / min(turns) for arm, turns in times.items()}
    return {
        "model": name,
        "precision": extractor.precision,
        "device": str(extractor.device),
        "batch_size": extractor.batch_size,
        "images": len(images),
        "images_per_second": rate,
        "of_bare": _ratio(times, "bare", "extractor"),
        "times_plain": _ratio(times, "plain", "extractor"),
        "compile_seconds": compiling,
        "times_plain_on_long_job": (settings.long_job / rate["plain"])
        / (compiling + settings.long_job / rate["extractor"]),
        "seconds": times,
    }


def measure_jpegs(name: str, settings: ExtractionSettings) -> dict[str, Any]:
    """Return images a second from JPEG files, of the extractor and of ImageFolder, DataLoader and a float32 loop."""
    with tempfile.TemporaryDirectory() as folder, _threads(settings.threads):
        write_photos(Path(folder), settings.jpegs, settings.seed)
        backbone = _backbone(name, settings)
        extractor = FeatureExtractor(backbone, compile=True, progress=False)
        extractor.extract(_pictures(extractor.batch_size, settings))
        workers = torch.get_num_threads()
        arms: Arms = {
            "extractor": lambda: extractor.extract(folder),
            "usual": _usual(backbone, folder, workers),
        }
        times = _alternate(arms, settings.rounds)
    return {
        "model": name,
        "photos": settings.jpegs,
        "images_per_second": {arm: settings.jpegs / min(turns) for arm, turns in times.items()},
        "times_usual": _ratio(times, "usual", "extractor"),
        "seconds": times,
    }


def write_photos(folder: Path, count: int, seed: int) -> None:
    """Write crops of scikit-learn's two sample photos as JPEG files of 500 x 400 pixels, in two class folders."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(seed)
    photos = load_sample_images().images
    for number in range(count):
        photo = photos[number % 2]
        top, left = rng.integers(0, photo.shape[0] - 400), rng.integers(0, photo.shape[1] - 500)
        target = folder / ("temple", "flower")[number % 2]
        target.mkdir(exist_ok=True)
        Image.fromarray(photo[top : top + 400, left : left + 500]).save(target / f"{number:05d}.jpg", quality=90)


def _backbone(name: str, settings: ExtractionSettings) -> Backbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return Backbone(name, pretrained=False, preprocessing={"size": settings.size, "crop_pct": 0.875})


def _pictures(count: int, settings: ExtractionSettings) -> np.ndarray:
    rng = np.random.default_rng(settings.seed)
    return rng.integers(0, 256, (count, settings.size, settings.size, 3), dtype=np.uint8)


def _bare(extractor: FeatureExtractor, images: np.ndarray) -> Callable[[], object]:
    """Return a loop of the extractor's own network, compiled alone, over a batch that is normalised already."""
    runtime = extractor._ready()
    trunk = runtime.bare()
    size = runtime.batch_size
    batch = extractor.backbone.preprocessing.normalise(torch.from_numpy(images[:size]).to(extractor.device))

    def run() -> None:
        for _ in range(len(images) // size):
            last = trunk(batch)
        last.cpu()  # a device works on its own: wait for it

    run()
    return run


def _plain(backbone: Backbone, images: np.ndarray) -> Callable[[], object]:
    device = next(backbone.model.parameters()).device
    model, normalise = backbone.model.eval(), _plain_normalise(backbone.preprocessing, device)

    @torch.inference_mode()
    def run() -> None:
        features = []
        for start in range(0, len(images), 64):
            batch = normalise(torch.from_numpy(images[start : start + 64]).to(device))
            features.append(_features(model, batch))
        torch.cat(features)

    return run


def _plain_normalise(preprocessing: Preprocessing, device: torch.device) -> Callable[[Tensor], Tensor]:
    mean = torch.tensor(preprocessing.mean, device=device)[:, None, None]
    std = torch.tensor(preprocessing.std, device=device)[:, None, None]
    return lambda pixels: (pixels.permute(0, 3, 1, 2).contiguous().float() / 255 - mean) / std


def _usual(backbone: Backbone, folder: str, workers: int) -> Callable[[], object]:
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    settings, model = backbone.preprocessing, backbone.model.eval()
    steps = [
        transforms.Resize(int(settings.size[0] / settings.crop_pct), transforms.InterpolationMode.BICUBIC),
        transforms.CenterCrop(settings.size),
        transforms.ToTensor(),
        transforms.Normalize(settings.mean, settings.std),
    ]

    @torch.inference_mode()
    def run() -> None:
        photos = ImageFolder(folder, transforms.Compose(steps))
        loader = DataLoader(photos, batch_size=64, num_workers=workers)
        torch.cat([_features(model, batch) for batch, _ in loader])

    return run


def _features(model: Any, batch: Tensor) -> Tensor:
    return model.forward_head(model.forward_features(batch), pre_logits=True)


def _alternate(arms: Arms, rounds: int) -> dict[str, list[float]]:
    for run in arms.values():
        run()
    times: dict[str, list[float]] = {arm: [] for arm in arms}
    for _ in range(rounds):
        for arm, run in arms.items():
            times[arm].append(_time(run))
    return times


def _time(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _ratio(times: dict[str, list[float]], slow: str, fast: str) -> dict[str, float]:
    pairs = [a / b for a, b in zip(times[slow], times[fast], strict=True)]
    return {"by_minima": min(times[slow]) / min(times[fast]), "median_of_rounds": statistics.median(pairs)}


class _threads:  # noqa: N801
    """Torch's number of threads inside the block; 0 changes nothing."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __enter__(self) -> None:
        self.before = torch.get_num_threads()
        if self.number:
            torch.set_num_threads(self.number)

    def __exit__(self, *error: object) -> None:
        torch.set_num_threads(self.before)
