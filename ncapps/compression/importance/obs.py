"""Greedy block optimal brain surgeon: remove what the survivors can rebuild best."""

from __future__ import annotations

import numpy as np

from ncapps.compression.elimination import Ranking, eliminate
from ncapps.compression.moments import WidthMoments


def rank_by_obs(moments: WidthMoments, rng: np.random.Generator) -> Ranking:
    """Rank channels by the error that their removal leaves after the best linear repair, taken jointly and greedily.

    The block form of Hassibi and Stork (1993): see `ncapps.compression.elimination.eliminate`.
    """
    return eliminate(moments)
