"""One forward pass that tells what torch-pruning's graph does not: order, costs, and what follows each consumer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from ncapps.compression.readers import ReaderCount
from ncapps.compression.residual import ResidualWatch
from ncapps.compression.widths import InnerWidth


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A layer that least squares can refit, and what stands between it and the stream.

    Attributes
    ----------
    layer : str
        Name of the convolution or linear layer.
    norm : str or None
        Name of the affine batch norm that reads the layer's output, if one does, and nothing else reads it.
    joins : bool
        Whether the layer's output, after the batch norm and before any activation, is added to a residual stream.
    """

    layer: str
    norm: str | None
    joins: bool


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What one forward pass showed.

    Attributes
    ----------
    widths : tuple of InnerWidth
        Those whose layers all ran exactly once and that the classifier does not read, in the order in which their
        consumers ran.
    branches : tuple of Branch
        One for each width: the consumer's.
    producers : tuple of Branch
        One for each width: the producer, with the batch norm that reads it; it joins no stream that is no width.
    depthwise : tuple of (str, Branch)
        Producer and branch of each depthwise convolution inside a width.
    layer_macs : dict
        Multiply-accumulates an image, by the name of each convolution and linear layer.
    classifier : str or None
        Name of the layer that gives the network's output, if one does.
    values : dict
        Values of one image in the output of each convolution and linear layer, by name.
    streams : tuple of Branch
        The layers that write or read those widths that are streams.
    """

    widths: tuple[InnerWidth, ...]
    branches: tuple[Branch, ...]
    producers: tuple[Branch, ...]
    depthwise: tuple[tuple[str, Branch], ...]
    layer_macs: dict[str, float]
    classifier: str | None
    values: dict[str, int]
    streams: tuple[Branch, ...] = ()


def affine_of(norm: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scale and shift of a batch norm in evaluation mode."""
    module: Any = norm
    scale = module.weight / torch.sqrt(module.running_var + module.eps)
    return scale, module.bias - module.running_mean * scale


def probe(model: nn.Module, example: torch.Tensor, widths: Sequence[InnerWidth]) -> Probe:
    """Run a network in evaluation mode once and note how its inner widths lie in it.

    What the classifier reads are the network's features, whose width is not to change: such a width is left out. The
    classifier is the last layer to run, if it gives the network's output, one row an image, and joins no stream.
    """
    run = _Run(model, {name for width in widths for name in _layers(width)})
    with torch.no_grad(), run.readers, run.watch:
        try:
            classifier = run.classifier(model(example))
        finally:
            run.close()
    order = {name: place for place, name in enumerate(run.order)}
    once = [w for w in widths if all(run.calls[name] == 1 for name in _layers(w))]
    once = [width for width in once if classifier not in width.consumers]
    once.sort(key=lambda width: order[width.consumer])
    branches = tuple(run.branch(width.consumer) for width in once)
    written = tuple(run.branch(width.producer) for width in once)
    producers = tuple(
        one if width.is_stream else replace(one, joins=False) for one, width in zip(written, once, strict=True)
    )
    of_streams = {name for width in once if width.is_stream for name in (*width.producers, *width.consumers)}
    images = example.shape[0]
    macs = {name: value / images for name, value in run.macs.items()}
    return Probe(
        widths=tuple(once),
        branches=branches,
        producers=producers,
        depthwise=tuple(
            (width.producer, replace(run.branch(name), joins=False))
            for width in once
            for name in width.coupled
            if name in macs
        ),
        layer_macs=macs,
        classifier=classifier,
        values={name: count // images for name, count in run.values.items()},
        streams=tuple(run.branch(name) for name in sorted(of_streams, key=order.__getitem__)),
    )


def _layers(width: InnerWidth) -> tuple[str, ...]:
    return (*width.producers, *width.coupled, *width.consumers)


class _Run:
    """The hooks of one probing pass."""

    def __init__(self, model: nn.Module, layers: set[str]) -> None:
        self.calls: Counter[str] = Counter()
        self.order: list[str] = []
        self.macs: dict[str, float] = {}
        self.values: dict[str, int] = {}
        self.norms: dict[str, str] = {}
        self.joined: set[str] = set()
        self._read_twice: set[str] = set()
        self.readers = ReaderCount()
        self.watch = ResidualWatch(lambda name, branch, shortcut: self.joined.add(name))
        self._layers = layers
        self._last: tuple[str, int] = ("", 0)
        self._raw: dict[int, tuple[str, torch.Tensor]] = {}
        self._handles: list[Any] = []
        for name, module in model.named_modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                self._handles.append(module.register_forward_hook(self._layer_hook(name)))
            elif isinstance(module, nn.modules.batchnorm._BatchNorm):
                self._handles.append(module.register_forward_hook(self._norm_hook(name)))

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._read_twice = {layer for layer, raw in self._raw.values() if self.readers[raw] > 1}
        self._raw.clear()
        self.watch.forget()

    def branch(self, layer: str) -> Branch:
        """Return what the pass showed about one layer."""
        # A norm that only one of two readers sees does not scale what the layer gives.
        norm = self.norms.get(layer) if layer not in self._read_twice else None
        return Branch(layer=layer, norm=norm, joins=layer in self.joined)

    def classifier(self, output: Any) -> str | None:
        """Return the name of the layer whose values the network's output holds, one row an image."""
        name, values = self._last
        gives_output = isinstance(output, torch.Tensor) and output.ndim == 2 and output.numel() == values
        return name if gives_output and name not in self.joined else None

    def _layer_hook(self, name: str) -> Any:
        def hook(module: Any, inputs: Any, output: torch.Tensor) -> None:
            self.calls[name] += 1
            self._last = (name, output.numel())
            self.values[name] = max(self.values.get(name, 0), output.numel())
            self.macs[name] = self.macs.get(name, 0.0) + _layer_macs(module, output)
            if name in self._layers:
                self.order.append(name)
                self._raw[id(output)] = (name, output)
                self.readers.follow(output)
                self.watch.watch(name, output)

        return hook

    def _norm_hook(self, name: str) -> Any:
        def hook(module: Any, inputs: Any, output: torch.Tensor) -> None:
            self.calls[name] += 1
            layer, raw = self._raw.get(id(inputs[0]), (None, None))
            if layer is None or raw is None or module.running_mean is None or module.weight is None:
                return
            self.norms[layer] = name
            shape = (1, -1) + (1,) * (raw.ndim - 2)
            scale, shift = (value.view(shape) for value in affine_of(module))
            with self.readers.paused():
                plain = torch.allclose(output, raw * scale + shift, rtol=1e-3, atol=1e-3)
            if plain:
                self.watch.watch(layer, output)

        return hook


def _layer_macs(module: Any, output: torch.Tensor) -> float:
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    taps = module.kernel_size[0] * module.kernel_size[1]
    return output.numel() * (module.in_channels // module.groups) * taps
