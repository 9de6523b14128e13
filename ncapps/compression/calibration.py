"""Calibration images: a fixed choice of a few hundred, checked once, served in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import nn

from ncapps.arrays import as_labels, to_numpy
from ncapps.errors import InputError

EVERY = 2**62
"""A limit that keeps all images."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Preprocessed images and, where known, their labels.

    Attributes
    ----------
    images : Tensor
        Float32 on the CPU, shape (images, channels, height, width).
    labels : ndarray or None
        One class name an image.
    batch_size : int
        Images in a batch of `batches`.
    """

    images: torch.Tensor
    labels: np.ndarray | None
    batch_size: int

    def __len__(self) -> int:
        return len(self.images)

    @property
    def codes(self) -> np.ndarray | None:
        """The labels where they are integers, such as a network's output indices; None otherwise."""
        return self.labels if self.labels is not None and self.labels.dtype.kind in "iu" else None

    def batches(self, device: torch.device) -> Iterator[torch.Tensor]:
        """Yield the images in order, on a device."""
        for batch in self.images.split(self.batch_size):
            yield batch.to(device)

    @torch.no_grad()
    def outputs(self, model: nn.Module) -> np.ndarray:
        """Return a network's outputs for all images, shape (images, outputs)."""
        device = next(model.parameters()).device
        return torch.cat([model(batch).flatten(1).cpu() for batch in self.batches(device)]).numpy()


def gather(images: Any, labels: Any, *, limit: int, batch_size: int, seed: int, name: str = "images") -> Calibration:
    """Return at most `limit` images out of a batch or an iterable of batches.

    Parameters
    ----------
    images : Tensor, ndarray, or iterable
        One float batch (images, channels, height, width), already preprocessed for the network; or an iterable of such
        batches or of (batch, labels) pairs, which is read until `limit` images have come.
    labels : array-like or None
        One label an image; taken from the pairs where these come.
    limit : int
        Out of one larger batch this many are drawn at random with `seed`, in their order.

    Raises
    ------
    InputError
        If there are no images, they are not a float batch of one size, a value is NaN or infinite, or the labels are
        of another number.
    """
    if limit < 1 or batch_size < 1:
        raise InputError(f"calibration and batch_size must be 1 or more, but {limit} and {batch_size} came")
    if not hasattr(images, "shape") and isinstance(images, Iterable) and not isinstance(images, (str, PathLike)):
        images, labels = _read(images, labels, limit)
    batch = _as_batch(images, name)
    names = None if labels is None else as_labels(labels, rows=len(batch))
    if len(batch) > limit:
        chosen = np.sort(np.random.default_rng(seed).choice(len(batch), size=limit, replace=False))
        batch = batch[torch.from_numpy(chosen)]
        names = None if names is None else names[chosen]
    if not bool(torch.isfinite(batch).all()):
        bad = int((~torch.isfinite(batch).flatten(1).all(dim=1)).sum())
        raise InputError(f"{name} hold NaN or infinity in {bad} of {len(batch)} images; was the preprocessing right?")
    return Calibration(images=batch, labels=names, batch_size=batch_size)


def gather_held_out(held_out: Any, *, batch_size: int, seed: int = 0) -> Calibration:
    """Return all held-out images, given as images or as a pair (images, labels).

    Raises
    ------
    InputError
        As `gather`.
    """
    pair = held_out if isinstance(held_out, (tuple, list)) and len(held_out) == 2 else (held_out, None)
    return gather(*pair, limit=EVERY, batch_size=batch_size, seed=seed, name="held_out images")


def _read(batches: Iterable[Any], labels: Any, limit: int) -> tuple[torch.Tensor, Any]:
    parts: list[torch.Tensor] = []
    found: list[Any] = []
    for batch in batches:
        if isinstance(batch, (tuple, list)) and len(batch) == 2:
            found.extend(to_numpy(batch[1]).tolist())
            batch = batch[0]
        parts.append(torch.as_tensor(batch))
        if sum(len(part) for part in parts) >= limit:
            break
    if not parts:
        raise InputError("there are no calibration images: the iterable gave no batch; some hundred images are needed")
    images = torch.cat(parts)[:limit]
    if labels is None and found:
        labels = found[: len(images)]
    elif labels is not None:
        labels = list(labels)[: len(images)]
    return images, labels


def _as_batch(images: Any, name: str) -> torch.Tensor:
    if not hasattr(images, "shape"):
        hint = "; `ncapps compress` reads folders" if isinstance(images, (str, PathLike)) else ""
        raise InputError(
            f"{name} must be a float batch or an iterable of batches, but {type(images).__name__} came{hint}"
        )
    batch = torch.as_tensor(images).detach()
    if batch.ndim != 4:
        raise InputError(
            f"{name} must have the shape (images, channels, height, width), but {tuple(batch.shape)} came"
            + ("; one image is images[None]" if batch.ndim == 3 else "")
        )
    if len(batch) == 0:
        raise InputError(f"there are no {name}: 0 came; some hundred images are needed")
    if not batch.is_floating_point():
        raise InputError(
            f"{name} must be floats, preprocessed for the network, but {batch.dtype} came; scale and normalise them"
        )
    return batch.to("cpu", torch.float32)
