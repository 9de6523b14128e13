"""Refit what writes and what reads a pruned width, layer after layer, towards the dense network's streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from ncapps.compression.calibration import Calibration
from ncapps.compression.elimination import ridged
from ncapps.compression.moments import wide_type
from ncapps.compression.probe import Branch, Probe
from ncapps.compression.sampling import RowSampler
from ncapps.compression.turns import Turns
from ncapps.compression.visits import Visit, visiting

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

    Both networks run side by side, once, on all calibration images: when they come to a layer it is refitted, and the
    pruned network goes on with its new output. The target of a layer that ends a residual branch is the dense network's
    stream less the pruned network's shortcut, so that it takes back what earlier layers got wrong; that of any other
    layer is the dense network's output of its channels that are left. Batch norms inside a width that no refit
    rewrites (those behind a depthwise convolution) get the statistics of what they now read.

    Parameters
    ----------
    pruned, dense : nn.Module
        The network before and after cutting, in evaluation mode.
    kept : sequence of sequence of int
        Channels left of each width of `probe`.
    """
    left = {width.producer: sorted(channels) for width, channels in zip(probe.widths, kept, strict=True)}
    branches = list({branch.layer: branch for branch in (*probe.producers, *probe.branches)}.values())
    images = torch.cat(list(calibration.batches(next(pruned.parameters()).device)))
    modules: dict[str, Any] = dict(pruned.named_modules())
    stale = _norms_to_reestimate(modules, probe, {branch.norm for branch in branches})
    handles = [modules[name].register_forward_pre_hook(_reestimate) for name in stale]
    bar = tqdm(total=len(branches), desc="repair", unit="layer", disable=None if progress else True, leave=False)
    try:
        turns: Turns[Visit] = Turns(lambda hand_over: _run(dense, branches, images, hand_over))
        with turns as theirs:

            def visit(ours: Visit) -> None:
                name = ours.branch.layer
                _refit(modules, ours, _target(dense, next(theirs), left.get(name)), calibration.batch_size)
                bar.update()

            _run(pruned, branches, images, visit)
    finally:
        bar.close()
        for handle in handles:
            handle.remove()


def _run(model: nn.Module, branches: Sequence[Branch], images: torch.Tensor, on_visit: Any) -> None:
    with visiting(model, branches, on_visit) as run:
        run(images)


def _norms_to_reestimate(modules: Mapping[str, Any], probe: Probe, refitted: set[str | None]) -> set[str]:
    """Return the batch norms inside widths that no refit rewrites."""
    coupled = {name for width in probe.widths for name in width.coupled}
    return {name for name in coupled - refitted if isinstance(modules[name], nn.modules.batchnorm._BatchNorm)}


def _reestimate(norm: Any, arguments: Any) -> None:
    values = arguments[0]
    dims = [0, *range(2, values.ndim)]
    norm.running_mean.copy_(values.mean(dims))
    norm.running_var.copy_(values.var(dims, correction=0))


def _target(dense: nn.Module, visit: Visit, kept: Sequence[int] | None) -> torch.Tensor:
    """Return the dense network's stream, or the branch's own channels that are left."""
    norm = visit.branch.norm
    values = visit.values(None if norm is None else dense.get_submodule(norm))
    if visit.shortcut is not None:
        values = values + visit.shortcut
    if kept is None:
        return values
    return values[:, kept] if isinstance(dense.get_submodule(visit.branch.layer), nn.Conv2d) else values[..., kept]


def _refit(modules: dict[str, Any], visit: Visit, target: torch.Tensor, batch_size: int) -> None:
    branch = visit.branch
    layer = modules[branch.layer]
    wanted = target if visit.shortcut is None else target - visit.shortcut
    gram, cross = _normal_equations(layer, visit.inputs, wanted, batch_size)
    _install(modules, branch, torch.linalg.solve(ridged(gram, RIDGE), cross), gram)
    output = layer.forward(visit.inputs)
    if visit.shortcut is not None and branch.norm is not None:
        output = modules[branch.norm].forward(output)
    visit.output.copy_(output)


def _normal_equations(
    layer: nn.Module, inputs: torch.Tensor, wanted: torch.Tensor, batch_size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    sampler = RowSampler.for_output(layer, wanted)
    wide = wide_type(wanted.device)
    gram: Any = 0.0
    cross: Any = 0.0
    seen = 0
    for some, goal in zip(inputs.split(batch_size), wanted.split(batch_size), strict=True):
        columns, rows = sampler.columns(some), sampler.outputs(goal)
        columns = torch.cat([columns, columns.new_ones(len(columns), 1)], dim=1)
        # Products in float32, sums in float64: twice as quick, and the error is far below the ridge.
        gram = gram + (columns.T @ columns).to(wide)
        cross = cross + (columns.T @ rows).to(wide)
        seen += len(columns)
    return gram / seen, cross / seen


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
