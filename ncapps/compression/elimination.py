"""Remove channels one after another from a least-squares problem, and say what each removal costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ncapps.compression.moments import WidthMoments


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """An order of removal and its cost curve.

    Attributes
    ----------
    order : tuple of int
        Channels, the first to be removed first.
    losses : ndarray
        `losses[k]` is the mean squared error of the consumer's output, summed over its channels, after the first k
        removals and the best linear repair; shape (removals + 1,), not decreasing.
    """

    order: tuple[int, ...]
    losses: np.ndarray


def eliminate(moments: WidthMoments, order: Sequence[int] | None = None, *, ridge: float = 1e-3) -> Ranking:
    """Remove channels by block optimal brain surgeon, or in a given order, until the least width is left.

    With the inverse second moment P of the consumer's input and its weight W, removing channel c costs
    tr(W_cᵀ (P_cc)⁻¹ W_c) when the survivors are refitted; the greedy order takes the least such cost each time. Both
    P and W are downdated after a removal (Hassibi and Stork 1993, equation 5, in blocks of kernel taps).

    Parameters
    ----------
    moments : WidthMoments
        Second moments of the consumer's input and its weight.
    order : sequence of int, optional
        The order to follow; by default the greedy one is found.
    ridge : float
        Ridge on the second moment, as a fraction of its mean diagonal.

    Returns
    -------
    Ranking
        All removals down to `moments.least_width`; above 64 channels in steps of several channels.
    """
    taps = moments.taps
    alive = list(range(moments.width.channels))
    inverse = torch.linalg.inv(ridged(moments.gram, ridge))
    weight = moments.weight.clone()
    removed: list[int] = []
    losses = [0.0]
    step = max(1, len(alive) // 64)
    while len(alive) > moments.least_width:
        count = min(step, len(alive) - moments.least_width)
        if order is None:
            costs = _removal_costs(inverse, weight, len(alive), taps)
            places = torch.argsort(costs, stable=True)[:count].tolist()
        else:
            wanted = order[len(removed) : len(removed) + count]
            places = [alive.index(channel) for channel in wanted]
        inverse, weight, loss = _remove(inverse, weight, places, taps)
        start = losses[-1]
        losses += [start + loss * (i + 1) / count for i in range(count)]
        removed += [alive[place] for place in places]
        alive = [channel for place, channel in enumerate(alive) if place not in set(places)]
    return Ranking(order=tuple(removed), losses=np.maximum.accumulate(np.asarray(losses)))


def ridged(gram: torch.Tensor, ridge: float) -> torch.Tensor:
    """Return a second moment with a ridge on all but its last row, which is the constant's."""
    diagonal = torch.diagonal(gram)
    amount = torch.full_like(diagonal, float(ridge * diagonal[:-1].mean().clamp_min(1e-12)))
    amount[-1] = 1e-12
    return gram + torch.diag(amount)


def _removal_costs(inverse: torch.Tensor, weight: torch.Tensor, channels: int, taps: int) -> torch.Tensor:
    own = inverse[:-1, :-1].reshape(channels, taps, channels, taps).diagonal(dim1=0, dim2=2).permute(2, 0, 1)
    rows = weight[:-1].reshape(channels, taps, -1)
    return (rows * torch.linalg.solve(own, rows)).sum(dim=(1, 2))


def _remove(
    inverse: torch.Tensor, weight: torch.Tensor, places: list[int], taps: int
) -> tuple[torch.Tensor, torch.Tensor, float]:
    gone = torch.zeros(len(inverse), dtype=torch.bool, device=inverse.device)
    for place in places:
        gone[place * taps : (place + 1) * taps] = True
    cross = inverse[~gone][:, gone]
    both = torch.linalg.solve(inverse[gone][:, gone], torch.cat([weight[gone], cross.T], dim=1))
    repair, downdate = both[:, : weight.shape[1]], both[:, weight.shape[1] :]
    loss = float((weight[gone] * repair).sum())
    return inverse[~gone][:, ~gone] - cross @ downdate, weight[~gone] - cross @ repair, max(loss, 0.0)
