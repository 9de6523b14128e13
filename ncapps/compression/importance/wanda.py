"""Weight times activation: what a channel contributes to its consumer, redundancy left aside."""

from __future__ import annotations

import numpy as np

from ncapps.compression.elimination import Ranking, eliminate
from ncapps.compression.moments import WidthMoments


def rank_by_wanda(moments: WidthMoments, rng: np.random.Generator) -> Ranking:
    """Rank channels by |consumer weight| times the root mean square of its input (Sun et al. 2024, equation 1).

    Summed over the weights that read a channel, since whole channels are removed.
    """
    rms = moments.gram.diagonal()[:-1].clamp_min(0).sqrt()
    scores = (moments.weight[:-1].abs().sum(dim=1) * rms).reshape(-1, moments.taps).sum(dim=1)
    return eliminate(moments, np.argsort(scores.cpu().numpy(), kind="stable").tolist())
