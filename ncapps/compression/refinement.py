"""Move the surviving channels of an inner width themselves, so that their reader can say more with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ncapps.compression.segment import Segment

POSITIONS = 2**17
"""About so many output positions, of as many images as it takes, enter one refinement."""
DAMPING = 1e-1
"""Tikhonov damping, as a fraction of the curvature's Kronecker approximation."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A producer, what lies between, and its consumer, with the values that go in and should come out.

    Attributes
    ----------
    producer, consumer : nn.Module
        `nn.Conv2d` or `nn.Linear`.
    between : callable
        From the producer's output to the consumer's input; acts on each value by itself.
    inputs : Tensor
        What the producer reads.
    wanted : Tensor
        What the consumer, with its weight and bias in `weight`, should give.
    weight : Tensor
        The consumer's weight and, in the last column, its bias; shape (output channels, fan-in + 1).
    """

    producer: Any
    consumer: Any
    between: Segment
    inputs: torch.Tensor
    wanted: torch.Tensor
    weight: torch.Tensor

    def read(self, values: torch.Tensor, *, bias: bool = True) -> torch.Tensor:
        """Apply the consumer."""
        return apply(self.consumer, values, self.weight, bias=bias)


def apply(layer: Any, inputs: torch.Tensor, weight: torch.Tensor, *, bias: bool = True) -> torch.Tensor:
    """Apply a convolution or linear layer with another weight, its bias in the last column."""
    constant = weight[:, -1] if bias else None
    if isinstance(layer, nn.Linear):
        return F.linear(inputs, weight[:, :-1], constant)
    shape = (len(weight), -1, *layer.kernel_size)
    return F.conv2d(inputs, weight[:, :-1].reshape(shape), constant, layer.stride, layer.padding, layer.dilation)


def refine(pair: Pair, gram: torch.Tensor, *, iterations: int) -> torch.Tensor | None:
    """Return what to add to the producer's output, as a weight with the bias last; None if nothing is gained.

    One Gauss-Newton step on the squared error of the consumer's output: with the activation's slopes held, that output
    is linear in the producer's weight, and the least-squares problem is solved by preconditioned conjugate gradients.
    The preconditioner is the Kronecker product of the producer's input moment with what the consumer makes of its
    output (Martens and Grosse 2015, section 3). The step is halved until the true error falls.

    Parameters
    ----------
    gram : Tensor
        E[a aᵀ] of the producer's input with a constant 1 appended, shape (fan-in + 1, same).
    iterations : int
        Iterations of conjugate gradients: few, since those that come first matter most and generalise best.

    Returns
    -------
    Tensor or None
        Shape (channels, producer's fan-in + 1).
    """
    raw = pair.producer.forward(pair.inputs)
    slope = _slopes(pair.between, raw)
    error = pair.wanted - pair.read(pair.between(raw))
    if slope is None:
        return None
    inner, outer = _curvature(pair, gram.float(), slope)
    step = _conjugate_gradients(_Linearised(pair, slope), error, inner, outer, iterations)
    before = float(error.square().sum())
    for size in (1.0, 0.5, 0.25):
        moved = raw + apply(pair.producer, pair.inputs, size * step)
        if float((pair.wanted - pair.read(pair.between(moved))).square().sum()) < before:
            return size * step
    return None


def _slopes(between: Segment, raw: torch.Tensor) -> torch.Tensor | None:
    """Return the derivative of each value by its own input; None if a value depends on others too."""
    with torch.enable_grad():
        start = raw.detach().requires_grad_(True)
        end = between(start)
        if end.shape != raw.shape:
            return None
        slope = torch.autograd.grad(end.sum(), start, retain_graph=True)[0]
        signs = torch.where(torch.arange(end.numel(), device=end.device).reshape(end.shape) % 2 == 0, -1.0, 1.0)
        pulled = torch.autograd.grad(end, start, signs)[0]
    return slope if torch.allclose(pulled, slope * signs, atol=1e-4) else None


class _Linearised:
    """The consumer's output as a linear function of a change of the producer's weight."""

    def __init__(self, pair: Pair, slope: torch.Tensor) -> None:
        self.pair, self.slope = pair, slope
        self.count = slope.numel() // pair.producer.weight.shape[0]
        self.shape = (pair.producer.weight.shape[0], pair.producer.weight[0].numel() + 1)

    def pull(self, error: torch.Tensor) -> torch.Tensor:
        """Return the adjoint applied to an error of the output."""
        return self._both(error.new_zeros(self.shape), error)[1]

    def __call__(self, change: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the output's change, and the adjoint applied to it."""
        return self._both(change, None)

    def _both(self, change: torch.Tensor, error: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.enable_grad():
            change = change.detach().requires_grad_(True)
            moved = apply(self.pair.producer, self.pair.inputs, change)
            output = self.pair.read(self.slope * moved, bias=False)
            pulled = torch.autograd.grad(output, change, output.detach() if error is None else error)[0]
        return output.detach(), pulled / self.count


def _curvature(pair: Pair, gram: torch.Tensor, slope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the two factors of the Kronecker approximation: of the producer's inputs, and of its outputs."""
    channels = pair.producer.weight.shape[0]
    rows = slope.transpose(0, 1).flatten(1) if slope.ndim == 4 else slope.reshape(-1, channels).T
    taps = pair.weight[:, :-1].reshape(len(pair.weight), channels, -1)
    return gram, torch.einsum("oat,obt->ab", taps, taps) * (rows @ rows.T / rows.shape[1])


def _conjugate_gradients(
    system: _Linearised, error: torch.Tensor, inner: torch.Tensor, outer: torch.Tensor, iterations: int
) -> torch.Tensor:
    solve_inner, solve_outer = _damped_inverse(inner), _damped_inverse(outer)
    residual = system.pull(error)
    step = torch.zeros_like(residual)
    better = solve_outer @ residual @ solve_inner
    direction, product = better, (residual * better).sum()
    enough = 1e-10 * product
    for _ in range(iterations):
        if not product > enough:
            break
        curved = system(direction)[1] + DAMPING * (outer @ direction @ inner)
        size = product / (direction * curved).sum().clamp_min(1e-30)
        step = step + size * direction
        residual = residual - size * curved
        better = solve_outer @ residual @ solve_inner
        previous, product = product, (residual * better).sum()
        direction = better + product / previous.clamp_min(1e-30) * direction
    return step


def _damped_inverse(factor: torch.Tensor) -> torch.Tensor:
    wide = factor.double() if factor.device.type != "mps" else factor
    mean = torch.diagonal(wide).mean().clamp_min(1e-12)
    return torch.linalg.inv(wide + 1e-3 * mean * torch.eye(len(wide), device=wide.device)).to(factor.dtype)
