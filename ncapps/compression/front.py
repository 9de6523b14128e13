"""Cost against accuracy: the points that were tried, and the search for the smallest network within a bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ncapps.compression.result import Compressed
from ncapps.compression.targets import NOUNS
from ncapps.errors import InputError

GENTLEST = 0.97
"""The largest fraction of the cost that the search tries."""
TRIALS = 5
"""Networks built after the first one, each halving what is not known."""


def smallest_within(
    build: Callable[[float], Compressed], max_drop: float, unit: str, target: float | None, least: float
) -> Compressed:
    """Return the smallest network that loses at most `max_drop` points, found by bisection.

    Parameters
    ----------
    build : callable
        From the fraction of the cost to keep to the network, with a drop in its report.
    max_drop : float
        Percentage points.
    unit : str
        Name of the target, for messages.
    target : float or None
        Taken if it is within the bound; by default as small as possible.
    least : float
        The smallest fraction within reach.

    Raises
    ------
    InputError
        If even the gentlest target loses more.
    """
    low, high = (least if target is None else target), GENTLEST
    tried = [build(low)]
    if _within(tried[0], max_drop):
        return mark(tried, 0)
    best: int | None = None
    for _ in range(TRIALS):
        middle = (low + high) / 2
        tried.append(build(middle))
        if _within(tried[-1], max_drop):
            best, high = len(tried) - 1, middle
        else:
            low = middle
    if best is None:
        tried.append(build(GENTLEST))
        best = len(tried) - 1 if _within(tried[-1], max_drop) else None
    if best is None:
        drop = tried[-1].report.drop
        gentlest = f"{GENTLEST} of the {NOUNS[unit]}" if unit == "latency" else f"{unit}={GENTLEST}"
        raise InputError(
            f"max_drop={max_drop:g} cannot be kept: even with {gentlest} {drop:.2f} points are lost on "
            f"{tried[-1].report.held_out_images} held-out images; allow more, or give more calibration images"
        )
    return mark(tried, best)


def mark(networks: Sequence[Compressed], chosen: int) -> Compressed:
    """Return one of several networks, with all of them in its report's front and its own point marked."""
    points = [replace(network.report.front[0], chosen=i == chosen) for i, network in enumerate(networks)]
    points.sort(key=lambda point: -point.macs_ratio)
    network = networks[chosen]
    return replace(network, report=replace(network.report, front=tuple(points)))


def _within(network: Compressed, max_drop: float) -> bool:
    drop = network.report.drop
    return drop is not None and drop <= max_drop
