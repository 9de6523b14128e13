"""Share a budget of operations, parameters or milliseconds out over the inner widths: least loss for each one saved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ncapps.compression.elimination import Ranking
from ncapps.compression.macs import CostModel


def allocate(
    rankings: Sequence[Ranking], energies: Sequence[float], channels: Sequence[int], cost: CostModel, target: float
) -> list[int]:
    """Return how many channels each width keeps so that the whole network costs at most `target` of the dense one.

    Each width's cost curve is divided by the energy of the stream that its branch joins, which makes losses of
    different depths comparable, and replaced by its lower convex hull over what the removals save; then the hull
    segment with the least loss for each saved operation is taken until the target is met; of the last one only as much
    as is needed.

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
    target : float
        As a fraction of the dense cost; within reach.
    """
    kept = list(channels)
    segments = [
        _hull(ranking.losses / energy, cost.progress(index, len(ranking.order)))
        for index, (ranking, energy) in enumerate(zip(rankings, energies, strict=True))
    ]
    place = [0] * len(segments)
    budget = target * cost.total
    while cost(kept) > budget:
        index = _cheapest(segments, place, kept, cost)
        if place[index] == len(segments[index]):
            # Every width is at its least, which was the target, up to rounding.
            break
        count = segments[index][place[index]][0]
        place[index] += 1
        missing = cost(kept) - budget
        if cost.saved(kept, index, count) > missing:
            count = next(n for n in range(1, count + 1) if cost.saved(kept, index, n) >= missing or n == count)
        kept[index] -= count
    return kept


def uniform(channels: Sequence[int], least: Sequence[int], cost: CostModel, target: float) -> list[int]:
    """Return how many channels each width keeps when all lose the same fraction, as little as meets the target."""
    floor = np.asarray(least)
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        kept = np.maximum(np.floor(middle * np.asarray(channels) + 1e-9), floor).astype(int).tolist()
        low, high = (middle, high) if cost(kept) <= target * cost.total else (low, middle)
    return np.maximum(np.floor(low * np.asarray(channels) + 1e-9), floor).astype(int).tolist()


def _cheapest(segments: list[list[tuple[int, float]]], place: list[int], kept: list[int], cost: CostModel) -> int:
    prices = [
        segments[i][place[i]][1] / max(cost.saved(kept, i, segments[i][place[i]][0]), 1e-9)
        if place[i] < len(segments[i])
        else np.inf
        for i in range(len(segments))
    ]
    return int(np.argmin(prices))


def _hull(losses: np.ndarray, saved: np.ndarray) -> list[tuple[int, float]]:
    """Return the lower convex hull of losses over savings as segments (channels removed, loss added)."""
    corners = [0]
    for end in range(1, len(losses)):
        while len(corners) > 1:
            a, b = corners[-2], corners[-1]
            if (losses[b] - losses[a]) * (saved[end] - saved[b]) < (losses[end] - losses[b]) * (saved[b] - saved[a]):
                break
            corners.pop()
        corners.append(end)
    return [(b - a, float(losses[b] - losses[a])) for a, b in zip(corners, corners[1:], strict=False)]
