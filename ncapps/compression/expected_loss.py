"""What the repair is expected to leave of each loss on images that it has not seen: for sharing a budget out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ncapps.compression.elimination import Ranking, ridged
from ncapps.compression.moments import WidthMoments
from ncapps.compression.passes import plan_passes
from ncapps.compression.preparation import Preparation, width_moments
from ncapps.compression.repair import fan_ins

TOGETHER = 0.5
"""What is expected to be left of a loss where layers are moved together and make up for each other; chosen on photos,
among 0.25 to 2, by the error of MobileNetV2's logits."""
POINTS = 4
"""At so many widths it is looked at how losses on other images compare."""


def after_repair(prepared: Preparation, rankings: Sequence[Ranking]) -> tuple[Ranking, ...]:
    """Return the rankings with the losses that the repair is expected to leave on other images.

    A loss that least squares promise on their own images is larger on others where these images are few for the
    layer's inputs: two halves of the images that predict each other tell by how much. Early layers are moved together
    afterwards, which takes back about half of what they lose (`TOGETHER`).

    Parameters
    ----------
    prepared : Preparation
        The network; it runs over half of the images once more.
    rankings : sequence of Ranking
        One for each width.

    Returns
    -------
    tuple of Ranking
        With the same orders; a single image has no halves, and changes nothing.
    """
    some, dense = prepared.calibration, prepared.dense
    if len(some) < 2:
        return tuple(rankings)
    passes = plan_passes(prepared.probe, some, views=1, seed=0, inputs=fan_ins(dense, dense))
    together = {branch.layer for one in passes if one.plentiful for branch in one.branches}
    labels = None if some.labels is None else some.labels[::2]
    half = replace(some, images=some.images[::2], labels=labels)
    halves = width_moments(dense, prepared.probe, half)
    found = []
    for one, of_half, ranking in zip(prepared.moments, halves, rankings, strict=True):
        if one.width.consumer in together:
            losses = TOGETHER * ranking.losses
        elif one.width.is_stream:
            # Joined moments are scaled by what they hold, and cannot be taken apart.
            losses = ranking.losses
        else:
            other = (len(some) * one.gram - len(half) * of_half.gram) / (len(some) - len(half))
            losses = _unseen(one, of_half.gram, other, ranking)
        found.append(replace(ranking, losses=losses))
    return tuple(found)


def _unseen(moments: WidthMoments, first: torch.Tensor, second: torch.Tensor, ranking: Ranking) -> np.ndarray:
    removed = np.unique(np.linspace(0, len(ranking.order), POINTS + 1).round().astype(int)[1:])
    ratios = [unseen_ratio(moments, first, second, ranking.order[:count]) for count in removed]
    return np.maximum.accumulate(ranking.losses * np.interp(np.arange(len(ranking.losses)), removed, ratios))


def unseen_ratio(moments: WidthMoments, first: torch.Tensor, second: torch.Tensor, removed: Sequence[int]) -> float:
    """Return the loss of some channels on images that were not fitted, as a fraction of that on those that were.

    Least squares with n rows for p inputs leave about 1 - p/n of the true loss on these rows, and 1 + p/n of it on
    others. Each half of the images, fitted by itself, is asked about both; twice the images halve the distance.

    Parameters
    ----------
    moments : WidthMoments
        Of all images.
    first, second : Tensor
        E[a aᵀ] of the halves.
    removed : sequence of int
        Channels that are gone.

    Returns
    -------
    float
        1 or more.
    """
    gone = set(removed)
    kept = [c for c in range(moments.width.channels) if c not in gone]
    rows = torch.tensor([c * moments.taps + t for c in kept for t in range(moments.taps)] + [len(first) - 1])
    rows = rows.to(first.device)
    inside = outside = 0.0
    for fitted, other in ((first, second), (second, first)):
        wanted = fitted @ moments.weight
        change = moments.weight.clone()
        change[rows] -= torch.linalg.solve(ridged(fitted, 1e-3)[rows[:, None], rows], wanted[rows])
        inside, outside = (total + _loss(change, gram) for total, gram in ((inside, fitted), (outside, other)))
    middle = (inside + outside) / 2
    if not middle > 0:
        return 1.0
    excess = max(outside - inside, 0.0) / (2 * middle)
    return (1 + excess / 2) / max(1 - excess / 2, 0.1)


def _loss(change: torch.Tensor, gram: torch.Tensor) -> float:
    return float(((gram @ change) * change).sum())
