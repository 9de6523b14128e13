"""Refit what writes and what reads a pruned width, layer after layer, towards the dense network's streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from ncapps.compression.calibration import Calibration
from ncapps.compression.in_step import InStep
from ncapps.compression.joint_refinement import handed_on, refine_jointly, steps_of
from ncapps.compression.memory import release_memory
from ncapps.compression.passes import Pass, images_of_step, plan_passes
from ncapps.compression.probe import Probe
from ncapps.compression.refit import Chains, Refitter, Stop, chains_of
from ncapps.compression.segment import SegmentRecorder
from ncapps.compression.surgery import outputs_left
from ncapps.compression.visits import Run, Visit, visiting

ROUNDS = 4
"""How often at most a producer is refitted for its consumer, and the consumer after it."""
MUCH = 2**26
"""Behind layers with so many output values, all images together, freed memory goes back to the system."""
VIEWS = 4
"""Views of each calibration image: with the image alone, a producer learns the images by heart."""


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

    Both networks run side by side, all batches in step: when they come to a layer it is refitted on all of them, and
    the pruned network goes on with its new output. The target of a layer that ends a residual branch is the dense
    network's stream less the pruned network's shortcut, so that it takes back what earlier layers got wrong; that of
    any other layer is the dense network's output of its channels that are left. As far as the images say enough, all
    layers are then moved together (`joint_refinement`); from there on producer, depthwise convolutions and consumer of
    each width are refitted in turn, towards the consumer's target alone.

    Parameters
    ----------
    pruned, dense : nn.Module
        The network before and after cutting, in evaluation mode.
    kept : sequence of sequence of int
        Channels left of each width of `probe`.
    rounds : int
        How often at most a producer is refitted for its consumer, and the consumer after it, where layers are not
        moved together; once where there are few output positions to learn from.
    views : int
        The most mirrored and shifted views of each calibration image: as many as a layer needs and memory holds.
    seed : int
        Seed of the shifts.
    """
    left = outputs_left(probe.widths, kept)
    cut = [width for width, channels in zip(probe.widths, kept, strict=True) if len(channels) < width.channels]
    shrunk = [width for width in cut if width.refinable]
    left.update({branch.layer: left[producer] for producer, branch in probe.depthwise if producer in left})
    passes = plan_passes(probe, calibration, views=views, seed=seed, inputs=fan_ins(pruned, dense))
    _give_biases(pruned, passes)
    plentiful = [one for one in passes if one.plentiful]
    total = sum(len(one.branches) for one in passes)
    with tqdm(total=total, desc="repair", unit="layer", disable=None if progress else True, leave=False) as bar:
        for one in passes:
            refitter = Refitter(pruned, chains_of(probe, shrunk), one, 0 if one.plentiful else rounds)
            _repair_pass(pruned, dense, one, left, refitter, bar.update)
            if plentiful and one is plentiful[-1]:
                _refine_stretch(pruned, dense, probe, plentiful, left, calibration, views, seed, bar)


def _repair_pass(
    pruned: nn.Module,
    dense: nn.Module,
    one: Pass,
    left: dict[str, list[int]],
    refitter: Refitter,
    done: Callable[[], object],
) -> None:
    batches = [_channels_last(batch) for batch in one.images.batches(next(pruned.parameters()).device)]
    with visiting(dense, one.branches) as run_dense, visiting(pruned, one.branches) as run_pruned:
        theirs: InStep[Visit] = InStep([_dense_walk(run_dense, batch) for batch in batches])
        ours: InStep[Stop] = InStep(
            [_pruned_walk(run_pruned, batch, refitter.chains, place == 0) for place, batch in enumerate(batches)]
        )
        with theirs, ours, torch.no_grad():
            for _ in one.branches:
                stops, visits = next(ours), next(theirs)
                kept = left.get(stops[0].visit.branch.layer)
                refitter.refit(stops, [_target(dense, visit, kept) for visit in visits])
                if sum(stop.visit.output.numel() for stop in stops) > MUCH:
                    release_memory()
                done()


def _refine_stretch(
    pruned: nn.Module,
    dense: nn.Module,
    probe: Probe,
    passes: Sequence[Pass],
    left: dict[str, list[int]],
    calibration: Calibration,
    views: int,
    seed: int,
    bar: Any,
) -> None:
    """Move all layers of some passes together, towards what the consumers hand on."""
    branches = [branch for one in passes for branch in one.branches]
    consumers = {name for width in probe.widths for name in width.consumers}
    taps = [branch.layer for branch in branches if branch.layer in consumers]
    if not taps:
        return

    def target_of(name: str) -> Callable[[Visit], torch.Tensor]:
        return lambda visit: _target(dense, visit, left.get(name))

    positions = probe.values[taps[-1]] // len(dense.get_parameter(f"{taps[-1]}.weight"))
    values = sum(probe.values[branch.layer] for branch in branches)
    batch = images_of_step(positions, values, len(calibration))
    steps = steps_of(len(calibration), batch)
    bar.total += steps
    refine_jointly(
        pruned,
        dense,
        branches,
        {name: target_of(name) for name in taps},
        calibration,
        batch=batch,
        views=views,
        steps=steps,
        seed=seed,
        done=bar.update,
    )


def _channels_last(batch: torch.Tensor) -> torch.Tensor:
    # A fifth quicker, depthwise convolutions most of all.
    return batch.contiguous(memory_format=torch.channels_last) if batch.ndim == 4 else batch


def _dense_walk(run: Run, batch: torch.Tensor) -> Callable[[Callable[[Visit], None]], object]:
    return lambda hand_over: run(batch, hand_over)


def _pruned_walk(
    run: Run, batch: torch.Tensor, chains: Chains, record: bool
) -> Callable[[Callable[[Stop], None]], object]:
    """Return what runs the pruned network on one batch and, if asked, notes what it does inside the widths."""
    if not record:
        return lambda hand_over: run(batch, lambda visit: hand_over(Stop(visit=visit, segments={})))

    def walk(hand_over: Callable[[Stop], None]) -> None:
        recorder = SegmentRecorder()

        def on_visit(visit: Visit) -> None:
            name = visit.branch.layer
            before = chains.before.get(name, ())
            hand_over(Stop(visit=visit, segments={one: recorder.until(one, visit.inputs) for one in before}))
            if name in chains.consumers:
                for one in before:
                    recorder.forget(one)
            if name in chains.writers:
                recorder.start(name, visit.output)

        with recorder:
            run(batch, on_visit)

    return walk


def _target(dense: nn.Module, visit: Visit, kept: Sequence[int] | None) -> torch.Tensor:
    """Return the dense network's stream, or the branch's own channels that are left."""
    values = handed_on(visit, dense)
    if kept is None:
        return values
    return values[:, kept] if isinstance(dense.get_submodule(visit.branch.layer), nn.Conv2d) else values[..., kept]


def fan_ins(pruned: nn.Module, dense: nn.Module) -> dict[str, tuple[int, int]]:
    """Return, of each layer, the pruned inputs of one output and the dense output channels, which the probe counted."""
    modules: dict[str, Any] = dict(pruned.named_modules())
    return {
        name: (modules[name].weight[0].numel() + 1, len(module.weight))
        for name, module in dense.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    }


def _give_biases(model: nn.Module, passes: Sequence[Pass]) -> None:
    """Give a bias to the layers that no batch norm follows, before what they do is recorded."""
    for branch in (branch for one in passes for branch in one.branches):
        layer: Any = model.get_submodule(branch.layer)
        if branch.norm is None and layer.bias is None:
            layer.bias = nn.Parameter(layer.weight.new_zeros(len(layer.weight)))
