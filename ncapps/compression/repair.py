"""Refit what writes and what reads a pruned width, layer after layer, towards the dense network's streams."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from ncapps.compression.calibration import Calibration
from ncapps.compression.moments import bias_and_weight
from ncapps.compression.probe import Branch, Probe
from ncapps.compression.refinement import POSITIONS, Pair, refine
from ncapps.compression.ridge import normal_equations, solve_towards
from ncapps.compression.sampling import POSITIONS as ROWS
from ncapps.compression.sampling import RowSampler
from ncapps.compression.segment import Segment, SegmentRecorder
from ncapps.compression.turns import Turns
from ncapps.compression.views import with_views
from ncapps.compression.visits import Visit, visiting
from ncapps.compression.widths import InnerWidth

ROUNDS = 2
"""How often a producer is refitted for its consumer, and the consumer after it."""
ITERATIONS = 4
"""Iterations of conjugate gradients in each of these."""
VIEWS = 4
"""Views of each calibration image: with the image alone, a producer learns the images by heart."""

MOST_VALUES = 2**28
"""The most values of one layer's output, all images together: 1 GiB, of which some five are held at a time."""
_logger = logging.getLogger(__name__)


def repair(
    pruned: nn.Module,
    dense: nn.Module,
    probe: Probe,
    kept: Sequence[Sequence[int]],
    calibration: Calibration,
    *,
    rounds: int = ROUNDS,
    views: int = VIEWS,
    seed: int = 0,
    progress: bool = False,
) -> None:
    """Refit every producer and consumer by least squares, in place and in the order in which they run.

    Both networks run side by side, once, on all calibration images: when they come to a layer it is refitted, and the
    pruned network goes on with its new output. The target of a layer that ends a residual branch is the dense network's
    stream less the pruned network's shortcut, so that it takes back what earlier layers got wrong; that of any other
    layer is the dense network's output of its channels that are left. Then producer and consumer are refitted in turn
    towards the consumer's target alone. Batch norms inside a width that no refit rewrites (those behind a depthwise
    convolution) get the statistics of what they now read.

    Parameters
    ----------
    pruned, dense : nn.Module
        The network before and after cutting, in evaluation mode.
    kept : sequence of sequence of int
        Channels left of each width of `probe`.
    rounds : int
        How often a producer is refitted for its consumer, and the consumer after it.
    views : int
        Mirrored and shifted views of each calibration image that are used.
    seed : int
        Seed of the shifts.
    """
    left = {width.producer: sorted(channels) for width, channels in zip(probe.widths, kept, strict=True)}
    branches = list({branch.layer: branch for branch in (*probe.producers, *probe.branches)}.values())
    # One with a batch norm behind it gets its statistics instead.
    for producer, branch in probe.depthwise:
        if branch.norm is None and producer in left:
            left[branch.layer] = left[producer]
            branches.append(branch)
    seen = _within_memory(calibration, probe.largest, views, seed)
    views = len(seen) // min(len(seen), len(calibration))
    images = seen.images.to(next(pruned.parameters()).device)
    bar = tqdm(total=len(branches), desc="repair", unit="layer", disable=None if progress else True, leave=False)
    shrunk = [width for width in probe.widths if len(left[width.producer]) < width.channels]
    refitter = _Refitter(pruned, shrunk, seen, views, rounds)
    turns: Turns[Visit] = Turns(lambda hand_over: _run(dense, branches, images, hand_over))
    try:
        with turns as theirs, refitter.recorder:

            def visit(ours: Visit) -> None:
                target = _target(dense, next(theirs), left.get(ours.branch.layer))
                with refitter.recorder.aside():
                    refitter.refit(ours, target)
                bar.update()

            refitter.watch(_norms_to_reestimate(pruned, probe, {branch.norm for branch in branches}))
            _run(pruned, branches, images, visit)
    finally:
        bar.close()
        refitter.close()


