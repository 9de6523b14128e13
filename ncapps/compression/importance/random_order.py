"""A random order: the floor that every importance has to beat."""

from __future__ import annotations

import numpy as np

from ncapps.compression.elimination import Ranking, eliminate
from ncapps.compression.moments import WidthMoments


def rank_at_random(moments: WidthMoments, rng: np.random.Generator) -> Ranking:
    """Rank channels in an order drawn from the generator."""
    return eliminate(moments, rng.permutation(moments.width.channels).tolist())
