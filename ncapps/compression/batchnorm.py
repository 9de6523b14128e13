"""Give batch norms the statistics of what they now read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ncapps.compression.calibration import Calibration
from ncapps.compression.probe import affine_of


def batchnorm_names(model: nn.Module) -> list[str]:
    """Return the names of all batch norms that keep statistics."""
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None
    ]


def reestimate_batchnorms(model: nn.Module, names: Sequence[str], calibration: Calibration) -> None:
    """Replace the running mean and variance of some batch norms by those of the calibration images, in place.

    Parameters
    ----------
    model : nn.Module
        The network, in evaluation mode; all its other layers stay in it.
    names : sequence of str
        The batch norms.
    """
    modules: dict[str, Any] = dict(model.named_modules())
    norms = [modules[name] for name in names]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        with torch.no_grad():
            for batch in calibration.batches(next(model.parameters()).device):
                model(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()


@torch.no_grad()
def restate_batchnorms(model: nn.Module, names: Sequence[str], images: torch.Tensor) -> None:
    """Give some batch norms the mean and variance of what they read, in place; what they make of it stays the same.

    Parameters
    ----------
    model : nn.Module
        The network, in evaluation mode.
    names : sequence of str
        The batch norms.
    images : Tensor
        One batch.
    """
    handles = [model.get_submodule(name).register_forward_pre_hook(_restate) for name in names]
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()


def _restate(norm: Any, inputs: tuple[torch.Tensor, ...]) -> None:
    values = inputs[0].transpose(0, 1).flatten(1)
    scale, shift = affine_of(norm)
    variance, mean = torch.var_mean(values, dim=1, correction=0)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(scale * (variance + norm.eps).sqrt())
    norm.bias.copy_(shift + scale * mean)
