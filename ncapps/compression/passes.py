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

MANY_ROWS = 500
"""With so many output positions for each input of a layer, all images together, it does not learn them by heart."""

STEP_ROWS_PER_INPUT = 50
"""One step of the joint refinement wants so many output positions for each input of a layer."""
STEP_POSITIONS = 2**14
"""About so many positions of the last layer, of as many images as it takes, enter one step."""
STEP_VALUES = 2**27
"""The most values of all layers' outputs in one step: 0.5 GiB, of which some eight are held for gradients."""
STEP_IMAGES = 16
"""The fewest images of one step, where there are as many and memory holds them."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """Layers that follow each other, and the images they are refitted on.

    Attributes
    ----------
    branches : tuple of Branch
        The layers, in the order in which they run.
    calibration : Calibration
        The images.
    views : int
        Views of each image.
    seed : int
        Seed of the views.
    plentiful : bool
        Whether these layers and all before them have so many output positions for each of their inputs that they can
        be moved together without learning the images by heart.
    """

    branches: tuple[Branch, ...]
    calibration: Calibration
    views: int
    seed: int = 0
    plentiful: bool = False

    @property
    def images(self) -> Calibration:
        """All first views of the images, then all second ones, and so on: made anew each time, for memory's sake."""
        return with_views(self.calibration, self.views, seed=self.seed)

    def __len__(self) -> int:
        return len(self.calibration) * self.views


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
    refitted in a pass of their own, on more views of the images. Those that are moved together afterwards need one
    view only. A width is never split.

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
    groups: list[_Group] = []
    plentiful, before = inputs is not None, 0
    for group in _inseparable(probe, names):
        sizes = [(probe.values[name], (inputs or {}).get(name)) for name in group]
        before += sum(values for values, _ in sizes)
        plentiful = plentiful and all(
            of_layer is not None and _are_plentiful(values, of_layer, before, len(calibration), views)
            for values, of_layer in sizes
        )
        needed = len(calibration)
        if not plentiful:
            needed = max(_needed(values, of_layer, len(calibration), views) for values, of_layer in sizes)
        held = max(2, most_values // max(values for values, _ in sizes))
        one = _Group(names=tuple(group), needed=needed, held=held, plentiful=plentiful)
        # A pass for every layer would take longer than the images that some of them do not need.
        if groups and one.images < 2 * groups[-1].images and one.plentiful == groups[-1].plentiful:
            groups[-1] = groups[-1].with_group(one)
        else:
            groups.append(one)
    return [one.as_pass(branches, calibration, seed) for one in groups]


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Layers of one pass, the images they need and those that memory holds."""

    names: tuple[str, ...]
    needed: int
    held: int
    plentiful: bool

    @property
    def images(self) -> int:
        return min(self.needed, self.held)

    def with_group(self, other: _Group) -> _Group:
        needed, held = max(self.needed, other.needed), min(self.held, other.held)
        return replace(self, names=self.names + other.names, needed=needed, held=held)

    def as_pass(self, branches: Mapping[str, Branch], calibration: Calibration, seed: int) -> Pass:
        few = calibration
        if self.images < len(calibration):
            few = replace(calibration, images=calibration.images[: self.images], labels=None)
        return Pass(
            branches=tuple(branches[name] for name in self.names),
            calibration=few,
            views=max(1, self.images // len(few)),
            seed=seed,
            plentiful=self.plentiful,
        )


def _needed(values: int, inputs: tuple[int, int] | None, images: int, views: int) -> int:
    """Return on how many views of all images, times images, a layer with so many output values should be refitted."""
    if inputs is None:
        return views * images
    rows = _rows(values, inputs) * images
    return images * min(views, max(1, math.ceil(ROWS_PER_INPUT * inputs[0] / rows)))


def _rows(values: int, inputs: tuple[int, int]) -> int:
    """Return the output positions of one image."""
    return max(1, values // inputs[1])


def _are_plentiful(values: int, inputs: tuple[int, int], before: int, images: int, views: int) -> bool:
    positions = _rows(values, inputs)
    of_step = images_of_step(positions, before, images)
    return (
        positions * images * views >= MANY_ROWS * inputs[0] and positions * of_step >= STEP_ROWS_PER_INPUT * inputs[0]
    )


def images_of_step(positions: int, values: int, images: int) -> int:
    """Return how many images one step of the joint refinement takes.

    Parameters
    ----------
    positions : int
        Output positions of the last layer, of one image.
    values : int
        Values of all layers' outputs, of one image.
    images : int
        How many there are.

    Examples
    --------
    >>> images_of_step(256, 400_000, 500), images_of_step(784, 5_000_000, 500), images_of_step(10, 10, 5)
    (64, 20, 5)
    """
    wanted = max(STEP_IMAGES, STEP_POSITIONS // positions)
    return max(1, min(wanted, images, STEP_VALUES // values))


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
