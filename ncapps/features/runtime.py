"""The network made ready to run: a private copy on its device, in its precision, perhaps compiled, in batches that fit."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from ncapps.features.backbone import Backbone
from ncapps.features.precision import Precision

_logger = logging.getLogger(__name__)
_CPU_ALLOCATION = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


class _Pipeline(nn.Module):
    """Uint8 pixels to pooled float32 features, normalising included, so that a compiler sees all of it."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.preprocessing = backbone.preprocessing
        self.trunk = backbone.trunk()

    def forward(self, pixels: Tensor) -> Tensor:
        return self.trunk(self.preprocessing.normalise(pixels)).float()


class Runtime:
    """A private copy of a backbone's network on a device; the user's own module is never touched.

    Parameters
    ----------
    backbone : Backbone
        Whose network is copied.
    device : torch.device
        Where it runs.
    precision : "float32" or "bfloat16"
        What it computes in; features leave it in float32.
    batch_size : int
        Images a forward pass; halved, and remembered, whenever memory runs out.
    """

    def __init__(self, backbone: Backbone, device: torch.device, precision: Precision, batch_size: int) -> None:
        self.device = device
        self.precision = precision
        self.batch_size = batch_size
        pipeline = _Pipeline(backbone).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._forward: Any = pipeline

    def features(self, pixels: Tensor) -> Tensor:
        """Return features (images, feature width), float32 on the CPU, of uint8 pixels (images, height, width, channels)."""
        parts: list[Tensor] = []
        start = 0
        while start < len(pixels):
            chunk = pixels[start : start + self.batch_size]
            try:
                parts.append(self._run(chunk))
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error) or self.batch_size == 1:
                    raise
                self._shrink(len(chunk))
                continue
            start += len(chunk)
        return torch.cat(parts) if len(parts) != 1 else parts[0]

    def _run(self, pixels: Tensor) -> Tensor:
        with torch.inference_mode(), self._autocast():
            return self._forward(pixels.to(self.device, non_blocking=True)).cpu()

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _shrink(self, images: int) -> None:
        self.batch_size = max(1, min(self.batch_size, images) // 2)
        _logger.info("out of memory at %d images a batch; going on with %d", images, self.batch_size)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(error).lower() for words in _CPU_ALLOCATION)
