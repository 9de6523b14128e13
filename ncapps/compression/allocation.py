"""Share a budget of multiply-accumulates out over the inner widths: least loss for each one saved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ncapps.compression.elimination import Ranking
from ncapps.compression.macs import CostModel
from ncapps.errors import InputError


def allocate(
    rankings: Sequence[Ranking], energies: Sequence[float], channels: Sequence[int], cost: CostModel, macs: float
) -> list[int]:
    """Return how many channels each width keeps so that the whole network costs at most `macs` of the dense one.

    Each width's cost curve is divided by the energy of the stream that its branch joins, which makes losses of
    different depths comparable, and replaced by its lower convex hull; then the hull segment with the least loss for
    each saved multiply-accumulate is taken until the target is met; of the last one only as much as is needed.

    Parameters
    ----------
    rankings : sequence of Ranking
        Removal order and cost curve of each width.
    energies : sequence of float
        Mean squared norm of the stream at each width.
    channels : sequence of int
        Dense channels of each width.
    cost : CostModel
        Cost of the whole network.
    macs : float
        The target, as a fraction of the dense cost.

    Raises
    ------
    InputError
        If the target is out of reach.
    """
    kept = list(channels)
    floor = [count - len(ranking.order) for count, ranking in zip(channels, rankings, strict=True)]
    best = cost(floor) / cost.total
    if best > macs:
        raise InputError(
            f"macs={macs:g} is out of reach: with every inner width at its least, {best:.3f} of the operations "
            f"are left; ask for macs={np.ceil(best * 1000) / 1000:g} or more"
        )
    segments = [_hull(ranking.losses / energy) for ranking, energy in zip(rankings, energies, strict=True)]
    place = [0] * len(segments)
    budget = macs * cost.total
    while cost(kept) > budget:
        index = _cheapest(segments, place, kept, cost)
        count = segments[index][place[index]][0]
        place[index] += 1
        missing = cost(kept) - budget
        if cost.saved(kept, index, count) > missing:
            count = next(n for n in range(1, count + 1) if cost.saved(kept, index, n) >= missing or n == count)
        kept[index] -= count
    return kept


def _cheapest(segments: list[list[tuple[int, float]]], place: list[int], kept: list[int], cost: CostModel) -> int:
    prices = [
        segments[i][place[i]][1] / max(cost.saved(kept, i, segments[i][place[i]][0]), 1e-9)
        if place[i] < len(segments[i])
        else np.inf
        for i in range(len(segments))
    ]
    return int(np.argmin(prices))


def _hull(losses: np.ndarray) -> list[tuple[int, float]]:
    """Return the lower convex hull of a cost curve as segments (channels removed, loss added)."""
    corners = [0]
    for end in range(1, len(losses)):
        while len(corners) > 1:
            a, b = corners[-2], corners[-1]
            if (losses[b] - losses[a]) * (end - b) < (losses[end] - losses[b]) * (b - a):
                break
            corners.pop()
        corners.append(end)
    return [(b - a, float(losses[b] - losses[a])) for a, b in zip(corners, corners[1:], strict=False)]
