"""The network made ready to run: a private copy on its device, in its precision, compiled where that pays."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ncapps.features.backbone import Backbone
from ncapps.features.class_token import keep_class_token
from ncapps.features.precision import Precision
from ncapps.features.replicas import Replicas, replicas_for
from ncapps.features.trunk import is_timm

_logger = logging.getLogger(__name__)
_CPU_ALLOCATION = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")

COMPILE_PAYS_AFTER = 120.0
"""Seconds of uncompiled work from which compiling (10 to 60 s) is repaid, where it makes the network 15 % faster."""
# Bytes behind a batch that compiled code may read: two of the widest vectors.
_ROOM = 128


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
        self.batch_size = batch_size
        self.compiled = False
        self._replicas: Replicas | None = None
        self._warm: set[int] = set()
        self._precision = precision
        pipeline = _Pipeline(backbone).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self._fast_cpu():
            keep_class_token(pipeline.trunk)
        self._autocasts = precision == "bfloat16" and not pipeline.cast_to_bfloat16(device)
        self._eager = pipeline
        self._forward: Any = pipeline

    def features(self, pixels: Tensor) -> Tensor:
        """Return features (images, feature width), float32 on the CPU.

        Parameters
        ----------
        pixels : Tensor
            uint8, shape (images, height, width, channels).
        """
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

    def seconds_for(self, pixels: Tensor, images: int) -> float:
        """Return the seconds that so many images would take, from one batch, run twice."""
        self.features(pixels)
        start = time.perf_counter()
        self.features(pixels)
        return (time.perf_counter() - start) / len(pixels) * images

    def compile(self, pixels: Tensor) -> bool:
        """Compile for batches like this one; without a compiler, or if it fails, stay as it is and tell the log.

        On a CPU in bfloat16, compiled code runs as one replica a thread.
        """
        if self.compiled:
            return True
        from torch._inductor import config

        self._forward = torch.compile(self._eager, dynamic=False)
        self.compiled = True
        try:
            self._replicas = replicas_for(self.batch_size) if self._fast_cpu() else None
            with config.patch(freezing=True):
                self.features(pixels)
        except Exception as error:  # the compiler raises its own types, by version
            if _out_of_memory(error):
                raise
            self._forward, self.compiled, self._replicas = self._eager, False, None
            _logger.info("going on uncompiled: %s", (str(error).splitlines() or [type(error).__name__])[0])
        return self.compiled

    def bare(self) -> Callable[[Tensor], Tensor]:
        """Return the network alone, as it runs here but without normalising and padding: for measuring the rest."""
        from torch._inductor import config

        trunk: Any = torch.compile(self._eager.trunk, dynamic=False) if self.compiled else self._eager.trunk

        def part(batch: Tensor) -> Tensor:
            with torch.inference_mode(), self._autocast():
                return trunk(batch.to(self._eager.dtype))

        warm: set[int] = set()

        def run(batch: Tensor) -> Tensor:
            with config.patch(freezing=True):
                return self._spread(part, batch, warm)

        return run

    def _run(self, pixels: Tensor) -> Tensor:
        size = self._part_size()
        return self._spread(lambda part: self._run_part(part, size), pixels, self._warm)

    def _spread(self, function: Callable[[Tensor], Tensor], batch: Tensor, warm: set[int]) -> Tensor:
        """Return the function of the batch, from all replicas; one of them compiles first, for parts of a new size."""
        if self._replicas is None:
            return function(batch)
        size = self._part_size()
        if size not in warm:
            self._replicas.one(lambda: _for_one_thread(function, batch[:size]))
            warm.add(size)
        return torch.cat(self._replicas.map(function, batch, size))

    def _run_part(self, pixels: Tensor, size: int) -> Tensor:
        images = len(pixels)
        if self.compiled and (images < size or self.device.type == "cpu"):
            pixels = with_room(pixels, size)
        with torch.inference_mode(), self._autocast():
            return self._forward(pixels.to(self.device, non_blocking=True))[:images].cpu()

    def _part_size(self) -> int:
        """Return the images that the network is given at once: the batch, or a replica's part of it."""
        return -(-self.batch_size // self._replicas.threads) if self._replicas else self.batch_size

    def _fast_cpu(self) -> bool:
        return self.device.type == "cpu" and self._precision == "bfloat16"

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if self._autocasts else nullcontext()

    def _shrink(self, images: int) -> None:
        self.batch_size = max(1, min(self.batch_size, images) // 2)
        _logger.info("out of memory at %d images a batch; going on with %d", images, self.batch_size)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


class _Pipeline(nn.Module):
    """Uint8 pixels to pooled float32 features, normalising included, so that a compiler sees all of it."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.preprocessing = backbone.preprocessing
        self.trunk = backbone.trunk()
        self.dtype = torch.float32

    def cast_to_bfloat16(self, device: torch.device) -> bool:
        """Cast the weights for good where that is safe; return False where autocast is the better way.

        Convolutional timm networks lose nothing by it (measured), and save autocast's traffic in float32. Transformers
        keep their residual stream in float32 under autocast: half the error, at the same speed.
        """
        attention = [module for module in self.modules() if hasattr(module, "fused_attn")]
        if device.type == "cpu":
            for module in attention:
                # Torch's fused attention is slower in bfloat16 than the plain products on CPUs.
                module.fused_attn = False  # type: ignore[assignment]
        if attention or not is_timm(self.trunk.model):  # type: ignore[attr-defined]
            return False
        self.dtype = torch.bfloat16
        for module in self.modules():
            if not isinstance(module, _BatchNorm):
                for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                    if tensor.is_floating_point():
                        tensor.data = tensor.data.to(torch.bfloat16)
        return True

    def forward(self, pixels: Tensor) -> Tensor:
        return self.trunk(self.preprocessing.normalise(pixels, self.dtype)).float()


def _for_one_thread(function: Callable[[Tensor], Tensor], batch: Tensor) -> None:
    """Run once, so that what is compiled on the way counts on one thread; the number is part of the code."""
    from torch._inductor import config

    with config.patch({"freezing": True, "cpp.threads": 1}):
        function(batch)


def with_room(pixels: Tensor, images: int) -> Tensor:
    """Return the pixels filled up with black ones to so many images, in memory that goes on behind the last.

    One shape for all batches, for another would be compiled anew. The room behind is for compiled CPU code, which reads
    whole vectors: a long job with MobileNetV2 once died there.
    """
    size = images * pixels[:1].numel()
    room = torch.empty(size + _ROOM, dtype=pixels.dtype, device=pixels.device)
    room[: pixels.numel()] = pixels.reshape(-1)
    room[pixels.numel() :] = 0
    return room[:size].view(images, *pixels.shape[1:])


def _out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(error).lower() for words in _CPU_ALLOCATION)
