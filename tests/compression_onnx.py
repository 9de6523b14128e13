"""Networks exported once for all tests of ONNX and 8 bits; these skip where the extra [onnx] is absent."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import timm
import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@functools.cache
def convolutional() -> tuple[nn.Module, torch.Tensor, Any]:
    """Return a small residual network, images for it, and the network in ONNX."""
    from ncapps.compression import export_onnx

    model, images = randomise_norms(TinyResNet()).eval(), _images(96, 16)
    return model, images, export_onnx(model, images, threads=1)


@functools.cache
def transformer() -> tuple[nn.Module, torch.Tensor, Any]:
    """Return a small vision transformer, images for it, and the network in ONNX."""
    from ncapps.compression import export_onnx

    with torch.random.fork_rng():
        model = timm.create_model(
            "vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, embed_dim=48, num_classes=5
        )
    randomise_norms(model).eval()
    images = _images(48, 32)
    return model, images, export_onnx(model, images, threads=1)


def _images(count: int, side: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(count, 3, 4, 4, generator=generator)
    return nn.functional.interpolate(coarse, size=side, mode="bilinear")
