"""Least squares for one layer at a time, and for all layers of a width towards its consumer's target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ncapps.compression.derivative import Link
from ncapps.compression.moments import bias_and_weight
from ncapps.compression.passes import MANY_ROWS, Pass
from ncapps.compression.probe import Branch, Probe
from ncapps.compression.refinement import Pair, refine
from ncapps.compression.ridge import normal_equations, solve_towards
from ncapps.compression.sampling import POSITIONS as ROWS
from ncapps.compression.sampling import RowSampler
from ncapps.compression.segment import Segment
from ncapps.compression.visits import Visit
from ncapps.compression.widths import InnerWidth

ITERATIONS = 3
"""Iterations of conjugate gradients in each refinement."""
POSITIONS = 2**15
"""About so many output positions, of as many images as it takes, enter one refinement, or
`POSITIONS_PER_INPUT` for each input of the layer that is moved, where that is more."""
POSITIONS_PER_INPUT = 256
FEWEST_IMAGES = 16
"""Of so many images at least, however many positions that is."""
DEPTHWISE_IMAGES = 128
"""A depthwise filter has some ten weights a channel, for which so many images are plenty."""

Batches = list[torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Chains:
    """The layers of the widths that were cut: those that write a width one after another, and its consumer.

    Attributes
    ----------
    before : dict
        By the name of each depthwise convolution and consumer, the layers of its width that run before it.
    writers, consumers : frozenset of str
        Producers and depthwise convolutions; consumers.
    """

    before: dict[str, tuple[str, ...]]
    writers: frozenset[str]
    consumers: frozenset[str]


def chains_of(probe: Probe, shrunk: Sequence[InnerWidth]) -> Chains:
    """Return the chains of some of a network's widths."""
    order = {name: place for place, name in enumerate(probe.values)}
    before: dict[str, tuple[str, ...]] = {}
    writers: set[str] = set()
    for width in shrunk:
        between = [branch.layer for producer, branch in probe.depthwise if producer == width.producer]
        chain = [width.producer, *sorted(between, key=order.__getitem__)]
        before.update({name: tuple(chain[:i]) for i, name in enumerate([*chain, width.consumer]) if i})
        writers.update(chain)
    return Chains(before=before, writers=frozenset(writers), consumers=frozenset(width.consumer for width in shrunk))


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Where the pruned network waits on one batch.

    Attributes
    ----------
    visit : Visit
        The layer.
    segments : dict
        By the name of each layer of the same width before it, what lies between; None if that is not known. Of the
        first batch alone: it is the same for all.
    """

    visit: Visit
    segments: dict[str, Segment | None]


@dataclass(kw_only=True)
class _Written:
    """A layer as it was refitted: what it reads, that input's second moment, and its weight and bias."""

    branch: Branch
    inputs: Batches
    segments: dict[str, Segment | None]
    gram: torch.Tensor
    solution: torch.Tensor


