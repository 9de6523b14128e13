"""What lies between two layers, and its derivative at one point, applied forwards and backwards."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from ncapps.compression.segment import Segment


class Derivative:
    """The derivative of a segment at some values.

    Where each value depends on its own input alone, as after a batch norm and an activation, it is a product with the
    slopes; in general, as with a depthwise convolution between, it is differentiated forwards and backwards.

    Parameters
    ----------
    segment : callable
        From one tensor to another.
    start : Tensor
        The values.

    Attributes
    ----------
    end : Tensor
        What the segment makes of them.
    slopes : Tensor or None
        The derivative of each value by its own input; None if a value depends on others too.
    """

    def __init__(self, segment: Segment, start: torch.Tensor) -> None:
        self._segment = segment
        with torch.enable_grad():
            self._start = start.detach().requires_grad_(True)
            self._end = segment(self._start)
        self.end = self._end.detach()
        self.slopes = self._slopes()
        if self.slopes is not None:
            del self._end

    def push(self, change: torch.Tensor) -> torch.Tensor:
        """Return the change of the end for a change of the start."""
        if self.slopes is not None:
            return self.slopes * change
        with warnings.catch_warnings():
            # PyTorch compiles its own formulas the first time, and warns of how it does that.
            warnings.simplefilter("ignore", FutureWarning)
            return torch.func.jvp(self._segment, (self._start.detach(),), (change,))[1]

    def pull(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return the gradient by the start for a gradient by the end: the adjoint of `push`."""
        if self.slopes is not None:
            return self.slopes * gradient
        return torch.autograd.grad(self._end, self._start, gradient, retain_graph=True)[0]

    def _slopes(self) -> torch.Tensor | None:
        if self._end.shape != self._start.shape:
            return None
        slopes = torch.autograd.grad(self._end, self._start, torch.ones_like(self._end), retain_graph=True)[0]
        generator = torch.Generator().manual_seed(0)
        signs = (torch.rand(slopes.shape, generator=generator) < 0.5).to(slopes.device, slopes.dtype) * 2 - 1
        pulled = torch.autograd.grad(self._end, self._start, signs, retain_graph=True)[0]
        return slopes if torch.allclose(pulled, slopes * signs, atol=1e-4) else None


@dataclass(frozen=True, kw_only=True)
class Link:
    """A segment, and the linear layer that reads its end, where another link follows."""

    segment: Segment
    layer: Any = None


class ChainDerivative:
    """The derivative of several segments with layers between, at some values: an inverted residual's, say.

    Parameters
    ----------
    links : sequence of Link
        In the order in which they run; all but the last have a layer.
    start : Tensor
        The values.

    Attributes
    ----------
    end : Tensor
        What the whole makes of them.
    slopes : Tensor or None
        As of `Derivative`, where there is one segment alone.
    """

    def __init__(self, links: Sequence[Link], start: torch.Tensor) -> None:
        self._parts: list[tuple[Derivative, _Linear | None]] = []
        self.end = start
        for link in links:
            part = Derivative(link.segment, self.end)
            linear = None if link.layer is None else _Linear(link.layer, part.end)
            self._parts.append((part, linear))
            self.end = part.end if link.layer is None else link.layer.forward(part.end)
        self.slopes = self._parts[0][0].slopes if len(links) == 1 else None

    def push(self, change: torch.Tensor) -> torch.Tensor:
        """Return the change of the end for a change of the start."""
        for part, linear in self._parts:
            change = part.push(change)
            change = change if linear is None else linear.push(change)
        return change

    def pull(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return the gradient by the start for a gradient by the end."""
        for part, linear in reversed(self._parts):
            gradient = part.pull(gradient if linear is None else linear.pull(gradient))
        return gradient


class _Linear:
    """A layer without its bias, and its adjoint."""

    def __init__(self, layer: nn.Module, inputs: torch.Tensor) -> None:
        weight: Any = layer.weight
        self._layer = layer
        self._weights = {"weight": weight.detach(), "bias": torch.zeros_like(weight[:, 0].flatten(1)[:, 0])}
        with torch.enable_grad():
            self._start = torch.zeros_like(inputs).requires_grad_(True)
            self._end = functional_call(layer, self._weights, (self._start,))

    def push(self, change: torch.Tensor) -> torch.Tensor:
        return functional_call(self._layer, self._weights, (change,))

    def pull(self, gradient: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(self._end, self._start, gradient, retain_graph=True)[0]
