"""Move the layers of many widths together, so that each makes up for what the others cannot say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from ncapps.compression.batchnorm import restate_batchnorms
from ncapps.compression.calibration import Calibration
from ncapps.compression.conjugate_gradients import conjugate_gradients
from ncapps.compression.curvature import Curvature, channel_rows
from ncapps.compression.probe import Branch
from ncapps.compression.refinement import best_size
from ncapps.compression.sampling import RowSampler
from ncapps.compression.stretch import Stretch, Taps, Values, Weights, norm_of, run_up_to
from ncapps.compression.views import with_views
from ncapps.compression.visits import Run, Visit, visiting

FEWEST_STEPS, MOST_STEPS = 8, 24
"""Gauss-Newton steps, each on other images; the weights after the second half of them are averaged."""
ITERATIONS = 4
"""Iterations of conjugate gradients in each step."""
NUDGE = 0.1
"""The length of a finite difference, as a fraction of the error."""
MOST_NORM_IMAGES = 256
"""On so many images at most batch norms take their statistics at the end."""


def refine_jointly(
    pruned: nn.Module,
    dense: nn.Module,
    branches: Sequence[Branch],
    targets: Taps,
    calibration: Calibration,
    *,
    batch: int,
    views: int,
    steps: int,
    seed: int = 0,
    done: Callable[[], object] = lambda: None,
) -> None:
    """Fit all layers up to some place to what the dense network hands on after each width, in place.

    Each step takes other images, replaces the layers by their derivative there and solves the least-squares problem by
    preconditioned conjugate gradients (Gauss-Newton); the preconditioner is each layer's Kronecker approximation of
    the curvature (Martens and Grosse 2015, sections 3 and 4). Each of the values handed on counts as a fraction of its
    energy, and the last one, which is all that what follows will see, as much as all others together. The images that
    are drawn first have the last word: unless the error falls on them, nothing is changed. No step sees them, unless
    there are too few others for one.

    Parameters
    ----------
    pruned, dense : nn.Module
        The networks, in evaluation mode.
    branches : sequence of Branch
        The layers, in the order in which they run; as `repair` left them.
    targets : mapping
        What should be handed on: by a layer's name, what is made of its visit in the dense network.
    calibration : Calibration
        The images.
    batch : int
        Images of one step.
    views : int
        Views of each image that there are to draw from.
    steps : int
        Gauss-Newton steps.
    seed : int
        Seed of the draws and of the preconditioner's directions.
    done : callable
        Called after each step.
    """
    weights = Weights(pruned, branches)
    start = weights.get()
    rng = np.random.default_rng(seed)
    with visiting(dense, branches) as run_dense, visiting(pruned, branches) as run_pruned:
        pair = _Pair(pruned=pruned, run_dense=run_dense, run_pruned=run_pruned, weights=weights, targets=targets)
        judge, *draws = (some.to(start.device) for some in _draws(calibration, batch, views, 1 + steps, rng))
        before = pair.error(judge)
        averaged: list[torch.Tensor] = []
        for turn, some in enumerate(draws):
            weights.set(weights.get() + pair.step(some, seed=seed + turn))
            if 2 * turn >= steps - 1:
                averaged.append(weights.get())
            done()
        # Each step fits its own images a little too well; the mean of several does so less.
        weights.set(torch.stack(averaged).mean(dim=0))
        if not pair.error(judge) < before:
            weights.set(start)
    norms = [branch.norm for branch in branches if branch.norm is not None]
    some = calibration.images[:MOST_NORM_IMAGES].to(start.device).split(batch)
    restate_batchnorms(pruned, norms, some)


def steps_of(images: int, batch: int) -> int:
    """Return how many steps show each image about once: not too few to be averaged, nor more than are worth the time.

    Examples
    --------
    >>> [steps_of(images, 64) for images in (100, 500, 1000, 5000)]
    [8, 8, 16, 24]
    """
    return min(MOST_STEPS, max(FEWEST_STEPS, -(-images // batch)))


def _draws(
    calibration: Calibration, batch: int, views: int, count: int, rng: np.random.Generator
) -> Iterator[torch.Tensor]:
    """Yield one batch, and more of the other images that show each of these equally often, each in one of its views."""
    left = rng.permutation(len(calibration))
    others = left[batch:] if len(left) >= 2 * batch else left
    for _ in range(count):
        while len(left) < batch:
            left = np.concatenate([left, rng.permutation(others)])
        chosen, left = torch.from_numpy(left[:batch]), left[batch:]
        few = replace(calibration, images=calibration.images[chosen], labels=None)
        of_each = with_views(few, views, seed=int(rng.integers(2**31))).images.view(views, batch, *few.images.shape[1:])
        images = of_each[torch.from_numpy(rng.integers(0, views, batch)), torch.arange(batch)]
        yield images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Both networks, up to the last of the layers."""

    pruned: nn.Module
    run_dense: Run
    run_pruned: Run
    weights: Weights
    targets: Taps

    def error(self, batch: torch.Tensor) -> float:
        """Return the squared error of what is handed on."""
        wanted, taps = self._wanted(batch)
        return _distance(wanted, run_up_to(self.run_pruned, batch, self.weights.layers, taps)) ** 2

    def step(self, batch: torch.Tensor, *, seed: int) -> torch.Tensor:
        """Return the Gauss-Newton step on one batch, as much of it as lowers the true error most."""
        wanted, taps = self._wanted(batch)
        stretch = Stretch(self.run_pruned, self.weights, taps, batch)
        error = [goal - value for goal, value in zip(wanted, stretch.values, strict=True)]
        length = norm_of(error)
        step = conjugate_gradients(
            lambda change: stretch.pull(stretch.push(change, length=NUDGE * length)),
            stretch.pull(error),
            _Curvatures.of(stretch, self.weights, self.pruned, seed=seed),
            ITERATIONS,
        )
        size, _ = best_size(lambda size: _distance(wanted, stretch.moved(size * step)) ** 2, length**2)
        # Not the product: a step that overflowed is of size 0.
        return size * step if size > 0 else torch.zeros_like(step)

    def _wanted(self, batch: torch.Tensor) -> tuple[Values, Taps]:
        """Return what should be handed on, and what is, as fractions of its energy."""
        values = run_up_to(self.run_dense, batch, self.weights.layers, self.targets)
        shares = [1.0 / max(1, len(values) - 1)] * (len(values) - 1) + [1.0]
        energies = [float(value.square().sum()) for value in values]
        pairs = zip(shares, energies, strict=True)
        scales = [(share / energy) ** 0.5 if energy > 0 else 0.0 for share, energy in pairs]
        taps = {name: self._tap(scale) for name, scale in zip(self.targets, scales, strict=True)}
        return [scale * value for scale, value in zip(scales, values, strict=True)], taps

    def _tap(self, scale: float) -> Callable[[Visit], torch.Tensor]:
        return lambda visit: scale * handed_on(visit, self.pruned)


