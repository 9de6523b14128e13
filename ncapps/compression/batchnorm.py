"""Give batch norms the statistics of what they now read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from ncapps.compression.calibration import Calibration


def reestimate_batchnorms(model: nn.Module, calibration: Calibration, skip: Collection[str] = ()) -> int:
    """Replace the running mean and variance of every batch norm by those of the calibration images, in place.

    Parameters
    ----------
    model : nn.Module
        The network, in evaluation mode; all its other layers stay in it.
    skip : collection of str
        Names of batch norms to leave alone.

    Returns
    -------
    int
        How many batch norms were re-estimated.
    """
    norms: list[Any] = [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None and name not in skip
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        with torch.no_grad():
            for batch in calibration.batches(next(model.parameters()).device):
                if len(batch) > 1:
                    model(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
    return len(norms)
