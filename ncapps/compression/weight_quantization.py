"""Weights of a few bits, simulated in float32: which networks bear it, told without any further package."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from ncapps.compression.calibration import gather
from ncapps.compression.layer_moments import layer_moments
from ncapps.compression.rounding import absorbing, level_scales, nearest
from ncapps.errors import InputError


def quantize_weights(
    model: nn.Module,
    bits: int,
    images: Any = None,
    *,
    calibration: int = 512,
    batch_size: int = 64,
    seed: int = 0,
) -> nn.Module:
    """Return a copy of a network whose convolutions and linear layers have weights of a few bits.

    Each output channel has its own levels, symmetric about zero and spread so that the squared rounding error is least.
    The copy computes in float32 with the rounded values, so that it tells what the bits cost, not how fast they are.
    Biases, norms and activations stay as they are.

    Parameters
    ----------
    model : nn.Module
        A trained network; it is not changed.
    bits : int
        2 to 8.
    images : Tensor, ndarray or iterable, optional
        Calibration images, as `compress` takes them: the error of each rounding is then absorbed by the weights that
        are rounded after it and at last by the bias, by least squares on what the layer reads. Without images each
        weight goes to its nearest level.
    calibration : int
        The most images that are used.
    batch_size : int
        Images in a forward pass.
    seed : int
        Seed of the choice of images.

    Raises
    ------
    InputError
        If the bits are not 2 to 8, the network has no such layer, or the images are not fit.

    Examples
    --------
    >>> import timm, torch
    >>> from ncapps.compression import quantize_weights
    >>> model = timm.create_model("resnet18", channels=(8, 16, 32, 64)).eval()
    >>> images = torch.randn(8, 3, 32, 32)
    >>> rough = quantize_weights(model, 4, images)
    >>> len(torch.unique(rough.layer1[0].conv1.weight[0])) <= 15
    True
    """
    if not 2 <= bits <= 8:
        raise InputError(f"bits must be 2 to 8, but {bits!r} came")
    rough = copy.deepcopy(model).eval()
    layers = {name: module for name, module in rough.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))}
    if not layers:
        raise InputError(f"{type(model).__name__} has no convolution or linear layer whose weights could be rounded")
    moments: dict[str, torch.Tensor] = {}
    if images is not None:
        chosen = gather(images, None, limit=calibration, batch_size=batch_size, seed=seed)
        moments = layer_moments(rough, [name for name, layer in layers.items() if _is_plain(layer)], chosen)
    with torch.no_grad():
        for name, layer in layers.items():
            _round(layer, bits, moments.get(name))
    return rough


def _is_plain(layer: Any) -> bool:
    """Tell whether the layer reads its input as it stands: a subclass may pad it, or reshape its weight."""
    if type(layer) is nn.Conv2d:
        return layer.padding_mode == "zeros" and "weight" in layer._parameters
    return type(layer) is nn.Linear and "weight" in layer._parameters


def _round(layer: Any, bits: int, moments: torch.Tensor | None) -> None:
    groups = getattr(layer, "groups", 1)
    weight = layer.weight.reshape(groups, len(layer.weight) // groups, -1)
    scale = level_scales(weight, bits)
    if moments is None:
        layer.weight.copy_(nearest(weight, scale, bits).reshape(layer.weight.shape))
        return
    bias = weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias
    rounded, bias = absorbing(weight, bias.reshape(groups, -1), moments, scale, bits)
    layer.weight.copy_(rounded.reshape(layer.weight.shape))
    if layer.bias is None:
        layer.bias = nn.Parameter(torch.zeros_like(bias.flatten()))
    layer.bias.copy_(bias.flatten())
