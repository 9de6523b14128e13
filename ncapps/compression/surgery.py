"""Cut channels out of the layers of an inner width, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ncapps.compression.widths import InnerWidth


def shrink(model: nn.Module, width: InnerWidth, kept: Sequence[int]) -> None:
    """Keep only these channels of one inner width, in place, in ascending order."""
    modules = dict(model.named_modules())
    device = next(model.parameters()).device
    index = torch.as_tensor(width.outputs(kept), device=device)
    for name in (*width.producers, *width.coupled):
        _cut_outputs(modules[name], index)
    for name in width.consumers:
        keep_inputs(modules[name], width.inputs(kept))
    width.resize(model, len(kept))


def shrunk_copy(model: nn.Module, widths: Sequence[InnerWidth], kept: Sequence[Sequence[int]]) -> nn.Module:
    """Return a copy of a network with these channels left."""
    small = copy.deepcopy(model)
    for width, channels in zip(widths, kept, strict=True):
        shrink(small, width, channels)
    return small


def zeroed_copy(model: nn.Module, widths: Sequence[InnerWidth], kept: Sequence[Sequence[int]]) -> nn.Module:
    """Return a copy of full size whose consumers ignore the other channels: the reference of the equivalence gate."""
    full = copy.deepcopy(model)
    modules = dict(full.named_modules())
    for width, channels in zip(widths, kept, strict=True):
        gone = width.inputs(sorted(set(range(width.channels)) - set(channels)))
        for name in width.consumers:
            consumer: Any = modules[name]
            with torch.no_grad():
                consumer.weight[:, gone] = 0
    return full


def outputs_left(widths: Sequence[InnerWidth], kept: Sequence[Sequence[int]]) -> dict[str, list[int]]:
    """Return which outputs of the dense network's layers are left, by the name of each layer that is cut."""
    return {
        name: width.outputs(channels) for width, channels in zip(widths, kept, strict=True) for name in width.producers
    }


def keep_outputs(layer: nn.Module, channels: Sequence[int]) -> None:
    """Keep only these outputs of one layer, in place and in the order given."""
    _cut_outputs(layer, torch.as_tensor(list(channels), device=next(layer.parameters()).device))


def keep_inputs(layer: nn.Module, channels: Sequence[int]) -> None:
    """Keep only these inputs of one ungrouped layer, in place and in the order given."""
    consumer: Any = layer
    index = torch.as_tensor(list(channels), device=consumer.weight.device)
    _replace(consumer, "weight", consumer.weight.detach()[:, index])
    fit_sizes(consumer)


def fit_sizes(module: nn.Module) -> None:
    """Set a layer's size attributes from the shapes of its tensors."""
    layer: Any = module
    if isinstance(module, nn.Conv2d):
        depthwise = layer.groups > 1 and layer.groups == layer.in_channels == layer.out_channels
        layer.out_channels = layer.weight.shape[0]
        if depthwise:
            layer.groups = layer.out_channels
        layer.in_channels = layer.weight.shape[1] * layer.groups
    elif isinstance(module, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(module, nn.modules.batchnorm._BatchNorm):
        layer.num_features = len(layer.running_mean)


def _cut_outputs(layer: Any, index: torch.Tensor) -> None:
    for name in ("weight", "bias", "running_mean", "running_var"):
        values = getattr(layer, name, None)
        if values is not None:
            _replace(layer, name, values.detach()[index])
    fit_sizes(layer)


def _replace(layer: Any, name: str, values: torch.Tensor) -> None:
    old = getattr(layer, name)
    if isinstance(old, nn.Parameter):
        values = nn.Parameter(values.clone(), requires_grad=old.requires_grad)
    setattr(layer, name, values if isinstance(values, nn.Parameter) else values.clone())
