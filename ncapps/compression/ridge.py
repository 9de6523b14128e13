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


def normal_equations(
    sampler: RowSampler, inputs: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor], first: Sequence[torch.Tensor]
) -> tuple[Half, Half]:
    """Return E[a aᵀ] and E[a tᵀ] of a layer's inputs a, with a constant 1 appended, and its wanted outputs t.

    Parameters
    ----------
    sampler : RowSampler
        The layer and its positions. For a depthwise convolution the moments are those of each channel, shapes
        (channels, taps + 1, taps + 1) and (channels, taps + 1, 1).
    inputs, wanted : sequence of Tensor
        Batches.
    first : sequence of Tensor
        Of each batch, which images are of the first half.
    """
    sums: list[list[Any]] = [[0.0, 0.0, 0], [0.0, 0.0, 0]]
    wide = wide_type(wanted[0].device)
    images = 0
    for some, goal, mask in zip(inputs, wanted, first, strict=True):
        if not len(some):
            continue
        columns, rows, of_first = _rows(sampler, some, goal, mask, images)
        images += len(some)
        for half, rows_of_half in zip(sums, (of_first, ~of_first), strict=True):
            a, t = columns[..., rows_of_half, :], rows[..., rows_of_half, :]
            # Products in float32, sums in float64: twice as quick, and the error is far below the ridge.
            half[0] = half[0] + (a.mT @ a).to(wide)
            half[1] = half[1] + (a.mT @ t).to(wide)
            half[2] += a.shape[-2]
    first_half, second_half = ((gram / max(seen, 1), cross / max(seen, 1)) for gram, cross, seen in sums)
    return first_half, second_half


def _rows(
    sampler: RowSampler, inputs: torch.Tensor, wanted: torch.Tensor, first: torch.Tensor, seen: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a batch's columns with a constant 1 appended, wanted outputs, and which rows are of the first half."""
    depthwise = getattr(sampler.layer, "groups", 1) > 1
    parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for grid, of_turn in sampler.turns(wanted, seen):
        rows = grid.outputs(wanted[of_turn])
        columns = grid.taps(inputs[of_turn]) if depthwise else grid.columns(inputs[of_turn])
        of_first = first[of_turn]
        of_first = of_first.repeat_interleave(columns.shape[-2] // len(of_first))
        parts.append((columns, rows.T[..., None] if depthwise else rows, of_first))
    columns, rows = (torch.cat(part, dim=-2) for part in list(zip(*parts, strict=True))[:2])
    columns = torch.cat([columns, columns.new_ones(*columns.shape[:-1], 1)], dim=-1)
    return columns, rows, torch.cat([of_first for *_, of_first in parts])


def solve_towards(prior: torch.Tensor, halves: Sequence[Half]) -> Half:
    """Return the second moment of both halves together, and the ridge solution.

    Minimises E|aᵀW - t|² + r |W - prior|² with the strength r at which each half's solution predicts the other half
    best: a layer that was hardly cut stays what it was, unless the images give reason enough to change it.

    Parameters
    ----------
    prior : Tensor
        The weight before, bias in the last row; shape (fan-in + 1, output channels), or several of them.
    halves : sequence of two pairs
        As `normal_equations` gives them.

    Returns
    -------
    tuple of Tensor
        E[a aᵀ] (fan-in + 1, same) and W (fan-in + 1, output channels).
    """
    first, second = halves
    # The constant's own moment is 1 where a half has images: one image alone is in the first.
    seen = [half for half in halves if bool((half[0][..., -1, -1] > 0).all())] or list(halves)
    gram, cross = (torch.stack(parts).mean(dim=0) for parts in zip(*seen, strict=True))
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
