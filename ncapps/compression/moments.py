"""Second moments at every inner width of the dense network, from one pass over the calibration images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ncapps.compression.calibration import Calibration
from ncapps.compression.probe import Branch, Probe, affine_of
from ncapps.compression.sampling import RowSampler
from ncapps.compression.visits import Visit, visiting
from ncapps.compression.widths import InnerWidth
from ncapps.errors import InputError


@dataclass(frozen=True, kw_only=True)
class WidthMoments:
    """What the dense network says about one inner width: all that an importance may look at.

    Attributes
    ----------
    width : InnerWidth
        The layers.
    taps : int
        Inputs of the consumer for each channel: its kernel's taps, 1 for a linear layer, or a head's size; row
        c * taps + t of `gram` is channel c at tap t.
    gram : Tensor
        E[a aᵀ] of the consumer's input with a constant 1 appended, float64, shape (channels * taps + 1, same).
    weight : Tensor
        The consumer's weight and bias in units of the branch's output (batch norm included), float64,
        shape (channels * taps + 1, output channels).
    producer_weight : Tensor
        The producer's weight, shape (channels, fan-in).
    activity : ndarray
        Mean input of the consumer for each image and channel, of a head its norm; float32, shape (images, channels).
    labels : ndarray or None
        The images' class names.
    energy : float
        Mean squared norm of the stream that the branch joins, or of its own output where it joins none.
    least_width : int
        The fewest channels to be left.
    """

    width: InnerWidth
    taps: int
    gram: torch.Tensor
    weight: torch.Tensor
    producer_weight: torch.Tensor
    activity: np.ndarray
    labels: np.ndarray | None
    energy: float
    least_width: int


def collect_moments(
    model: nn.Module, probe: Probe, calibration: Calibration, *, least: float, progress: bool
) -> list[list[WidthMoments]]:
    """Run the dense network over the calibration images once; return each width's moments, one for each consumer.

    Parameters
    ----------
    model : nn.Module
        The dense network, in evaluation mode.
    least : float
        The smallest fraction of a width to be left.

    Raises
    ------
    InputError
        If an activation is not finite.
    """
    modules = dict(model.named_modules())
    read = {name for width in probe.widths for name in width.consumers}
    branches = {one.layer: one for one in (*probe.streams, *probe.branches) if one.layer in read}
    sums = {layer: _Sums() for layer in branches}
    device = next(model.parameters()).device

    def add(visit: Visit, images: int) -> None:
        branch = visit.branch
        sums[branch.layer].add(visit, modules[branch.layer], modules[branch.norm] if branch.norm else None, images)

    with visiting(model, list(branches.values())) as run:
        batches = calibration.batches(device)
        total = -(-len(calibration) // calibration.batch_size)
        for batch in tqdm(
            batches, total=total, desc="statistics", unit="batch", disable=None if progress else True, leave=False
        ):
            run(batch, partial(add, images=len(batch)))
    return [
        [_finish(sums[name], modules, width, branches[name], calibration.labels, least) for name in width.consumers]
        for width in probe.widths
    ]


def wide_type(device: torch.device) -> torch.dtype:
    """Return float64, or float32 where the device lacks it."""
    return torch.float32 if device.type == "mps" else torch.float64


def bias_and_weight(modules: dict[str, Any], branch: Branch) -> torch.Tensor:
    """Return the consumer's weight rows and bias row in units of the branch's output."""
    layer = modules[branch.layer]
    wide = wide_type(layer.weight.device)
    weight = layer.weight.detach().reshape(layer.weight.shape[0], -1).to(wide)
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().to(wide)
    if branch.norm is not None:
        scale, shift = (value.detach().to(wide) for value in affine_of(modules[branch.norm]))
        weight, bias = weight * scale[:, None], bias * scale + shift
    return torch.cat([weight.T, bias[None]])


class _Sums:
    """Running sums of one width."""

    def __init__(self) -> None:
        self.gram: torch.Tensor | None = None
        self.rows = 0
        self.activity: list[np.ndarray] = []
        self.energy = 0.0

    def add(self, visit: Visit, layer: nn.Module, norm: nn.Module | None, images: int) -> None:
        values = visit.values(norm)
        sampler = RowSampler.for_output(layer, values)
        columns = sampler.columns(visit.inputs)
        self.activity.append(columns.reshape(images, -1, columns.shape[1]).mean(dim=1).cpu().numpy())
        columns = torch.cat([columns, columns.new_ones(len(columns), 1)], dim=1)
        wide = wide_type(columns.device)
        # Products in float32, sums in float64: twice as quick, and the error is far below the ridge.
        gram = (columns.T @ columns).to(wide)
        self.gram = gram if self.gram is None else self.gram + gram
        self.rows += len(columns)
        stream = sampler.outputs(values if visit.shortcut is None else values + visit.shortcut)
        self.energy += float(stream.to(wide).square().sum())


def _finish(
    sums: _Sums, modules: dict[str, Any], width: InnerWidth, branch: Branch, labels: np.ndarray | None, least: float
) -> WidthMoments:
    if sums.gram is None or not bool(torch.isfinite(sums.gram).all()) or not np.isfinite(sums.energy):
        raise InputError(
            f"the network's activations at {branch.layer} are not finite; are its weights and inputs right?"
        )
    producer = modules[width.producer].weight.detach()
    taps = (len(sums.gram) - 1) // width.channels
    activity = np.concatenate(sums.activity).reshape(-1, width.channels, taps)
    return WidthMoments(
        width=width,
        taps=taps,
        gram=sums.gram / sums.rows,
        weight=bias_and_weight(modules, branch),
        producer_weight=width.rows(producer),
        activity=width.activity(activity),
        labels=labels,
        energy=max(sums.energy / sums.rows, 1e-12),
        least_width=max(1, int(np.ceil(least * width.channels))),
    )
