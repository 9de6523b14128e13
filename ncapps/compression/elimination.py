"""Remove channels one after another from a least-squares problem, and say what each removal costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ncapps.compression.moments import WidthMoments

RIDGE = 1e-3
"""On the second moment, as a fraction of its mean diagonal: collapsed ones are singular."""


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


def eliminate(moments: WidthMoments, order: Sequence[int] | None = None, *, ridge: float = RIDGE) -> Ranking:
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
    state = _State(moments, ridge)
    removed: list[int] = []
    losses = [0.0]
    step = max(1, moments.width.channels // 64)
    while len(state.alive) > moments.least_width:
        count = min(step, len(state.alive) - moments.least_width)
        if order is None:
            gone = state.cheapest(count)
        else:
            gone = list(order[len(removed) : len(removed) + count])
        loss = state.remove(gone)
        losses += [losses[-1] + loss * (i + 1) / count for i in range(count)]
        removed += gone
    return Ranking(order=tuple(removed), losses=np.maximum.accumulate(np.asarray(losses)))


def ridged(gram: torch.Tensor, ridge: float) -> torch.Tensor:
    """Return a second moment, or several, with a ridge on all but its last row, which is the constant's."""
    diagonal = torch.diagonal(gram, dim1=-2, dim2=-1)
    amount = (ridge * diagonal[..., :-1].mean(dim=-1, keepdim=True).clamp_min(1e-12)).expand_as(diagonal).clone()
    amount[..., -1] = 1e-12
    return gram + torch.diag_embed(amount)


class _State:
    """The inverse second moment and the weight of the channels that are left."""

    def __init__(self, moments: WidthMoments, ridge: float) -> None:
        self.taps = moments.taps
        self.inverse = torch.linalg.inv(ridged(moments.gram, ridge))
        self.weight = moments.weight.clone()
        self.alive = list(range(moments.width.channels))
        # Places of the living channels in the matrices, which are compacted only now and then: copying is what costs.
        self._places = list(self.alive)

    def cheapest(self, count: int) -> list[int]:
        """Return the channels whose removal costs least, each by itself."""
        places = torch.as_tensor(self._places, device=self.inverse.device)
        rows = self._rows(places)
        own = self.inverse[rows[:, :, None], rows[:, None, :]]
        weight = self.weight[rows]
        costs = (weight * torch.linalg.solve(own, weight)).sum(dim=(1, 2))
        return [self.alive[i] for i in torch.argsort(costs, stable=True)[:count].tolist()]

    def remove(self, channels: Sequence[int]) -> float:
        """Remove channels, refit the others, and return what it cost."""
        at = [self.alive.index(channel) for channel in channels]
        rows = self._rows(torch.as_tensor([self._places[i] for i in at], device=self.inverse.device)).flatten()
        cross = self.inverse[:, rows]
        weight = self.weight[rows]
        both = torch.linalg.solve(cross[rows], torch.cat([weight, cross.T], dim=1))
        loss = float((weight * both[:, : weight.shape[1]]).sum())
        self.weight.addmm_(cross, both[:, : weight.shape[1]], alpha=-1)
        self.inverse.addmm_(cross, both[:, weight.shape[1] :], alpha=-1)
        for i in sorted(at, reverse=True):
            del self.alive[i], self._places[i]
        if len(self.alive) < 0.75 * (len(self.inverse) // self.taps):
            self._compact()
        return max(loss, 0.0)

    def _rows(self, places: torch.Tensor) -> torch.Tensor:
        return places[:, None] * self.taps + torch.arange(self.taps, device=places.device)

    def _compact(self) -> None:
        places = torch.as_tensor(self._places, device=self.inverse.device)
        last = torch.as_tensor([len(self.inverse) - 1], device=self.inverse.device)
        rows = torch.cat([self._rows(places).flatten(), last])
        self.inverse, self.weight = self.inverse[rows][:, rows], self.weight[rows]
        self._places = list(range(len(self.alive)))
