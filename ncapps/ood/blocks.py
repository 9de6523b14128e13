"""Scoring in blocks of rows, over threads where there are many."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from threadpoolctl import ThreadpoolController

from ncapps.threads import map_in_threads

# Rows scored together: enough for fast matrix products, few enough to stay near the core; and how many such blocks
# are worth starting threads for.
_BLOCK, _WORTH_THREADS = 1024, 8


def score_in_blocks(score: Callable[[np.ndarray], np.ndarray], X: np.ndarray) -> np.ndarray:
    """Return `score` of all rows, shape (images,), taken block by block: memory stays small, and all cores work."""
    if len(X) <= _BLOCK:
        return score(X)
    blocks = [X[start : start + _BLOCK] for start in range(0, len(X), _BLOCK)]
    libraries = ThreadpoolController() if len(blocks) >= _WORTH_THREADS else None
    return np.concatenate(list(map_in_threads(score, blocks, libraries)))
