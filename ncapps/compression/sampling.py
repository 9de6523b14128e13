"""Sampled rows of a layer: what it reads (as im2col columns) and writes at a regular grid of output positions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

POSITIONS = 64
"""The most output positions of one image that enter the statistics; neighbours say nearly the same."""


@dataclass(frozen=True, kw_only=True)
class RowSampler:
    """A grid of output positions of one convolution or linear layer.

    The grid is centred and depends on the layer's output size alone, so that statistics do not depend on the order of
    the images; or it is moved from image to image (`turns`), so that each position comes equally often: the border, at
    which a convolution reads zeros, is never on a centred grid.

    Attributes
    ----------
    layer : nn.Module
        An ungrouped or depthwise `nn.Conv2d`, or an `nn.Linear`.
    step : int
        Every `step`-th row and column (convolution) or token (linear layer) is taken.
    offset : tuple of int, optional
        The first row and column, or twice the first token; centred by default.
    """

    layer: nn.Module
    step: int
    offset: tuple[int, int] | None = None

    @classmethod
    def for_output(cls, layer: nn.Module, output: torch.Tensor, positions: int = POSITIONS) -> RowSampler:
        """Choose the step such that at most about `positions` positions an image are taken."""
        ratio = cls.positions(layer, output) / positions
        return cls(layer=layer, step=math.ceil(math.sqrt(ratio) if isinstance(layer, nn.Conv2d) else ratio))

    @staticmethod
    def positions(layer: nn.Module, output: torch.Tensor) -> int:
        """Return the number of output positions of one image."""
        return output[0, 0].numel() if isinstance(layer, nn.Conv2d) else output[0, ..., 0].numel()

    @property
    def start(self) -> tuple[int, int]:
        """The first row and column taken."""
        centre = (self.step - 1) // 2
        return (centre, centre) if self.offset is None else self.offset

    def turns(self, output: torch.Tensor, seen: int = 0) -> Iterator[tuple[RowSampler, torch.Tensor]]:
        """Yield the grids that images in turn are read on, and masks of those images.

        Two images that follow each other have the same grid. What is read of an image does not depend on the batch.

        Parameters
        ----------
        output : Tensor
            The layer's output of a batch.
        seen : int
            Images before it.
        """
        if not len(output):
            return
        sides = output.shape[2:] if isinstance(self.layer, nn.Conv2d) else (self.positions(self.layer, output),)
        spans = [min(self.step, side) for side in sides]
        count = math.prod(spans)
        turn = (torch.arange(seen, seen + len(output), device=output.device) // 2 * _stride(count)) % count
        for one in turn.unique().tolist():
            first, second = one // spans[-1], one % spans[-1]
            offset = (first, second) if len(spans) == 2 else (second, second)
            yield replace(self, offset=offset), turn == one

    def outputs(self, output: torch.Tensor) -> torch.Tensor:
        """Return the sampled positions of a map in the layer's output layout, shape (rows, channels)."""
        if isinstance(self.layer, nn.Conv2d):
            grid = output[:, :, self.start[0] :: self.step, self.start[1] :: self.step]
            return grid.permute(0, 2, 3, 1).reshape(-1, output.shape[1])
        return self._tokens(output)

    def columns(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return what the layer multiplies with its weight there, shape (rows, input channels * kernel taps)."""
        layer = self.layer
        if not isinstance(layer, nn.Conv2d):
            return self._tokens(inputs)
        start = tuple(first * s for first, s in zip(self.start, layer.stride, strict=True))
        padded = F.pad(inputs, _padding(layer, inputs.shape[2:]))[:, :, start[0] :, start[1] :]
        stride = tuple(self.step * s for s in layer.stride)
        patches = F.unfold(padded, layer.kernel_size, dilation=layer.dilation, stride=stride)
        return patches.transpose(1, 2).reshape(-1, patches.shape[1])

    def taps(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return what each channel of a depthwise convolution does, shape (channels, rows, kernel taps)."""
        layer: Any = self.layer
        weight = layer.weight
        found = []
        for place in range(weight[0].numel()):
            only = torch.zeros_like(weight).flatten(1)
            only[:, place] = 1.0
            # By the layer's own forward, since subclasses pad in their own way.
            chosen = {"weight": only.reshape(weight.shape), "bias": torch.zeros_like(only[:, 0])}
            found.append(self.outputs(functional_call(layer, chosen, (inputs,))))
        return torch.stack(found, dim=2).transpose(0, 1)

    def input_moment(self, inputs: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """Return E[a aᵀ] of what the layer reads of a batch, with a constant 1 appended; as `normal_equations` does.

        Parameters
        ----------
        inputs, output : Tensor
            What it reads, and writes.
        """
        total, count = torch.zeros(()), 0
        for grid, mask in self.turns(output):
            some = inputs[mask]
            rows = grid.taps(some) if getattr(self.layer, "groups", 1) > 1 else grid.columns(some)
            rows = torch.cat([rows, rows.new_ones(*rows.shape[:-1], 1)], dim=-1)
            total, count = total.to(rows) + rows.mT @ rows, count + rows.shape[-2]
        return total / count

    def _tokens(self, values: torch.Tensor) -> torch.Tensor:
        tokens = values.reshape(values.shape[0], -1, values.shape[-1])
        return tokens[:, self.start[0] :: self.step].reshape(-1, values.shape[-1])


def _stride(count: int) -> int:
    """Return a step that leads through all of `count` places, and far from one to the next."""
    return next(step for step in range(max(1, round(0.382 * count)), count + 2) if math.gcd(step, count) == 1)


def _padding(layer: nn.Conv2d, size: Sequence[int]) -> tuple[int, int, int, int]:
    """Return what a layer pads an input of this size with: left, right, top, bottom."""
    if isinstance(layer.padding, str) or type(layer).__name__ == "Conv2dSame":
        spans = [_span(layer, side, axis) for axis, side in enumerate(size)]
        (top, bottom), (left, right) = ((span // 2, span - span // 2) for span in spans)
        return left, right, top, bottom
    vertical, horizontal = layer.padding[0], layer.padding[1]
    return int(horizontal), int(horizontal), int(vertical), int(vertical)


def _span(layer: nn.Conv2d, side: int, axis: int) -> int:
    reach, stride = layer.dilation[axis] * (layer.kernel_size[axis] - 1), layer.stride[axis]
    if layer.padding == "valid":
        return 0
    if layer.padding == "same":
        return reach
    # timm's Conv2dSame pads as TensorFlow does: as much as makes the output ceil(side / stride).
    return max((math.ceil(side / stride) - 1) * stride + reach + 1 - side, 0)
