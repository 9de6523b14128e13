"""One pass over images: batches from the loader through the runtime, rows and ledger out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from tqdm.auto import tqdm

from ncapps.errors import InputError
from ncapps.features.backbone import Backbone
from ncapps.features.loader import Batch, batches
from ncapps.features.records import Features, Skipped
from ncapps.features.runtime import COMPILE_PAYS_AFTER, Runtime
from ncapps.features.source import ImageSource

_logger = logging.getLogger(__name__)
_NOT_FINITE = "its features are not finite (NaN or infinity)"


class Pass:
    """Features of a source's images, part by part, under one progress bar.

    Parameters
    ----------
    source : ImageSource
        The images.
    runtime : Runtime
        The network, ready to run.
    backbone : Backbone
        Its preprocessing and head.
    images : int
        How many images all parts have together.
    batch_size, workers, compile, progress
        As in `FeatureExtractor`.
    """

    def __init__(
        self,
        source: ImageSource,
        runtime: Runtime,
        backbone: Backbone,
        *,
        images: int,
        batch_size: int,
        workers: int | str,
        compile: bool | str,  # noqa: A002
        progress: bool,
    ) -> None:
        self.source = source
        self.runtime = runtime
        self.backbone = backbone
        self.images = images
        self.batch_size = batch_size
        self.workers = workers
        self.compile = compile
        self._decided = False
        self._bar: Any = tqdm(
            total=images, unit="img", desc="features", disable=not (progress and sys.stderr.isatty()), leave=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def part(self, positions: Sequence[int]) -> Features:
        """Return the features of the images at these positions, in order."""
        rows: list[np.ndarray] = [np.zeros((0, self.backbone.feature_dim), np.float32)]
        kept: list[int] = []
        failed: list[tuple[int, str]] = []
        stream = batches(
            self.source,
            positions,
            self.backbone.preprocessing,
            batch_size=self.batch_size,
            workers=self.workers,
            pin_memory=self.runtime.device.type == "cuda",
        )
        for batch in stream:
            if batch.positions:
                self._decide(batch)
                values, finite = self._features(batch)
                rows.append(values[finite])
                kept.extend(position for position, good in zip(batch.positions, finite, strict=True) if good)
                failed.extend((p, _NOT_FINITE) for p, good in zip(batch.positions, finite, strict=True) if not good)
            failed.extend(batch.unreadable)
            self._bar.update(len(batch.positions) + len(batch.unreadable))
        return self._table(np.concatenate(rows), kept, sorted(failed))

    def _features(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        values = self.runtime.features(batch.pixels).numpy()
        finite = np.asarray(np.isfinite(values).all(axis=1))
        if not finite.any():
            raise InputError(
                f"{self.backbone.tag} gives NaN or infinity for all {len(values)} images of a batch; "
                "did it overflow in half precision (say precision='float32'), or are its weights damaged?"
            )
        return values, finite

    def _decide(self, batch: Batch) -> None:
        """Compile before the first row is computed, so that all rows of a pass come from the same code."""
        if self._decided:
            return
        self._decided = True
        if self.compile is True or (self.compile == "auto" and self._is_long(batch)):
            self.runtime.compile(batch.pixels)

    def _is_long(self, batch: Batch) -> bool:
        # Measuring costs two batches; a job of a few has no use for it.
        if self.runtime.compiled or self.images < 20 * len(batch.positions):
            return False
        return self.runtime.seconds_for(batch.pixels, self.images) > COMPILE_PAYS_AFTER

    def _table(self, values: np.ndarray, kept: list[int], failed: list[tuple[int, str]]) -> Features:
        source, head = self.source, self.backbone.head
        labels = None if source.labels is None else np.array([source.labels[position] for position in kept])
        if failed:
            _logger.warning("%d of %d images are skipped, see .skipped", len(failed), len(kept) + len(failed))
        return Features(
            values=values,
            keys=tuple(source.keys[position] for position in kept),
            logits=None if head is None else head(values),
            labels=labels,
            skipped=tuple(Skipped(key=source.keys[position], reason=reason) for position, reason in failed),
        )


def choose_batch_size(batch_size: int | str, device: torch.device, size: tuple[int, int]) -> int:
    """Return the images a forward pass: with "auto" 256 on a GPU, on a CPU what stays in its caches.

    Raises
    ------
    InputError
        If it is neither "auto" nor a number from 1.
    """
    if batch_size == "auto":
        if device.type != "cpu":
            return 256
        return int(np.clip(16 * 224 * 224 // (size[0] * size[1]), 8, 256))
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size must be 'auto' or a number from 1, but {batch_size!r} came")
    return batch_size
