"""Images in, features out: the one pass that every application starts from."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from ncapps.errors import InputError
from ncapps.features.backbone import Backbone
from ncapps.features.head import Head
from ncapps.features.loader import batches
from ncapps.features.precision import choose_device, choose_precision
from ncapps.features.preprocessing import Preprocessing
from ncapps.features.records import Features, Skipped
from ncapps.features.runtime import Runtime
from ncapps.features.source import ImageSource

_logger = logging.getLogger(__name__)


class FeatureExtractor:
    """Pooled features, logits and head of any timm network or module, from any source of images.

    Parameters
    ----------
    backbone : str, nn.Module or Backbone
        A timm name ("resnet18.a1_in1k"), a module with a linear head, or a ready `Backbone`.
    checkpoint, head, preprocessing, pretrained, download, model_kwargs, num_classes, small_stem
        Handed to `Backbone`.
    device : str or torch.device
        "auto": CUDA, then Apple's MPS, then the CPU.
    precision : str
        "auto": the network computes in bfloat16 where the hardware is fast at it, else in float32. Say "float32" to
        measure collapse. Features are pooled in that precision and leave as float32 in any case.
    batch_size : int or "auto"
        Images a forward pass; halved for good where memory runs out. Of no effect on the result but for rounding.
    workers : int or "auto"
        Processes that decode images.
    progress : bool
        Show a bar on a terminal.

    Examples
    --------
    >>> extractor = FeatureExtractor("cifar_resnet20", pretrained=False, precision="float32")
    >>> extractor.extract(np.zeros((3, 32, 32, 3), np.uint8)).values.shape
    (3, 64)
    """

    def __init__(
        self,
        backbone: str | nn.Module | Backbone,
        *,
        checkpoint: str | Path | None = None,
        head: str | None = None,
        preprocessing: Preprocessing | Mapping[str, Any] | None = None,
        pretrained: bool | str = "auto",
        download: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        num_classes: int | None = None,
        small_stem: bool = False,
        device: str | torch.device = "auto",
        precision: str = "auto",
        batch_size: int | str = "auto",
        workers: int | str = "auto",
        progress: bool = True,
    ) -> None:
        self.backbone = (
            backbone
            if isinstance(backbone, Backbone)
            else Backbone(
                backbone,
                checkpoint=checkpoint,
                head=head,
                preprocessing=preprocessing,
                pretrained=pretrained,
                download=download,
                model_kwargs=model_kwargs,
                num_classes=num_classes,
                small_stem=small_stem,
            )
        )
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self.batch_size = (256 if self.device.type == "cuda" else 64) if batch_size == "auto" else int(batch_size)
        self.workers = workers
        self.progress = progress

    @property
    def head(self) -> Head | None:
        """The backbone's classifier."""
        return self.backbone.head

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the head's classes, where the checkpoint tells them."""
        return self.backbone.classes

    def extract(self, data: Any, labels: Any = None, *, split: str | None = None) -> Features:
        """Return the features of all images that can be read.

        Parameters
        ----------
        data : path, array, or ImageSource
            As `open_images` takes it.
        labels : sequence, optional
            One class an image, for arrays.
        split : str, optional
            Which split of the source.
        """
        from ncapps.features.images import open_images

        source = open_images(data, labels, split=split)
        return self._extract(source, range(len(source)))

    def _extract(self, source: ImageSource, positions: Sequence[int]) -> Features:
        runtime = Runtime(self.backbone, self.device, self.precision, self.batch_size)
        rows, kept, skipped = [], [], []
        bar = tqdm(total=len(positions), unit="img", disable=not (self.progress and sys.stderr.isatty()))
        with bar:
            for batch in batches(
                source,
                positions,
                self.backbone.preprocessing,
                batch_size=self.batch_size,
                workers=self.workers,
                pin_memory=self.device.type == "cuda",
            ):
                if batch.positions:
                    rows.append(runtime.features(batch.pixels).numpy())
                    kept.extend(batch.positions)
                skipped.extend(Skipped(key=source.keys[p], reason=reason) for p, reason in batch.unreadable)
                bar.update(len(batch.positions) + len(batch.unreadable))
        if not rows:
            raise InputError("no image could be read")
        values = np.concatenate(rows)
        return Features(
            values=values,
            keys=tuple(source.keys[p] for p in kept),
            logits=None if self.head is None else self.head(values),
            labels=None if source.labels is None else np.array([source.labels[p] for p in kept]),
            skipped=tuple(skipped),
        )
