"""Refit what writes and what reads a pruned width, layer after layer, towards the dense network's streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from ncapps.compression.batchnorm import reestimate_batchnorms
from ncapps.compression.calibration import Calibration
from ncapps.compression.elimination import ridged
from ncapps.compression.moments import wide_type
from ncapps.compression.probe import Branch, Probe
from ncapps.compression.taps import BranchTaps, Rows
from ncapps.compression.targets import collect_targets

RIDGE = 1e-3
"""Ridge on the second moment, as a fraction of its mean diagonal; none on the bias."""


def repair(
    pruned: nn.Module,
    dense: nn.Module,
    probe: Probe,
    kept: Sequence[Sequence[int]],
    calibration: Calibration,
    *,
    progress: bool = False,
) -> None:
    """Refit every producer and consumer by least squares, in place and in the order in which they run.

    The inputs are those of the pruned and so far repaired network. The target of a layer that ends a residual branch is
    the dense network's stream less the pruned network's shortcut, so that it takes back what earlier layers got wrong;
    that of any other layer is the dense network's output of its channels that are left. Batch norms inside a width
    that no refit rewrites (those behind a depthwise convolution) are re-estimated before the width is read.

    Parameters
    ----------
    pruned, dense : nn.Module
        The network before and after cutting, in evaluation mode.
    kept : sequence of sequence of int
        Channels left of each width of `probe`.
    """
    left = {width.producer: sorted(channels) for width, channels in zip(probe.widths, kept, strict=True)}
    branches = {branch.layer: branch for branch in (*probe.producers, *probe.branches)}
    ordered = sorted(branches.values(), key=lambda branch: probe.order[branch.layer])
    targets = collect_targets(dense, ordered, left, calibration)
    stale = _norms_to_reestimate(dense, probe, {branch.norm for branch in ordered})
    for branch in tqdm(ordered, desc="repair", unit="layer", disable=None if progress else True, leave=False):
        if stale.get(branch.layer):
            reestimate_batchnorms(pruned, stale[branch.layer], calibration)
        gram, cross = _normal_equations(pruned, branch, targets.pop(branch.layer), calibration)
        solution = torch.linalg.solve(ridged(gram, RIDGE), cross)
        _install(dict(pruned.named_modules()), branch, solution, gram)


def _norms_to_reestimate(model: nn.Module, probe: Probe, refitted: set[str | None]) -> dict[str, list[str]]:
    """Return, by consumer, the batch norms of its width that no refit rewrites."""
    norms = {name for name, module in model.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)}
    return {
        width.consumer: [name for name in width.coupled if name in norms and name not in refitted]
        for width in probe.widths
    }


def _normal_equations(
    pruned: nn.Module, branch: Branch, target: torch.Tensor, calibration: Calibration
) -> tuple[torch.Tensor, torch.Tensor]:
    sums: list[Any] = [0.0, 0.0]
    seen = 0
    wide = wide_type(target.device)

    def add(name: str, rows: Rows) -> None:
        nonlocal seen
        wanted = target[seen : seen + len(rows.columns)]
        if rows.shortcut is not None:
            wanted = wanted - rows.shortcut
        seen += len(rows.columns)
        columns = torch.cat([rows.columns, rows.columns.new_ones(len(rows.columns), 1)], dim=1)
        # Products in float32, sums in float64: twice as quick, and the error is far below the ridge.
        sums[0] = sums[0] + (columns.T @ columns).to(wide)
        sums[1] = sums[1] + (columns.T @ wanted).to(wide)
        raise BranchTaps.Stop

    with BranchTaps(pruned, [branch], add) as taps:
        for batch in calibration.batches(next(pruned.parameters()).device):
            taps.run(batch)
    return sums[0] / seen, sums[1] / seen


def _install(modules: dict[str, Any], branch: Branch, solution: torch.Tensor, gram: torch.Tensor) -> None:
    """Write a solution in units of the branch's output into the layer and the batch norm behind it."""
    layer = modules[branch.layer]
    weight, bias = solution[:-1].T, solution[-1]
    with torch.no_grad():
        layer.weight.copy_(weight.reshape(layer.weight.shape))
        if branch.norm is None:
            if layer.bias is None:
                layer.bias = nn.Parameter(layer.weight.new_zeros(len(layer.weight)))
            layer.bias.copy_(bias)
            return
        if layer.bias is not None:
            layer.bias.zero_()
        norm = modules[branch.norm]
        # The norm gets the true statistics of what it reads, and undoes them: exact, and ready for fine-tuning.
        mean = weight @ gram[-1, :-1]
        variance = (((weight @ gram[:-1, :-1]) * weight).sum(dim=1) - mean.square()).clamp_min(0.0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(bias + mean)
