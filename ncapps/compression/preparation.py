"""All that is learned from the dense network, once: its inner widths, their second moments, what each layer costs."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ncapps.compression.allocation import allocate, uniform
from ncapps.compression.calibration import Calibration
from ncapps.compression.closures import held_by_functions
from ncapps.compression.elimination import Ranking, eliminate
from ncapps.compression.gate import TOLERANCE, exact_widths, relative_errors
from ncapps.compression.heads import HeadWidth, attention_macs, find_heads
from ncapps.compression.importance import IMPORTANCES
from ncapps.compression.importance.torch_pruning import TORCH_PRUNING, torch_pruning_scores
from ncapps.compression.macs import CostModel, cost_model, count_macs, layer_parameters
from ncapps.compression.moments import WidthMoments, collect_moments
from ncapps.compression.probe import Probe, probe
from ncapps.compression.stream_moments import join_readers
from ncapps.compression.streams import find_streams
from ncapps.compression.surgery import shrunk_copy
from ncapps.compression.targets import NOUNS
from ncapps.compression.widths import InnerWidth, find_inner_widths, first_line, tied_layers
from ncapps.errors import InputError

_logger = logging.getLogger(__name__)
LEAST_WIDTH = 1 / 16
"""The smallest fraction of an inner width that is left: a branch is never cut off."""
MOST_INPUTS = 8192
"""The most inputs (channels * kernel taps) of a layer that is refitted: the square of it has to be held in memory."""


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """One statistics pass, from which networks of any size are cut.

    Attributes
    ----------
    dense : nn.Module
        A copy of the network, in evaluation mode.
    calibration : Calibration
        The images.
    example : Tensor
        The batch that the network was traced with.
    probe : Probe
        Its inner widths.
    moments : tuple of WidthMoments
        One for each width.
    macs : int
        Multiply-accumulates of one image.
    latency : CostModel or None
        Milliseconds of the layers that can be cut, where they were timed: see `latency_costs`.
    """

    dense: nn.Module
    calibration: Calibration
    example: torch.Tensor
    probe: Probe
    moments: tuple[WidthMoments, ...]
    macs: int
    latency: CostModel | None = None

    def rank(self, importance: str, seed: int, *, progress: bool = False) -> tuple[Ranking, ...]:
        """Return each width's order of removal and cost curve by a named importance.

        Raises
        ------
        InputError
            If the importance is unknown, needs labels that are missing, or knows no attention heads.
        """
        steps = tqdm(self.moments, desc="selection", unit="layer", disable=None if progress else True, leave=False)
        if importance in TORCH_PRUNING:
            if any(isinstance(width, HeadWidth) for width in self.probe.widths):
                raise InputError(f"importance {importance!r} has no scores for attention heads; prepare without heads")
            scores = torch_pruning_scores(
                self.dense, self.example, self.probe.widths, importance, self.calibration, seed=seed
            )
            orders = [np.argsort(one, kind="stable").tolist() for one in scores]
            return tuple(eliminate(one, order) for one, order in zip(steps, orders, strict=True))
        if importance not in IMPORTANCES:
            known = ", ".join([*sorted(IMPORTANCES), *TORCH_PRUNING])
            raise InputError(f"importance {importance!r} is unknown; there are {known}")
        rng = np.random.default_rng(seed)
        return tuple(IMPORTANCES[importance](one, rng) for one in steps)

    def cost(self, unit: str) -> CostModel:
        """Return the whole network's cost by kept channels, in "macs" or "params"; in "latency" that of its layers.

        Raises
        ------
        InputError
            If the unit is "latency" and the layers were not timed.
        """
        if unit == "latency":
            if self.latency is None:
                raise InputError("the layers were not timed; within_latency does that and returns what it prepared")
            return self.latency
        if unit == "macs":
            return cost_model(self.macs, self.probe.widths, self.probe.layer_macs)
        total = sum(parameter.numel() for parameter in self.dense.parameters())
        return cost_model(total, self.probe.widths, layer_parameters(self.dense))

    def choose(
        self, rankings: Sequence[Ranking], target: float, *, unit: str = "macs", allocation: str = "loss"
    ) -> list[list[int]]:
        """Return the channels left of each width so that at most the fraction `target` of the cost is left.

        Parameters
        ----------
        unit : {"macs", "params", "latency"}
            What is counted.
        allocation : {"loss", "repaired", "uniform"}
            Least loss for each unit saved, or the same fraction of every width; "repaired" is "loss" with rankings of
            `expected_loss.after_repair`.

        Raises
        ------
        InputError
            If the target is out of reach.
        """
        cost = self.cost(unit)
        best = self.least(rankings, unit)
        if best > target:
            streams = any(width.is_stream for width in self.probe.widths)
            raise InputError(
                f"{unit}={target:g} is out of reach: with every inner width at its least, {best:.3f} of the "
                f"{NOUNS[unit]} are left; ask for {unit}={np.ceil(best * 1000) / 1000:g} or more"
                + ("" if streams else ", or narrow residual streams too (streams=True)")
            )
        channels = [width.channels for width in self.probe.widths]
        if allocation == "uniform":
            counts = uniform(channels, self._floor(rankings), cost, target)
        else:
            counts = allocate(rankings, [one.energy / one.width.price for one in self.moments], channels, cost, target)
        return [
            sorted(set(range(width)) - set(ranking.order[: width - count]))
            for width, ranking, count in zip(channels, rankings, counts, strict=True)
        ]

    def least(self, rankings: Sequence[Ranking], unit: str) -> float:
        """Return the fraction of the cost that is left with every width at its least."""
        cost = self.cost(unit)
        return cost(self._floor(rankings)) / cost.total

    def _floor(self, rankings: Sequence[Ranking]) -> list[int]:
        return [width.channels - len(one.order) for width, one in zip(self.probe.widths, rankings, strict=True)]

    def cut(self, kept: Sequence[Sequence[int]]) -> nn.Module:
        """Return the network with these channels left.

        Raises
        ------
        InputError
            If it differs from the dense network with the same channels ignored.
        """
        worst = max(relative_errors(self.dense, self.probe.widths, kept, self.example))
        if not worst < TOLERANCE:
            raise InputError(
                f"the pruned {type(self.dense).__name__} differs from the dense one with the same inputs ignored "
                f"(relative error {worst:.1e}); it cannot be cut exactly"
            )
        return shrunk_copy(self.dense, self.probe.widths, kept)


def prepare(
    model: nn.Module,
    calibration: Calibration,
    *,
    example: torch.Tensor | None = None,
    time_limit: float,
    progress: bool,
    heads: bool = False,
    streams: bool = False,
) -> Preparation:
    """Copy a network, find its inner widths, attention heads and streams where asked for, and take their statistics.

    Raises
    ------
    InputError
        If the network cannot be copied or traced, has no inner width that can be cut exactly, or its activations are
        not finite.
    """
    dense = working_copy(model)
    device = next(dense.parameters()).device
    chosen = calibration.images[:2] if example is None else torch.as_tensor(example)
    batch = chosen.to(device, torch.float32)
    if len(batch) == 1:
        # What is the same for all images, such as an embedding of positions, would look like another image's values.
        batch = batch.repeat(2, *[1] * (batch.ndim - 1))
    found = exact_probe(dense, batch, time_limit, heads=heads, streams=streams)
    return Preparation(
        dense=dense,
        calibration=calibration,
        example=batch,
        probe=found,
        moments=width_moments(dense, found, calibration, progress=progress),
        macs=count_macs(dense, batch),
    )


def width_moments(
    dense: nn.Module, found: Probe, calibration: Calibration, *, progress: bool = False
) -> tuple[WidthMoments, ...]:
    """Run the dense network once; return the moments of each width, those of all its readers joined."""
    moments = collect_moments(dense, found, calibration, least=LEAST_WIDTH, progress=progress)
    return tuple(join_readers(one, most_inputs=MOST_INPUTS) if len(one) > 1 else one[0] for one in moments)


def working_copy(model: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode.

    Raises
    ------
    InputError
        If the network cannot be copied, or the copy would run layers of the network itself.
    """
    held = held_by_functions(model)
    if held:
        raise InputError(
            f"{type(model).__name__}.{held[0]} is a lambda or inner function that holds on to a layer or tensor, "
            "so that a copy would go on using this network's; make it a method or a module"
        )
    try:
        return copy.deepcopy(model).eval()
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"{type(model).__name__} cannot be copied ({first_line(error)}); "
            "give a freshly built model that has not run yet"
        ) from None


