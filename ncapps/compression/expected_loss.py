"""What the repair is expected to leave of each loss on images that it has not seen: for sharing a budget out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ncapps.compression.elimination import RIDGE, Ranking, ridged
from ncapps.compression.moments import WidthMoments
from ncapps.compression.passes import plan_passes
from ncapps.compression.preparation import Preparation, width_moments
from ncapps.compression.repair import fan_ins

TOGETHER = 0.5
"""What is expected to be left of a loss where layers are moved together: of 0.25, 0.5, 1 and 2, for MobileNetV2's stem
and first two stages, the one with the smallest error of the logits on development photos."""
POINTS = 4
"""For so many numbers of removed channels the ratio is computed; between them it is interpolated."""


def after_repair(prepared: Preparation, rankings: Sequence[Ranking], *, progress: bool = False) -> tuple[Ranking, ...]:
    """Return the rankings with the losses that the repair is expected to leave on other images.

    The loss of a least-squares fit is larger on other images than on its own where these are few for the layer's
    inputs: every second image and the others, which predict each other, tell by how much (`unseen_ratio`). Early layers
    are moved together afterwards, which takes back about half of what they lose (`TOGETHER`). Streams that several
    layers read keep their losses, since their joint moments are not those of one fit.

    Parameters
    ----------
    prepared : Preparation
        The network; it runs over half of the images once more if some layers are not moved together.
    rankings : sequence of Ranking
        One for each width.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    tuple of Ranking
        With the same orders; a single image has no halves, and changes nothing.
    """
    some, dense, probe = prepared.calibration, prepared.dense, prepared.probe
    if len(some) < 2:
        return tuple(rankings)
    # By the layers' sizes before the cut and one view: these are moved together whatever is cut.
    passes = plan_passes(probe, some, views=1, seed=0, inputs=fan_ins(dense, dense))
    together = {branch.layer for one in passes if one.plentiful for branch in one.branches}
    apart = [w for w in probe.widths if w.consumer not in together and len(w.consumers) == 1]
    half = replace(some, images=some.images[::2], labels=None if some.labels is None else some.labels[::2])
    halves: dict[str, WidthMoments] = {}
    if apart:
        found = width_moments(dense, replace(probe, widths=tuple(apart)), half, progress=progress)
        halves = {one.width.producer: one for one in found}
    expected = []
    for moments, ranking in zip(prepared.moments, rankings, strict=True):
        of_half, losses = halves.get(moments.width.producer), ranking.losses
        if moments.width.consumer in together:
            losses = TOGETHER * losses
        elif of_half is not None:
            other = (len(some) * moments.gram - len(half) * of_half.gram) / (len(some) - len(half))
            losses = _unseen(moments, of_half.gram, other, ranking)
        expected.append(replace(ranking, losses=losses))
    return tuple(expected)


def _unseen(moments: WidthMoments, first: torch.Tensor, second: torch.Tensor, ranking: Ranking) -> np.ndarray:
    removed = np.unique(np.linspace(0, len(ranking.order), POINTS + 1).round().astype(int)[1:])
    ratios = [unseen_ratio(moments, first, second, ranking.order[:count]) for count in removed]
    return np.maximum.accumulate(ranking.losses * np.interp(np.arange(len(ranking.losses)), removed, ratios))


def unseen_ratio(moments: WidthMoments, first: torch.Tensor, second: torch.Tensor, removed: Sequence[int]) -> float:
    """Return the loss of some channels on images that were not fitted, as a fraction of that on those that were.

    To first order, a least-squares fit with n rows for p inputs leaves 1 - p/n of the true loss on these rows, and
    1 + p/n of it on others. The fit on each half of the images is scored on both halves; all images are twice as many,
    so that their p/n is half as large.

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
        Between 1 and 3; too small where a half has hardly more rows than the layer has inputs.
    """
    gone = set(removed)
    kept = [c for c in range(moments.width.channels) if c not in gone]
    rows = torch.tensor([c * moments.taps + t for c in kept for t in range(moments.taps)] + [len(first) - 1])
    rows = rows.to(first.device)
    inside = outside = 0.0
    for fitted, other in ((first, second), (second, first)):
        wanted = fitted @ moments.weight
        change = moments.weight.clone()
        change[rows] -= torch.linalg.solve(ridged(fitted, RIDGE)[rows[:, None], rows], wanted[rows])
        inside, outside = inside + _loss(change, fitted), outside + _loss(change, other)
    if not inside + outside > 0:
        return 1.0
    share = max(outside - inside, 0.0) / (inside + outside) / 2
    return (1 + share) / (1 - share)


def _loss(change: torch.Tensor, gram: torch.Tensor) -> float:
    # Not below zero, which rounding alone can bring about.
    return max(float(((gram @ change) * change).sum()), 0.0)
