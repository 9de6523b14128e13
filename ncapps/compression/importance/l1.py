"""Filter magnitude: the oldest importance, and the usual point of comparison."""

from __future__ import annotations

import numpy as np

from ncapps.compression.elimination import Ranking, eliminate
from ncapps.compression.moments import WidthMoments


def rank_by_l1(moments: WidthMoments, rng: np.random.Generator) -> Ranking:
    """Rank channels by the sum of absolute weights that write them (Li et al. 2017, section 3.1)."""
    scores = moments.producer_weight.cpu().double().abs().sum(dim=1).numpy()
    return eliminate(moments, np.argsort(scores, kind="stable").tolist())