def _distance(first: Values, second: Values) -> float:
    return norm_of([one - other for one, other in zip(first, second, strict=True)])


def handed_on(visit: Visit, model: nn.Module) -> torch.Tensor:
    """Return what goes on from a layer: its output after the batch norm, added to the stream that it joins."""
    norm = visit.branch.norm
    values = visit.values(None if norm is None else model.get_submodule(norm))
    return values if visit.shortcut is None else values + visit.shortcut


class _Curvatures:
    """Each layer's Kronecker approximation of the curvature, those of different layers taken to be independent."""

    def __init__(self, parts: Sequence[Curvature], weights: Weights) -> None:
        self._parts, self._weights = parts, weights

    @classmethod
    def of(cls, stretch: Stretch, weights: Weights, model: nn.Module, *, seed: int) -> _Curvatures:
        """Take it from what the layers read, and from the slopes of what is handed on in a random direction."""
        generator = torch.Generator().manual_seed(seed)
        noise = [torch.randn(value.shape, generator=generator).to(value.device) for value in stretch.values]
        slopes = stretch.slopes(noise)
        parts = []
        for name in weights.names:
            visit, slope = stretch.visits[name], slopes[name]
            sampler = RowSampler.for_output(model.get_submodule(name), visit.output)
            rows = channel_rows(model.get_submodule(name), slope)
            inner = sampler.input_moment(visit.inputs.detach(), visit.output)
            parts.append(Curvature(inner, rows @ rows.T))
        return cls(parts, weights)

    def apply(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the curvature times a vector."""
        pairs = zip(self._parts, self._weights.split(weight), strict=True)
        return torch.cat([part.apply(matrix).flatten() for part, matrix in pairs])

    def solve(self, weight: torch.Tensor) -> torch.Tensor:
        """Return its damped inverse times a vector."""
        pairs = zip(self._parts, self._weights.split(weight), strict=True)
        return torch.cat([part.solve(matrix).flatten() for part, matrix in pairs])