class Refitter:
    """Refits the layers of one pass, in the order in which they come.

    Parameters
    ----------
    model : nn.Module
        The pruned network.
    chains : Chains
        Its widths.
    one : Pass
        Layers and images.
    rounds : int
        How often a width's layers are refined for their consumer; once where there are few rows.
    """

    def __init__(self, model: nn.Module, chains: Chains, one: Pass, rounds: int) -> None:
        self.chains = chains
        self._modules: dict[str, Any] = dict(model.named_modules())
        self._views, self._rounds = one.views, rounds
        count = len(one)
        # Views of one image are in the same half.
        halves = torch.arange(count) % max(1, count // one.views) % 2 == 0
        self._first = halves.to(next(model.parameters()).device).split(one.calibration.batch_size)
        self._written: dict[str, _Written] = {}

    def refit(self, stops: Sequence[Stop], targets: Batches) -> None:
        """Refit one layer, and its width's others for it, towards a target, and correct the outputs that go on."""
        branch = stops[0].visit.branch
        name, layer = branch.layer, self._modules[branch.layer]
        inputs = [stop.visit.inputs for stop in stops]
        wanted = [
            target if stop.visit.shortcut is None else target - stop.visit.shortcut
            for stop, target in zip(stops, targets, strict=True)
        ]
        prior = bias_and_weight(self._modules, branch)
        gram, solution = self._solve(branch, prior, inputs, wanted)
        segments = stops[0].segments
        if name in self.chains.consumers:
            chain = self.chains.before[name]
            for turn in range(self._turns(layer, wanted) if all(segments.values()) else 0):
                if not self._refine(chain, branch, segments, wanted, solution, turn):
                    break
                inputs = self._outputs(chain[-1], segments)
                gram, solution = self._solve(branch, prior, inputs, wanted)
            for one in chain:
                del self._written[one]
        for stop, values in zip(stops, inputs, strict=True):
            output = layer.forward(values)
            if stop.visit.shortcut is not None and branch.norm is not None:
                output = self._modules[branch.norm].forward(output)
            stop.visit.output.copy_(output)
        if name in self.chains.writers:
            self._written[name] = _Written(
                branch=branch, inputs=inputs, segments=segments, gram=gram, solution=solution
            )

    def _solve(
        self, branch: Branch, prior: torch.Tensor, inputs: Batches, wanted: Batches
    ) -> tuple[torch.Tensor, torch.Tensor]:
        layer = self._modules[branch.layer]
        sampler = RowSampler.for_output(layer, wanted[0], positions=max(16, ROWS // self._views))
        first = _of_rows(self._first, inputs)
        if getattr(layer, "groups", 1) > 1:
            stride = depthwise_stride(sum(map(len, inputs)))
            inputs, wanted, first = (_every(one, stride, 0) for one in (inputs, wanted, first))
            gram, found = solve_towards(prior.T[..., None], normal_equations(sampler, inputs, wanted, first))
            solution = found[..., 0].T
        else:
            gram, solution = solve_towards(prior, normal_equations(sampler, inputs, wanted, first))
        _install(self._modules, branch, solution, gram)
        return gram, solution

    def _refine(
        self,
        chain: Sequence[str],
        branch: Branch,
        segments: dict[str, Segment | None],
        wanted: Batches,
        solution: torch.Tensor,
        turn: int,
    ) -> bool:
        """Refine the layers that write the width, one after another; return whether anything is gained."""
        gained = False
        for place, name in enumerate(chain):
            written = self._written[name]
            producer = self._modules[name]
            if place and gained:
                written.inputs = self._outputs(chain[place - 1], written.segments)
            positions = RowSampler.positions(producer, producer.forward(written.inputs[0][:1]))
            enough = max(POSITIONS, POSITIONS_PER_INPUT * producer.weight[0].numel())
            masks = self._images(enough // positions, turn)
            pair = Pair(
                producer=producer,
                consumer=self._modules[branch.layer],
                between=self._links(chain[place:], segments),
                inputs=torch.cat(_chosen(written.inputs, masks)),
                wanted=torch.cat(_chosen(wanted, masks)),
                weight=solution.T.float(),
            )
            step = refine(pair, written.gram, iterations=ITERATIONS)
            if step is not None:
                written.solution = written.solution + step.T
                _install(self._modules, written.branch, written.solution, written.gram)
                gained = True
        return gained

    def _turns(self, consumer: nn.Module, wanted: Batches) -> int:
        """Return how often a width is refined: once where there are few rows for each input to learn from."""
        rows = RowSampler.positions(consumer, wanted[0]) * sum(map(len, wanted))
        weight: Any = consumer.weight
        return self._rounds if rows >= MANY_ROWS * weight[0].numel() else min(1, self._rounds)

    def _images(self, count: int, turn: int) -> Batches:
        """Return masks of about so many images that a step is fitted to: of one half, if enough, others each turn."""
        first = torch.cat(list(self._first))
        half = first if turn % 2 == 0 or bool(first.all()) else ~first
        if count > int(half.sum()):
            half = torch.ones_like(half)
        places = torch.nonzero(half)[:, 0]
        stride = max(1, len(places) // max(count, FEWEST_IMAGES))
        mask = torch.zeros_like(first)
        mask[places[turn // 2 % stride :: stride]] = True
        return list(mask.split([len(batch) for batch in self._first]))

    def _links(self, names: Sequence[str], last: dict[str, Segment | None]) -> tuple[Link, ...]:
        """Return what lies between the first of some layers of a width and its consumer."""
        found = []
        for name, reader in zip(names, names[1:], strict=False):
            segment = self._written[reader].segments[name]
            assert segment is not None
            found.append(Link(segment=segment, layer=self._modules[reader]))
        segment = last[names[-1]]
        assert segment is not None
        return (*found, Link(segment=segment))

    def _outputs(self, name: str, between: dict[str, Segment | None]) -> Batches:
        """Return what a layer's reader now reads."""
        producer, segment = self._modules[name], between[name]
        assert segment is not None
        return [segment(producer.forward(inputs)) for inputs in self._written[name].inputs]


def _chosen(batches: Sequence[torch.Tensor], masks: Sequence[torch.Tensor]) -> Batches:
    return [batch[mask] for batch, mask in zip(batches, _of_rows(masks, batches), strict=True)]


def _of_rows(masks: Sequence[torch.Tensor], batches: Sequence[torch.Tensor]) -> Batches:
    """Return masks of images as masks of what a layer sees of them, which may be several rows an image: patches."""
    pairs = zip(masks, batches, strict=True)
    return [mask.repeat_interleave(max(1, len(batch) // len(mask))) for mask, batch in pairs]


def depthwise_stride(images: int) -> int:
    """Return every how many-th image a depthwise filter is fitted to: odd, since an even one finds one half alone.

    Examples
    --------
    >>> [depthwise_stride(images) for images in (1, 200, 512, 2048)]
    [1, 1, 3, 15]
    """
    stride = max(1, images // DEPTHWISE_IMAGES)
    return stride - 1 + stride % 2


def _every(batches: Sequence[torch.Tensor], stride: int, offset: int) -> Batches:
    """Return every `stride`-th image of all batches, from the `offset`-th on."""
    found, base = [], 0
    for batch in batches:
        found.append(batch[(offset - base) % stride :: stride])
        base += len(batch)
    return found


def _install(modules: dict[str, Any], branch: Branch, solution: torch.Tensor, gram: torch.Tensor) -> None:
    """Write a solution in units of the branch's output into the layer and the batch norm behind it."""
    layer = modules[branch.layer]
    weight, bias = solution[:-1].T, solution[-1]
    with torch.no_grad():
        layer.weight.copy_(weight.reshape(layer.weight.shape))
        if branch.norm is None:
            layer.bias.copy_(bias)
            return
        if layer.bias is not None:
            layer.bias.zero_()
        norm = modules[branch.norm]
        # The norm gets the true statistics of what it reads, and undoes them: exact, and ready for fine-tuning.
        inner = gram if gram.ndim == 3 else gram[None]
        mean = (weight * inner[:, -1, :-1]).sum(dim=1)
        moved = torch.einsum("oi,oij->oj", weight, inner[:, :-1, :-1]) if gram.ndim == 3 else weight @ gram[:-1, :-1]
        variance = ((moved * weight).sum(dim=1) - mean.square()).clamp_min(0.0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(bias + mean)
