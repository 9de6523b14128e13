"""A few iterations of preconditioned conjugate gradients for a damped Gauss-Newton step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

DAMPING = 1e-1
"""Tikhonov damping, as a fraction of the curvature's Kronecker approximation."""


class Preconditioner(Protocol):
    """An approximation of the curvature that can be inverted."""

    def apply(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the approximation times a weight."""
        ...

    def solve(self, weight: torch.Tensor) -> torch.Tensor:
        """Return its damped inverse times a weight."""
        ...


def conjugate_gradients(
    system: Callable[[torch.Tensor], torch.Tensor],
    residual: torch.Tensor,
    curvature: Preconditioner,
    iterations: int,
) -> torch.Tensor:
    """Return what nearly solves (system + damping * curvature) step = residual.

    Parameters
    ----------
    system : callable
        The curvature times a weight.
    residual : Tensor
        The right-hand side: minus the gradient.
    curvature : Preconditioner
        Its Kronecker approximation.
    iterations : int
        Few of them: those that come first matter most and generalise best.

    Examples
    --------
    >>> class Identity:
    ...     apply = solve = staticmethod(lambda weight: weight)
    >>> conjugate_gradients(lambda weight: 1.9 * weight, torch.tensor([2.0, 4.0]), Identity(), 1)
    tensor([1., 2.])
    """
    step = torch.zeros_like(residual)
    better = curvature.solve(residual)
    direction, product = better, (residual * better).sum()
    enough = 1e-10 * product
    for _ in range(iterations):
        if not product > enough:
            break
        curved = system(direction) + DAMPING * curvature.apply(direction)
        bend = (direction * curved).sum()
        # Never so in exact arithmetic; finite differences are not exact.
        if not bend > 0:
            break
        size = product / bend
        step = step + size * direction
        residual = residual - size * curved
        better = curvature.solve(residual)
        previous, product = product, (residual * better).sum()
        direction = better + product / previous.clamp_min(1e-30) * direction
    return step
