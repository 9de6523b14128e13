"""Move the surviving channels of an inner width themselves, so that their reader can say more with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from ncapps.compression.conjugate_gradients import conjugate_gradients
from ncapps.compression.curvature import Curvature, channel_rows
from ncapps.compression.derivative import ChainDerivative, Link

LEAST_GAIN = 3e-3
"""A step that lowers the error by less, as a fraction of it, is not taken: it is not worth another look."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A layer that is moved, what lies between, and its consumer, with the values that go in and should come out.

    Attributes
    ----------
    producer : nn.Module
        `nn.Conv2d` (depthwise ones too) or `nn.Linear`.
    consumer : nn.Module
        An ungrouped `nn.Conv2d` or an `nn.Linear`.
    between : tuple of Link
        From the producer's output to the consumer's input.
    inputs : Tensor
        What the producer reads.
    wanted : Tensor
        What the consumer, with its weight and bias in `weight`, should give.
    weight : Tensor
        The consumer's weight and, in the last column, its bias; shape (output channels, fan-in + 1).
    """

    producer: Any
    consumer: Any
    between: tuple[Link, ...]
    inputs: torch.Tensor
    wanted: torch.Tensor
    weight: torch.Tensor

    def follow(self, values: torch.Tensor) -> torch.Tensor:
        """Return what the consumer reads when the producer writes these values."""
        for link in self.between:
            values = link.segment(values)
            values = values if link.layer is None else link.layer.forward(values)
        return values

    def read(self, values: torch.Tensor, *, bias: bool = True) -> torch.Tensor:
        """Apply the consumer."""
        return apply(self.consumer, values, self.weight, bias=bias)


def apply(layer: nn.Module, inputs: torch.Tensor, weight: torch.Tensor, *, bias: bool = True) -> torch.Tensor:
    """Apply a convolution or linear layer with another weight, its bias in the last column."""
    shape: Any = layer.weight.shape
    constant = weight[:, -1] if bias else torch.zeros_like(weight[:, -1])
    return functional_call(layer, {"weight": weight[:, :-1].reshape(shape), "bias": constant}, (inputs,))


def refine(pair: Pair, gram: torch.Tensor, *, iterations: int) -> torch.Tensor | None:
    """Return what to add to the producer's weight, its bias last; None if hardly anything is gained.

    One Gauss-Newton step on the squared error of the consumer's output: with what lies between replaced by its
    derivative, that output is linear in the producer's weight, and the least-squares problem is solved by
    preconditioned conjugate gradients. The preconditioner is the Kronecker product of the producer's input moment with
    what the consumer makes of its output (Martens and Grosse 2015, section 3). Of the step as much is taken as lowers
    the true error most.

    Parameters
    ----------
    gram : Tensor
        E[a aᵀ] of the producer's input with a constant 1 appended, shape (fan-in + 1, same); one for each channel of a
        depthwise convolution.
    iterations : int
        Iterations of conjugate gradients: few, since those that come first matter most and generalise best.

    Returns
    -------
    Tensor or None
        Shape (channels, producer's fan-in + 1).
    """
    raw = pair.producer.forward(pair.inputs)
    derivative = ChainDerivative(pair.between, raw)
    error = pair.wanted - pair.read(derivative.end)
    curvature = Curvature(gram.float(), _outer(pair, derivative))
    system = _Linearised(pair, derivative)
    step = conjugate_gradients(system, system.pull(error), curvature, iterations)
    change = apply(pair.producer, pair.inputs, step)

    def error_of(size: float) -> float:
        return float((pair.wanted - pair.read(pair.follow(raw + size * change))).square().sum())

    start = float(error.square().sum())
    size, least = best_size(error_of, start)
    return size * step if start - least > LEAST_GAIN * start else None


def best_size(error_of: Callable[[float], float], start: float) -> tuple[float, float]:
    """Return how much of a step lowers an error most, and that error.

    Parameters
    ----------
    error_of : callable
        The error by the fraction of the step that is taken.
    start : float
        The error without it.

    Examples
    --------
    >>> best_size(lambda size: (1 - 2 * size) ** 2, 1.0)
    (0.5, 0.0)
    """
    errors = {0.0: start, **{size: error_of(size) for size in (0.5, 1.0)}}
    point = lowest_point(*errors.values())
    if point not in errors:
        errors[point] = error_of(point)
    size = min(errors, key=errors.__getitem__)
    return size, errors[size]


def lowest_point(start: float, middle: float, end: float) -> float:
    """Return where in [0, 1] the parabola through errors at 0, 0.5 and 1 is lowest.

    Examples
    --------
    >>> lowest_point(1.0, 0.25, 0.0), lowest_point(1.0, 0.0, 1.0), lowest_point(1.0, 2.0, 4.0)
    (1.0, 0.5, 0.0)
    """
    bend = 2 * (start - 2 * middle + end)
    if bend > 0:
        return min(1.0, max(0.0, (bend - (end - start)) / (2 * bend)))
    return 0.0 if start <= end else 1.0


class _Linearised:
    """The consumer's output as a linear function of a change of the producer's weight."""

    def __init__(self, pair: Pair, derivative: ChainDerivative) -> None:
        self.pair, self.derivative = pair, derivative
        weight = pair.producer.weight
        self.count = derivative.end.numel() // weight.shape[0]
        self.shape = (weight.shape[0], weight[0].numel() + 1)

    def pull(self, error: torch.Tensor) -> torch.Tensor:
        """Return the adjoint applied to an error of the output."""
        return self._both(error.new_zeros(self.shape), error)

    def __call__(self, change: torch.Tensor) -> torch.Tensor:
        """Return the adjoint applied to the output's change."""
        return self._both(change, None)

    def _both(self, change: torch.Tensor, error: torch.Tensor | None) -> torch.Tensor:
        with torch.enable_grad():
            change = change.detach().requires_grad_(True)
            moved = apply(self.pair.producer, self.pair.inputs, change)
            hidden = self.derivative.push(moved.detach()).requires_grad_(True)
            output = self.pair.read(hidden, bias=False)
            pulled = torch.autograd.grad(output, hidden, output.detach() if error is None else error)[0]
            return torch.autograd.grad(moved, change, self.derivative.pull(pulled))[0] / self.count


def _outer(pair: Pair, derivative: ChainDerivative) -> torch.Tensor:
    """Return what the consumer makes of the producer's channels, shape (channels, channels)."""
    channels = pair.producer.weight.shape[0]
    slopes = derivative.slopes
    if slopes is None:
        slopes = derivative.push(_shared_change(pair))
    rows = channel_rows(pair.producer, slopes)
    taps = pair.weight[:, :-1].reshape(len(pair.weight), channels, -1)
    return torch.einsum("oat,obt->ab", taps, taps) * (rows @ rows.T / rows.shape[1])


def _shared_change(pair: Pair) -> torch.Tensor:
    """Return a change of unit size that is the same in all channels: random, but as smooth as the inputs are."""
    weight = pair.producer.weight
    generator = torch.Generator().manual_seed(0)
    row = torch.randn((1, weight[0].numel() + 1), generator=generator).to(weight.device)
    values = apply(pair.producer, pair.inputs, row.expand(len(weight), -1))
    if getattr(pair.producer, "groups", 1) > 1:
        return values / values.square().mean().sqrt().clamp_min(1e-12)
    values = values - values.mean()
    return values / values.square().mean().sqrt().clamp_min(1e-12)
