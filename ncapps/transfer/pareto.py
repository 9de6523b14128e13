"""The Pareto front: what nothing else beats on both cost and value."""

from __future__ import annotations

from typing import Any

import numpy as np


def pareto_front(costs: Any, values: Any) -> np.ndarray:
    """Return whether each point is on the front, shape (points,): none costs as little and gives as much, or better.

    Parameters
    ----------
    costs : array-like
        Lower = better, shape (points,).
    values : array-like
        Higher = better, shape (points,).

    Examples
    --------
    >>> pareto_front([1, 2, 3], [0.5, 0.4, 0.9]).tolist()
    [True, False, True]
    """
    costs, values = np.asarray(costs, dtype=np.float64), np.asarray(values, dtype=np.float64)
    as_good = (costs <= costs[:, None]) & (values >= values[:, None])
    better = (costs < costs[:, None]) | (values > values[:, None])
    return ~(as_good & better).any(axis=1)
