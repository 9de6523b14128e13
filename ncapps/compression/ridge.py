"""Ridge regression towards a prior weight, its strength chosen by two halves of the images that predict each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ncapps.compression.elimination import ridged
from ncapps.compression.moments import wide_type
from ncapps.compression.sampling import RowSampler

RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Strengths that are tried, as fractions of the second moment's mean diagonal; there is none on the bias."""

Half = tuple[torch.Tensor, torch.Tensor]


def normal_equations(sampler: RowSampler, inputs: torch.Tensor, wanted: torch.Tensor, batch_size: int) -> Half:
    """Return E[a aᵀ] and E[a tᵀ] of a layer's inputs a, with a constant 1 appended, and its wanted outputs t."""
    gram: Any = 0.0
    cross: Any = 0.0
    seen = 0
    wide = wide_type(wanted.device)
    for some, goal in zip(inputs.split(batch_size), wanted.split(batch_size), strict=True):
        columns, rows = sampler.columns(some), sampler.outputs(goal)
        columns = torch.cat([columns, columns.new_ones(len(columns), 1)], dim=1)
        # Products in float32, sums in float64: twice as quick, and the error is far below the ridge.
        gram = gram + (columns.T @ columns).to(wide)
        cross = cross + (columns.T @ rows).to(wide)
        seen += len(columns)
    return gram / max(seen, 1), cross / max(seen, 1)


def solve_towards(prior: torch.Tensor, halves: Sequence[Half]) -> Half:
    """Return the second moment of both halves together, and the ridge solution.

    Minimises E|aᵀW - t|² + r |W - prior|² with the strength r at which each half's solution predicts the other half
    best: a layer that was hardly cut stays what it was, unless the images give reason enough to change it.

    Parameters
    ----------
    prior : Tensor
        The weight before, bias in the last row; shape (fan-in + 1, output channels).
    halves : sequence of two pairs
        As `normal_equations` gives them.

    Returns
    -------
    tuple of Tensor
        E[a aᵀ] (fan-in + 1, same) and W (fan-in + 1, output channels).
    """
    first, second = halves
    gram, cross = ((one + other) / 2 for one, other in zip(first, second, strict=True))
    errors = [_error(prior, first, second, r) + _error(prior, second, first, r) for r in RIDGES]
    strength = RIDGES[min(range(len(RIDGES)), key=errors.__getitem__)]
    return gram, _solve(prior, gram, cross, strength)


def _solve(prior: torch.Tensor, gram: torch.Tensor, cross: torch.Tensor, strength: float) -> torch.Tensor:
    return prior + torch.linalg.solve(ridged(gram, strength), cross - gram @ prior)


def _error(prior: torch.Tensor, fitted: Half, tested: Half, strength: float) -> float:
    """Return the squared error on the tested half, less a constant."""
    weight = _solve(prior, *fitted, strength)
    gram, cross = tested
    return float(((gram @ weight - 2 * cross) * weight).sum())