def exact_probe(
    dense: nn.Module, example: torch.Tensor, time_limit: float, *, heads: bool = False, streams: bool = False
) -> Probe:
    """Return what one pass shows of a network's inner widths, those alone that pass the gate and fit into memory.

    With `heads`, attention heads are inner widths too, and with `streams` residual streams that the classifier does
    not read.

    Raises
    ------
    InputError
        If the network cannot be traced, or no width is left.
    """
    inner: list[InnerWidth] = list(find_inner_widths(dense, example, time_limit=time_limit))
    inner += find_heads(dense, example) if heads else ()
    inner += find_streams(dense, example, time_limit=time_limit) if streams else ()
    found = probe(dense, example, [width for width in inner if _fits(dense, width)])
    # Streams have passed: errors at their readers would hide whose fault they are.
    passed = exact_widths(dense, [width for width in found.widths if not width.is_stream], example)
    passed += tuple(width for width in found.widths if width.is_stream)
    if not passed:
        raise InputError(
            f"{type(dense).__name__} has no inner width that can be cut exactly: no layer is read by "
            "exactly one other, the classifier apart, through batch norm or activation alone" + _hindrances(dense)
        )
    places = [i for i, width in enumerate(found.widths) if width in passed]
    written = {width.producer for width in passed}
    return replace(
        found,
        widths=tuple(found.widths[i] for i in places),
        branches=tuple(found.branches[i] for i in places),
        producers=tuple(found.producers[i] for i in places),
        depthwise=tuple(one for one in found.depthwise if one[0] in written),
        layer_macs={**found.layer_macs, **attention_macs(dense, example, passed)},
    )


def _hindrances(dense: nn.Module) -> str:
    convolutions = [module for module in dense.modules() if isinstance(module, nn.Conv2d)]
    grouped = sum(1 < module.groups < module.in_channels for module in convolutions)
    shared = sorted(tied_layers(dense))
    words = (
        f"; {grouped} of its {len(convolutions)} convolutions are grouped, which is not supported" if grouped else ""
    )
    return words + (f"; {', '.join(shared[:3])} share weights, and such layers are left alone" if shared else "")


def _fits(dense: nn.Module, width: InnerWidth) -> bool:
    inputs = max(dense.get_parameter(f"{name}.weight")[0].numel() for name in width.consumers)
    if inputs > MOST_INPUTS:
        _logger.warning("%s is left at full width: its reader has %d inputs", width.producer, inputs)
    return inputs <= MOST_INPUTS
