"""Which layers are repaired together, and on how many images: as many as they need and memory holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ncapps.compression.calibration import Calibration
from ncapps.compression.probe import Branch, Probe
from ncapps.compression.views import with_views

MOST_VALUES = 2**28
"""The most values of one layer's output, all images together: 1 GiB, of which some five are held at a time."""
ROWS_PER_INPUT = 1000
"""A layer is refitted on so many output positions, of all images and views, for each of its inputs, and on more where
the images alone have more. Neighbouring positions say nearly the same: hence so many."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """Layers that follow each other, and the images they are refitted on.

    Attributes
    ----------
    branches : tuple of Branch
        The layers, in the order in which they run.
    images : Calibration
        All first views of the images, then all second ones, and so on.
    views : int
        Views of each image.
    """

    branches: tuple[Branch, ...]
    images: Calibration
    views: int


def plan_passes(
    probe: Probe,
    calibration: Calibration,
    *,
    views: int,
    seed: int,
    inputs: Mapping[str, tuple[int, int]] | None = None,
    most_values: int = MOST_VALUES,
) -> list[Pass]:
    """Share the layers out over passes through the network.

    Early layers have large outputs and few weights, late ones small outputs and many weights: the late ones are
    refitted in a pass of their own, on more views of the images. A width is never split.

    Parameters
    ----------
    views : int
        The most views of each image.
    seed : int
        Seed of the views.
    inputs : mapping, optional
        Of each layer the inputs of one output, and its output channels; without them all views are needed everywhere.
    most_values : int
        The most values of one layer's output, all images together.
    """
    order = {name: place for place, name in enumerate(probe.values)}
    branches = {branch.layer: branch for branch in (*probe.streams, *probe.producers, *probe.branches)}
    branches.update({branch.layer: branch for _, branch in probe.depthwise})
    names = sorted(branches, key=order.__getitem__)
    groups: list[tuple[int, list[str]]] = []
    for group in _inseparable(probe, names):
        needed = max(_needed(probe.values[name], (inputs or {}).get(name), len(calibration), views) for name in group)
        fit = min(needed, max(2, most_values // max(probe.values[name] for name in group)))
        if groups and fit < 2 * groups[-1][0]:
            groups[-1] = (min(fit, groups[-1][0]), groups[-1][1] + group)
        else:
            groups.append((fit, group))
    found = []
    for fit, group in groups:
        few = calibration
        if fit < len(calibration):
            few = replace(calibration, images=calibration.images[:fit], labels=None)
        count = max(1, fit // len(few))
        of_group = tuple(branches[name] for name in group)
        found.append(Pass(branches=of_group, images=with_views(few, count, seed=seed), views=count))
    return found


def _needed(values: int, inputs: tuple[int, int] | None, images: int, views: int) -> int:
    """Return on how many views of all images, times images, a layer with so many output values should be refitted."""
    if inputs is None:
        return views * images
    fan_in, channels = inputs
    rows = max(1, values // channels) * images
    return images * min(views, max(1, math.ceil(ROWS_PER_INPUT * fan_in / rows)))


def _inseparable(probe: Probe, names: Sequence[str]) -> list[list[str]]:
    """Split the layers where no width is open."""
    place = {name: i for i, name in enumerate(names)}
    groups: list[list[str]] = []
    last = -1
    for name in names:
        if place[name] > last:
            groups.append([])
        groups[-1].append(name)
        ends = [place[width.consumer] for width in probe.widths if width.producer == name]
        last = max([last, *ends])
    return groups
