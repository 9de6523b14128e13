"""Images to batches of uint8 pixels: straight from memory, in this process, or decoded by worker processes."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ncapps.errors import InputError
from ncapps.features.pixels import UnreadableImage
from ncapps.features.preprocessing import Preprocessing
from ncapps.features.source import ImageSource, Subset

_MOST_WORKERS = 16


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Pixels of the images that could be read, and a note on those that could not.

    Parameters
    ----------
    pixels : Tensor
        uint8, shape (images, height, width, channels).
    positions : tuple of int
        Where each of them stands in the source.
    unreadable : tuple of (int, str)
        Position and reason of each image that could not be read.
    """

    pixels: Tensor
    positions: tuple[int, ...]
    unreadable: tuple[tuple[int, str], ...]

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory; the data loader calls it."""
        return replace(self, pixels=self.pixels.pin_memory())


class _Decoder(Dataset[Any]):
    """A data set whose unit is the batch, so that pixels are written once, into the batch's own memory."""

    def __init__(self, source: ImageSource, preprocessing: Preprocessing) -> None:
        self.source = source
        self.preprocessing = preprocessing

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        height, width = self.preprocessing.size
        pixels = torch.empty((len(positions), height, width, len(self.preprocessing.mean)), dtype=torch.uint8)
        rows = pixels.numpy()
        kept: list[int] = []
        unreadable: list[tuple[int, str]] = []
        hint = self.preprocessing.hint_size
        for position in positions:
            try:
                rows[len(kept)] = self.preprocessing.pixels(self.source.read(position, hint))
                kept.append(position)
            except UnreadableImage as error:
                unreadable.append((position, error.reason))
        return Batch(pixels=pixels[: len(kept)], positions=tuple(kept), unreadable=tuple(unreadable))


def batches(
    source: ImageSource,
    positions: Sequence[int],
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    workers: int | str = "auto",
    pin_memory: bool = False,
) -> Iterator[Batch]:
    """Yield the images at `positions` in order, `batch_size` at a time.

    Parameters
    ----------
    source : ImageSource
        Where the images come from.
    positions : sequence of int
        Which of them, in which order.
    preprocessing : Preprocessing
        What makes pixels of the network's size of them.
    batch_size : int
        Images a batch; unreadable ones leave a batch smaller, never shift another image into their place.
    workers : int or "auto"
        Processes that decode; 0 decodes in this one. "auto" counts cores and images.
    pin_memory : bool
        Page-locked memory, for CUDA.
    """
    array, rows = _ready_pixels(source, preprocessing)
    if array is not None:
        for start in range(0, len(positions), batch_size):
            chunk = positions[start : start + batch_size]
            yield Batch(pixels=_rows(array, rows[np.asarray(chunk)]), positions=tuple(chunk), unreadable=())
        return
    decoder = _Decoder(source, preprocessing)
    chunks = [list(positions[start : start + batch_size]) for start in range(0, len(positions), batch_size)]
    processes = choose_workers(workers, len(positions), len(chunks))
    if processes == 0:
        for chunk in chunks:
            yield decoder.__getitems__(chunk)
        return
    loader = DataLoader(
        decoder,
        batch_sampler=chunks,
        num_workers=processes,
        collate_fn=_as_it_is,
        pin_memory=pin_memory,
        # Own generator: seeding the workers must not move torch's global random state.
        generator=torch.Generator().manual_seed(0),
        # Forking needs no guard in the caller's script; the workers use neither CUDA nor torch's threads.
        multiprocessing_context="fork" if sys.platform == "linux" else None,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning)
        iterator = iter(loader)
    yield from iterator


def choose_workers(workers: int | str, images: int, chunks: int) -> int:
    """Return the number of decoding processes: with "auto" none for a few images, else one a core, 16 at most.

    Raises
    ------
    InputError
        If it is neither "auto" nor a number from 0.
    """
    if workers == "auto":
        if images < 128:
            return 0
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(cores, chunks, _MOST_WORKERS)
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
        raise InputError(f"workers must be 'auto' or a number from 0, but {workers!r} came")
    return min(workers, chunks)


def _as_it_is(batch: Any) -> Any:
    return batch


def _ready_pixels(source: ImageSource, preprocessing: Preprocessing) -> tuple[np.ndarray | None, np.ndarray]:
    """Return an array that holds the network's input already, and the row of each image in it."""
    rows = np.arange(len(source))
    if isinstance(source, Subset):
        source, rows = source.source, np.asarray(source.indices)
    array = getattr(source, "images", None)
    shape = (*preprocessing.size, len(preprocessing.mean))
    if isinstance(array, np.ndarray) and array.dtype == np.uint8 and array.shape[1:] == shape:
        return array, rows
    return None, rows


def _rows(array: np.ndarray, rows: np.ndarray) -> Tensor:
    """Return rows as a tensor, without a copy where they lie side by side."""
    if len(rows) and array.flags.writeable and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return torch.from_numpy(array[rows[0] : rows[-1] + 1])
    return torch.from_numpy(array[rows])
