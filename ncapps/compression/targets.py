"""Which target was asked for, and whether it can be one."""

from __future__ import annotations

import math
from numbers import Real

from ncapps.errors import InputError

NOUNS = {"macs": "operations", "params": "parameters", "latency": "time of the layers that can be cut"}
"""What each unit of cost counts, for messages."""


def target_of(
    *, macs: float | None = None, params: float | None = None, latency_ms: float | None = None,
    max_drop: float | None = None, latency_batch: int = 1,
) -> tuple[str, float | None]:  # fmt: skip
    """Return the unit, "macs", "params" or "latency", and the target as it was given, None where there is none.

    Raises
    ------
    InputError
        If there are two targets, or one is outside its range.

    Examples
    --------
    >>> target_of(params=0.5)
    ('params', 0.5)
    """
    given = {"macs": macs, "params": params, "latency_ms": latency_ms}
    asked = [name for name, value in given.items() if value is not None]
    if len(asked) > 1:
        words = " and ".join(f"{name}={given[name]!r}" for name in asked[:2])
        raise InputError(f"{words} are two targets; give one of them")
    if max_drop is not None and not (isinstance(max_drop, Real) and 0 <= max_drop < 100):
        raise InputError(f"max_drop is in percentage points, from 0 to 100, but {max_drop!r} came")
    if latency_batch < 1:
        raise InputError(f"latency_batch is how many images a timed pass has, 1 or more, but {latency_batch!r} came")
    if latency_ms is not None:
        if not (isinstance(latency_ms, Real) and latency_ms > 0 and math.isfinite(latency_ms)):
            raise InputError(f"latency_ms is the milliseconds of one forward pass, above 0, but {latency_ms!r} came")
        return "latency", latency_ms
    unit, target = ("macs", macs) if params is None else ("params", params)
    if target is not None and not (isinstance(target, Real) and 0 < target < 1):
        raise InputError(f"{unit} is the fraction of {NOUNS[unit]} to keep, between 0 and 1, but {target!r} came")
    return unit, target
