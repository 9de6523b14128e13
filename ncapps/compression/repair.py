"""Refit what reads a pruned width, branch after branch, so that each stream becomes the dense network's again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from ncapps.compression.calibration import Calibration
from ncapps.compression.elimination import ridged
from ncapps.compression.moments import WidthMoments, with_constant
from ncapps.compression.probe import Branch, Probe
from ncapps.compression.taps import BranchTaps, Rows


def repair(
    pruned: nn.Module,
    probe: Probe,
    moments: Sequence[WidthMoments],
    kept: Sequence[Sequence[int]],
    calibration: Calibration,
    *,
    ridge: float = 1e-3,
    progress: bool = False,
) -> None:
    """Refit every consumer by least squares, in place and in the order in which they run.

    The inputs are those of the pruned and so far repaired network; the target is the dense network's stream less the
    pruned network's shortcut, so that a branch also takes back what earlier branches got wrong.

    Parameters
    ----------
    pruned : nn.Module
        The pruned network, in evaluation mode.
    moments : sequence of WidthMoments
        The dense network's streams, one for each width of `probe`.
    kept : sequence of sequence of int
        Channels left of each width.
    ridge : float
        Ridge on the second moment, as a fraction of its mean diagonal; none on the bias.
    """
    left = {width.producer: sorted(channels) for width, channels in zip(probe.widths, kept, strict=True)}
    steps = tqdm(
        list(zip(probe.branches, moments, strict=True)), desc="repair", unit="layer", disable=not progress, leave=False
    )
    for branch, moment in steps:
        target = moment.target
        if branch.consumer in left:
            target = target[:, left[branch.consumer]]
        gram, cross = _normal_equations(pruned, branch, target, calibration)
        solution = torch.linalg.solve(ridged(gram, ridge), cross)
        _install(dict(pruned.named_modules()), branch, solution, gram)


def _normal_equations(
    pruned: nn.Module, branch: Branch, target: torch.Tensor, calibration: Calibration
) -> tuple[torch.Tensor, torch.Tensor]:
    sums: list[Any] = [0.0, 0.0]
    seen = 0

    def add(name: str, rows: Rows) -> None:
        nonlocal seen
        wanted = target[seen : seen + len(rows.columns)]
        if rows.shortcut is not None:
            wanted = wanted - rows.shortcut
        seen += len(rows.columns)
        columns = with_constant(rows.columns)
        sums[0] = sums[0] + columns.T @ columns
        sums[1] = sums[1] + columns.T @ wanted.to(columns.dtype)
        raise BranchTaps.Stop

    with BranchTaps(pruned, [branch], add) as taps:
        for batch in calibration.batches(next(pruned.parameters()).device):
            taps.run(batch)
    return sums[0] / seen, sums[1] / seen


def _install(modules: dict[str, Any], branch: Branch, solution: torch.Tensor, gram: torch.Tensor) -> None:
    """Write a solution in units of the branch's output into the consumer and the batch norm behind it."""
    layer = modules[branch.consumer]
    weight, bias = solution[:-1].T, solution[-1]
    with torch.no_grad():
        layer.weight.copy_(weight.reshape(layer.weight.shape))
        if branch.norm is None:
            if layer.bias is None:
                layer.bias = nn.Parameter(torch.zeros_like(layer.weight[:, 0].flatten(1)[:, 0]))
            layer.bias.copy_(bias)
            return
        if layer.bias is not None:
            layer.bias.zero_()
        norm = modules[branch.norm]
        # The norm gets the true statistics of what it reads, and undoes them: exact, and ready for fine-tuning.
        mean = weight @ gram[-1, :-1]
        variance = ((weight @ gram[:-1, :-1]) * weight).sum(dim=1) - mean.square()
        variance = variance.clamp_min(0.0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(bias + mean)
