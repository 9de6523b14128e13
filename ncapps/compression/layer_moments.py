"""Second moments of what each layer reads, from one pass over the images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from ncapps.compression.calibration import Calibration
from ncapps.compression.moments import wide_type
from ncapps.compression.sampling import RowSampler


def layer_moments(model: nn.Module, names: Iterable[str], calibration: Calibration) -> dict[str, torch.Tensor]:
    """Run a network once; return E[a aᵀ] of each layer's input a with a constant 1 appended.

    Parameters
    ----------
    model : nn.Module
        The network, in evaluation mode.
    names : iterable of str
        Layers that are exactly `nn.Conv2d` (padded with zeros) or `nn.Linear`.

    Returns
    -------
    dict
        float64, shape (groups, fan-in + 1, fan-in + 1); the fan-in of one group, as im2col has it. Layers that did not
        run are missing.
    """
    modules, sums = dict(model.named_modules()), {name: _Sum() for name in names}
    handles = [modules[name].register_forward_hook(one.hook) for name, one in sums.items()]
    try:
        with torch.no_grad():
            for batch in calibration.batches(next(model.parameters()).device):
                model(batch)
    finally:
        for handle in handles:
            handle.remove()
    return {name: one.total / one.rows for name, one in sums.items() if one.rows}


class _Sum:
    """The running sum of one layer."""

    def __init__(self) -> None:
        self.total: Any = 0.0
        self.rows = 0

    def hook(self, module: Any, inputs: Any, output: torch.Tensor) -> None:
        """Take in one batch."""
        columns = RowSampler.for_output(module, output).columns(inputs[0])
        groups = getattr(module, "groups", 1)
        parts = columns.reshape(len(columns), groups, -1).transpose(0, 1)
        parts = torch.cat([parts, parts.new_ones(groups, len(columns), 1)], dim=2).to(wide_type(columns.device))
        self.total = self.total + parts.mT @ parts
        self.rows += len(columns)