def _within_memory(calibration: Calibration, largest: int, views: int, seed: int) -> Calibration:
    """Return as many views as fit, and fewer images if not even they do."""
    most = max(2, MOST_VALUES // max(largest, 1))
    if most < len(calibration):
        _logger.warning("%d of %d images are used for the repair: they go through together", most, len(calibration))
        return replace(calibration, images=calibration.images[:most], labels=None)
    return with_views(calibration, min(views, most // len(calibration)), seed=seed)


def _run(model: nn.Module, branches: Sequence[Branch], images: torch.Tensor, on_visit: Any) -> None:
    with visiting(model, branches, on_visit) as run:
        run(images)


def _norms_to_reestimate(model: nn.Module, probe: Probe, refitted: set[str | None]) -> set[str]:
    """Return the batch norms inside widths that no refit rewrites."""
    coupled = {name for width in probe.widths for name in width.coupled}
    norms = {name for name, module in model.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)}
    return (coupled & norms) - refitted


def _target(dense: nn.Module, visit: Visit, kept: Sequence[int] | None) -> torch.Tensor:
    """Return the dense network's stream, or the branch's own channels that are left."""
    norm = visit.branch.norm
    values = visit.values(None if norm is None else dense.get_submodule(norm))
    if visit.shortcut is not None:
        values = values + visit.shortcut
    if kept is None:
        return values
    return values[:, kept] if isinstance(dense.get_submodule(visit.branch.layer), nn.Conv2d) else values[..., kept]


class _Refitter:
    """Refits the layers of one network as they are visited."""

    def __init__(
        self, model: nn.Module, shrunk: Sequence[InnerWidth], images: Calibration, views: int, rounds: int
    ) -> None:
        self.recorder = SegmentRecorder()
        self._modules: dict[str, Any] = dict(model.named_modules())
        self._producer_of = {width.consumer: width.producer for width in shrunk}
        self._producers = set(self._producer_of.values())
        self._written: dict[str, _Written] = {}
        self._between: dict[str, Segment | None] = {}
        self._batch_size, self._views, self._rounds = images.batch_size, views, rounds
        # Views of one image are in the same half.
        self._first = torch.arange(len(images)) % (len(images) // views) % 2 == 0
        self._priors: dict[str, torch.Tensor] = {}
        self._handles: list[Any] = []

    def watch(self, stale: set[str]) -> None:
        """Re-estimate these batch norms, and notice when consumers are reached."""
        for name in stale:
            self._handles.append(self._modules[name].register_forward_pre_hook(self._reestimate))
        for name in self._producer_of:
            self._handles.append(self._modules[name].register_forward_pre_hook(self._arrival(name)))

    def close(self) -> None:
        """Take all hooks away and let go of all tensors."""
        for handle in self._handles:
            handle.remove()
        self.recorder.forget()
        self._written.clear()

    def refit(self, visit: Visit, target: torch.Tensor) -> None:
        """Refit one layer, and its producer for it, towards a target, and correct the output that goes on."""
        branch, inputs = visit.branch, visit.inputs
        layer = self._modules[branch.layer]
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            _rescale(layer, visit.output, target)
            return
        wanted = target if visit.shortcut is None else target - visit.shortcut
        gram, solution = self._solve(branch, inputs, wanted)
        for turn in range(self._rounds if self._between.get(branch.layer) else 0):
            moved = self._move_producer(branch, wanted, solution, turn)
            if moved is None:
                break
            inputs = moved
            gram, solution = self._solve(branch, inputs, wanted)
        self._written.pop(self._producer_of.get(branch.layer, ""), None)
        self._between.pop(branch.layer, None)
        output = layer.forward(inputs)
        if visit.shortcut is not None and branch.norm is not None:
            output = self._modules[branch.norm].forward(output)
        visit.output.copy_(output)
        if branch.layer in self._producers:
            self._written[branch.layer] = _Written(branch=branch, inputs=inputs, gram=gram, solution=solution)
            self.recorder.start(branch.layer, visit.output)

    def _arrival(self, consumer: str) -> Any:
        def hook(module: nn.Module, arguments: Any) -> None:
            self._between[consumer] = self.recorder.finish(self._producer_of[consumer], arguments[0])

        return hook

    def _reestimate(self, norm: Any, arguments: Any) -> None:
        values = arguments[0]
        dims = [0, *range(2, values.ndim)]
        with self.recorder.aside():
            norm.running_mean.copy_(values.mean(dims))
            norm.running_var.copy_(values.var(dims, correction=0))

    def _solve(self, branch: Branch, inputs: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if branch.layer not in self._priors:
            self._priors[branch.layer] = bias_and_weight(self._modules, branch)
        layer = self._modules[branch.layer]
        sampler = RowSampler.for_output(layer, wanted, positions=max(16, ROWS // self._views))
        halves = [
            normal_equations(sampler, inputs[half], wanted[half], self._batch_size)
            for half in (self._first, ~self._first)
        ]
        gram, solution = solve_towards(self._priors[branch.layer], halves)
        _install(self._modules, branch, solution, gram)
        return gram, solution

    def _move_producer(
        self, branch: Branch, wanted: torch.Tensor, solution: torch.Tensor, turn: int
    ) -> torch.Tensor | None:
        """Refit the producer for its consumer; return what the consumer then reads, or None if nothing is gained."""
        between, written = self._between[branch.layer], self._written[self._producer_of[branch.layer]]
        if between is None:
            return None
        producer = self._modules[written.branch.layer]
        # Each turn looks at other images, where there are more than it takes.
        positions = RowSampler.positions(producer, producer.forward(written.inputs[:1]))
        stride = max(1, len(wanted) * positions // POSITIONS)
        some = slice(turn % stride, None, stride)
        pair = Pair(
            producer=producer,
            consumer=self._modules[branch.layer],
            between=between,
            inputs=written.inputs[some],
            wanted=wanted[some],
            weight=solution.T.float(),
        )
        step = refine(pair, written.gram, iterations=ITERATIONS)
        if step is None:
            return None
        written.solution.add_(step.T)
        _install(self._modules, written.branch, written.solution, written.gram)
        return between(producer.forward(written.inputs))


@dataclass(frozen=True, kw_only=True)
class _Written:
    """A producer as it was refitted: what it reads, that input's second moment, and its weight and bias."""

    branch: Branch
    inputs: torch.Tensor
    gram: torch.Tensor
    solution: torch.Tensor


def _rescale(layer: Any, output: torch.Tensor, target: torch.Tensor) -> None:
    """Give each channel of a depthwise convolution, and its output, the scale and shift that are nearest the target."""
    dims = (0, 2, 3)
    mean, goal = output.mean(dims, keepdim=True), target.mean(dims, keepdim=True)
    centred = output - mean
    variance = centred.square().mean(dims, keepdim=True)
    scale = (centred * (target - goal)).mean(dims, keepdim=True) / variance.clamp_min(1e-12)
    shift = goal - scale * mean
    if layer.bias is None:
        layer.bias = nn.Parameter(layer.weight.new_zeros(len(layer.weight)))
    layer.weight.mul_(scale.view(-1, 1, 1, 1))
    layer.bias.mul_(scale.flatten()).add_(shift.flatten())
    output.mul_(scale).add_(shift)


def _install(modules: dict[str, Any], branch: Branch, solution: torch.Tensor, gram: torch.Tensor) -> None:
    """Write a solution in units of the branch's output into the layer and the batch norm behind it."""
    layer = modules[branch.layer]
    weight, bias = solution[:-1].T, solution[-1]
    with torch.no_grad():
        layer.weight.copy_(weight.reshape(layer.weight.shape))
        if branch.norm is None:
            if layer.bias is None:
                layer.bias = nn.Parameter(layer.weight.new_zeros(len(layer.weight)))
            layer.bias.copy_(bias)
            return
        if layer.bias is not None:
            layer.bias.zero_()
        norm = modules[branch.norm]
        # The norm gets the true statistics of what it reads, and undoes them: exact, and ready for fine-tuning.
        mean = weight @ gram[-1, :-1]
        variance = (((weight @ gram[:-1, :-1]) * weight).sum(dim=1) - mean.square()).clamp_min(0.0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(bias + mean)
