"""How much of a layer's time is left with fewer channels, measured layer by layer at a few widths."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import isotonic_regression
from torch import nn

from ncapps.compression.macs import CostModel, LayerCost
from ncapps.compression.stopwatch import Clock
from ncapps.compression.surgery import keep_inputs, keep_outputs
from ncapps.compression.widths import InnerWidth

FRACTIONS = (1.0, 0.75, 0.5, 0.25, 1 / 16)
"""The fractions of a width at which its layers are timed."""
BLOCK = 16
"""Channels that libraries for CPUs handle at once: the time of a convolution may rise in steps of so many."""
SECONDS = 0.1
"""How long each layer is timed for each width that passes through it."""


def latency_costs(model: nn.Module, widths: Sequence[InnerWidth], batch: torch.Tensor, clock: Clock) -> CostModel:
    """Return the milliseconds of the layers at these widths as a function of the kept channels.

    Each producer, consumer, depthwise convolution and batch norm is timed by itself, on inputs of the shape that it
    gets in the network. Its time is that of the dense layer times a share for each width through it; what lies between
    the layers is not counted, so that the sum is no network's time, but tells which channels cost how much.

    Parameters
    ----------
    model : nn.Module
        The dense network, in evaluation mode; it is not changed.
    widths : sequence of InnerWidth
        Its inner widths.
    batch : Tensor
        The batch of the timed pass, on the network's device.
    clock : Clock
        What times them, for instance `time_modules`.
    """
    modules = dict(model.named_modules())
    shapes = input_shapes(model, widths, batch)
    found: dict[str, tuple[list[float], list[int], list[tuple[float, ...]]]] = {}
    for axis in _axes(widths):
        layer, shape = modules[axis.layer], shapes.get(axis.layer)
        if shape is None or next(layer.parameters(), None) is None:
            continue
        counts = grid(axis.channels)
        inputs = torch.ones(shape, device=batch.device)
        times = clock([narrowed(layer, inputs, axis.role, axis.places(count)) for count in counts], seconds=SECONDS)
        dense = times[-1]
        if not dense.p50_ms > 0:
            continue
        curve = share_curve(counts, [dense.speed_up_over(one) for one in times], axis.channels)
        own, indices, shares = found.setdefault(axis.layer, ([], [], []))
        own.append(dense.p50_ms)
        indices.append(axis.index)
        shares.append(curve)
    layers = [
        LayerCost(macs=float(np.mean(own)), widths=tuple(indices), shares=tuple(shares))
        for own, indices, shares in found.values()
    ]
    return CostModel(sum(layer.macs for layer in layers), layers, [width.channels for width in widths])


def grid(channels: int) -> list[int]:
    """Return the numbers of channels to time, ascending, the last one all; multiples of a block where there are some.

    Examples
    --------
    >>> grid(128)
    [8, 32, 64, 65, 80, 96, 128]
    """
    counts = {max(1, round(fraction * channels)) for fraction in FRACTIONS}
    if channels >= 2 * BLOCK:
        counts = {count if count < BLOCK else BLOCK * round(count / BLOCK) for count in counts}
        counts |= set(_step(channels))
    return sorted({min(count, channels) for count in counts} | {channels})


def share_curve(counts: Sequence[int], shares: Sequence[float], channels: int) -> tuple[float, ...]:
    """Return the share of a layer's time that is left with 0, 1, ... channels, never falling, and 1 with all.

    Measured shares are made monotone by isotonic regression and interpolated. Where one channel more than a number of
    full blocks costs more than half of what a whole block more costs, the time rises in steps, and so does the curve.

    Parameters
    ----------
    counts : sequence of int
        The numbers of channels that were timed, as `grid` gives them.
    shares : sequence of float
        The time of each as a fraction of the last one's.
    channels : int
        Channels of the dense layer.

    Examples
    --------
    >>> share_curve([1, 2, 4], [0.25, 0.5, 1.0], 4)
    (0.25, 0.25, 0.5, 0.75, 1.0)
    """
    measured = dict(zip(counts, shares, strict=True))
    at = np.arange(channels + 1)
    if channels >= 2 * BLOCK:
        low, above, high = _step(channels)
        if measured.pop(above) - measured[low] > 0.5 * (measured[high] - measured[low]) > 0:
            at = np.minimum(-(-at // BLOCK) * BLOCK, channels)
    known = sorted(measured)
    rising = np.asarray(isotonic_regression([measured[count] for count in known]).x)
    return tuple((np.interp(at, known, rising) / rising[-1]).tolist())


def narrowed(
    layer: nn.Module, inputs: torch.Tensor, role: str, places: Sequence[int]
) -> tuple[nn.Module, torch.Tensor]:
    """Return a copy of a layer with these outputs or inputs of one inner width alone, and inputs that fit.

    Parameters
    ----------
    role : {"producer", "coupled", "consumer"}
        Whether the layer writes the channels, passes them on, or reads them.
    """
    small = copy.deepcopy(layer)
    if role == "consumer":
        keep_inputs(small, places)
    else:
        keep_outputs(small, places)
    if role != "producer":
        inputs = inputs.narrow(-1 if isinstance(layer, nn.Linear) else 1, 0, len(places)).contiguous()
    return small, inputs


def input_shapes(model: nn.Module, widths: Sequence[InnerWidth], batch: torch.Tensor) -> dict[str, tuple[int, ...]]:
    """Return the shape of what each layer at these widths is given when the network runs on a batch, by name."""
    modules = dict(model.named_modules())
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Any:
        def hook(module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
            if inputs:
                shapes[name] = tuple(inputs[0].shape)

        return hook

    names = {axis.layer for axis in _axes(widths)}
    handles = [modules[name].register_forward_pre_hook(note(name)) for name in sorted(names)]
    try:
        with torch.no_grad():
            model(batch)
    finally:
        for handle in handles:
            handle.remove()
    return shapes


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """A layer, and one inner width through it."""

    layer: str
    role: str
    index: int
    width: InnerWidth

    @property
    def channels(self) -> int:
        return self.width.channels

    def places(self, count: int) -> list[int]:
        """Return the layer's inputs or outputs that the first channels of the width are."""
        return (self.width.inputs if self.role == "consumer" else self.width.outputs)(range(count))


def _axes(widths: Sequence[InnerWidth]) -> Iterator[_Axis]:
    for index, width in enumerate(widths):
        parts = {"producer": width.producers, "coupled": width.coupled, "consumer": width.consumers}
        for role, layers in parts.items():
            yield from (_Axis(layer=layer, role=role, index=index, width=width) for layer in layers)


def _step(channels: int) -> tuple[int, int, int]:
    """Return a number of full blocks near the middle, one channel more, and one block more."""
    low = BLOCK * (channels // (2 * BLOCK))
    return low, low + 1, low + BLOCK
