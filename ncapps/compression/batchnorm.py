"""Give batch norms the statistics of what they now read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ncapps.compression.calibration import Calibration
from ncapps.compression.moments import wide_type
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
def restate_batchnorms(model: nn.Module, names: Sequence[str], batches: Sequence[torch.Tensor]) -> None:
    """Give some batch norms the mean and variance of what they read, in place; what they make of it stays the same.

    Parameters
    ----------
    model : nn.Module
        The network, in evaluation mode.
    names : sequence of str
        The batch norms.
    batches : sequence of Tensor
        Images.
    """
    norms = [model.get_submodule(name) for name in names]
    sums = {norm: _Moments() for norm in norms}
    handles = [norm.register_forward_pre_hook(sums[norm].hook) for norm in norms]
    try:
        for batch in batches:
            model(batch)
    finally:
        for handle in handles:
            handle.remove()
    for norm, moments in sums.items():
        _restate(norm, moments)


class _Moments:
    """Running moments of a batch norm's channels."""

    def __init__(self) -> None:
        self.rows = 0
        self.first: Any = 0.0
        self.second: Any = 0.0

    def hook(self, norm: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        """Take in one batch, centred at the running mean: the variance may be far smaller than the mean."""
        values = inputs[0].transpose(0, 1).flatten(1)
        variance, mean = torch.var_mean(values, dim=1, correction=0)
        wide = wide_type(values.device)
        away, rows = (mean - norm.running_mean).to(wide), values.shape[1]
        self.first = self.first + rows * away
        self.second = self.second + rows * (variance.to(wide) + away.square())
        self.rows += rows


def _restate(norm: Any, moments: _Moments) -> None:
    scale, shift = affine_of(norm)
    away = moments.first / moments.rows
    variance = (moments.second / moments.rows - away.square()).clamp_min(0.0).to(scale)
    mean = norm.running_mean + away.to(scale)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(scale * (variance + norm.eps).sqrt())
    norm.bias.copy_(shift + scale * mean)
