"""Training images decoded once into one uint8 tensor, so that an epoch costs no decoding and no worker processes."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ncapps.arrays import Label, as_labels, native, sorted_names
from ncapps.errors import InputError
from ncapps.features.decode import UnreadableImage
from ncapps.features.images import ImageSource, open_images
from ncapps.features.preprocessing import Preprocessing

_logger = logging.getLogger(__name__)

MEMORY_LIMIT = 4 * 2**30
"""Bytes of pixels that are kept in memory; more go to a temporary file that the system pages in as needed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Images at the network's size with the positions of their classes.

    Parameters
    ----------
    pixels : Tensor
        uint8, (images, height, width, channels).
    targets : Tensor
        Positions in `classes`, (images,).
    classes : tuple of str or of int
        Class names, sorted.
    skipped : tuple of (key, reason)
        Images that could not be read; they are nowhere else.
    """

    pixels: Tensor
    targets: Tensor
    classes: tuple[Label, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: torch.device) -> Dataset:
        """Return the same images on a device, where they are few enough to lie there whole."""
        if device.type == "cpu" or self.pixels.nbytes > MEMORY_LIMIT:
            return self
        pixels, targets = self.pixels.to(device), self.targets.to(device)
        return Dataset(pixels=pixels, targets=targets, classes=self.classes, skipped=self.skipped)

    def fingerprint(self) -> str:
        """Return a SHA-256 over names, labels and at most 1024 evenly spread images: tells data sets apart cheaply."""
        digest = hashlib.sha256(repr((self.classes, tuple(self.pixels.shape))).encode())
        digest.update(self.targets.cpu().numpy().tobytes())
        step = max(1, len(self) // 1024)
        digest.update(self.pixels[::step].cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def subset(self, at_most: int, seed: int) -> Tensor:
        """Return positions of at most so many images, the classes' shares kept, the same ones for the same seed."""
        if len(self) <= at_most:
            return torch.arange(len(self))
        order = np.random.default_rng(seed).permutation(len(self))
        targets = self.targets.cpu().numpy()[order]
        ranked = np.empty(len(self))
        for target in range(len(self.classes)):
            own = np.flatnonzero(targets == target)
            ranked[own] = (np.arange(len(own)) + 0.5) / max(1, len(own))
        return torch.from_numpy(np.sort(order[np.argsort(ranked, kind="stable")[:at_most]]))


def read_dataset(
    images: Any,
    labels: Any,
    preprocessing: Preprocessing,
    *,
    classes: tuple[Label, ...] | None = None,
    progress: bool = False,
) -> Dataset:
    """Decode images to the network's size.

    Parameters
    ----------
    images : ImageSource, array, path or name
        What `ncapps.features.images.open_images` takes.
    labels : array-like, optional
        One class name an image; the source's own where left out.
    classes : tuple, optional
        The class names that may occur, sorted; those that do occur where left out.

    Raises
    ------
    InputError
        If labels are missing or of another number, a class is not among `classes`, or no image can be read.
    """
    source = open_images(images, labels)
    if source.labels is None:
        raise InputError(
            f"training needs labels, but {source.name} has none; give labels, or a folder of class folders"
        )
    names = as_labels(source.labels, len(source))
    known = sorted_names(np.unique(names)) if classes is None else classes
    unknown = sorted({str(native(name)) for name in names} - {str(name) for name in known})
    if unknown:
        raise InputError(f"validation images have the class(es) {', '.join(unknown)}, which the training images lack")
    pixels, kept, skipped = _decode(source, preprocessing, progress)
    positions = {name: place for place, name in enumerate(known)}
    targets = torch.tensor([positions[native(names[index])] for index in kept])
    return Dataset(pixels=pixels, targets=targets, classes=known, skipped=tuple(skipped))


def _decode(
    source: ImageSource, preprocessing: Preprocessing, progress: bool
) -> tuple[Tensor, list[int], list[tuple[str, str]]]:
    """Return the pixels of the readable images, their positions in the source, and the ledger of the others."""
    pixels = _room((len(source), *preprocessing.size, len(preprocessing.mean)))
    kept: list[int] = []
    skipped: list[tuple[str, str]] = []
    for index in tqdm(
        range(len(source)), desc="reading", unit="image", disable=None if progress else True, leave=False
    ):
        try:
            image = source.read(index)
        except UnreadableImage as error:
            skipped.append((source.keys[index], error.reason))
            _logger.warning("%s: %s is left out: %s", source.name, source.keys[index], error.reason)
            continue
        pixels[len(kept)] = torch.from_numpy(preprocessing.pixels(image).copy())
        kept.append(index)
    if not kept:
        raise InputError(f"none of the {len(source)} images of {source.name} can be read")
    return pixels[: len(kept)], kept, skipped


def _room(shape: tuple[int, ...]) -> Tensor:
    size = int(np.prod(shape))
    if size <= MEMORY_LIMIT:
        return torch.empty(shape, dtype=torch.uint8)
    with tempfile.TemporaryDirectory(prefix="ncapps-") as folder:
        # The mapping outlives the file's name, so nothing is left behind, however the run ends.
        _logger.info("%.1f GiB of pixels are kept in a temporary file", size / 2**30)
        flat = torch.from_file(str(Path(folder) / "pixels"), shared=True, size=size, dtype=torch.uint8)
    return flat.view(shape)
