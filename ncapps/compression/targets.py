"""What the repair aims at: the dense network's values at the layers that will be refitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from ncapps.compression.calibration import Calibration
from ncapps.compression.probe import Branch
from ncapps.compression.taps import BranchTaps, Rows


def collect_targets(
    model: nn.Module, branches: Sequence[Branch], kept: Mapping[str, Sequence[int]], calibration: Calibration
) -> dict[str, torch.Tensor]:
    """Run the dense network over the calibration images; return the sampled rows at each branch, by layer name.

    A branch that joins a residual stream aims at the stream, any other at its own output after the batch norm.

    Parameters
    ----------
    kept : mapping
        Output channels left, by layer name, where not all are.

    Returns
    -------
    dict
        Float32 tensors (rows, output channels left).
    """
    found: dict[str, list[torch.Tensor]] = {branch.layer: [] for branch in branches}

    def add(name: str, rows: Rows) -> None:
        stream = rows.branch if rows.shortcut is None else rows.branch + rows.shortcut
        found[name].append(stream[:, list(kept[name])] if name in kept else stream)

    with BranchTaps(model, branches, add) as taps:
        for batch in calibration.batches(next(model.parameters()).device):
            taps.run(batch)
    return {name: torch.cat(parts) for name, parts in found.items()}
