"""One forward pass that tells what torch-pruning's graph does not: order, costs, and what follows each consumer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ncapps.compression.residual import ResidualWatch
from ncapps.compression.widths import InnerWidth


@dataclass(frozen=True, kw_only=True)
class Branch:
    """The tail of a branch: a consumer and what stands between it and the stream.

    Attributes
    ----------
    consumer : str
        Name of the layer.
    norm : str or None
        Name of the affine batch norm that reads the consumer's output, if one does.
    linear : bool
        Whether the branch ends linearly: false if the batch norm carries an activation.
    joins : bool
        Whether the branch is added to a residual stream.
    """

    consumer: str
    norm: str | None
    linear: bool
    joins: bool


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What one forward pass showed.

    Attributes
    ----------
    widths : tuple of InnerWidth
        Those whose layers all ran exactly once, in the order in which their consumers ran.
    branches : tuple of Branch
        One for each width.
    layer_macs : dict
        Multiply-accumulates an image, by the name of each convolution and linear layer.
    """

    widths: tuple[InnerWidth, ...]
    branches: tuple[Branch, ...]
    layer_macs: dict[str, float]


def affine_of(norm: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scale and shift of a batch norm in evaluation mode."""
    module: Any = norm
    scale = module.weight / torch.sqrt(module.running_var + module.eps)
    return scale, module.bias - module.running_mean * scale


def probe(model: nn.Module, example: torch.Tensor, widths: Sequence[InnerWidth]) -> Probe:
    """Run a network in evaluation mode once and note how its inner widths lie in it."""
    run = _Run(model, {width.consumer for width in widths})
    with torch.no_grad(), run.watch:
        try:
            model(example)
        finally:
            run.close()
    order = {name: place for place, name in enumerate(run.order)}
    once = [w for w in widths if all(run.calls[name] == 1 for name in (w.producer, *w.coupled, w.consumer))]
    once.sort(key=lambda width: order[width.consumer])
    branches = [
        Branch(
            consumer=width.consumer,
            norm=run.norms.get(width.consumer),
            linear=width.consumer not in run.curved,
            joins=width.consumer in run.joined,
        )
        for width in once
    ]
    images = example.shape[0]
    macs = {name: value / images for name, value in run.macs.items()}
    return Probe(widths=tuple(once), branches=tuple(branches), layer_macs=macs)


class _Run:
    """The hooks of one probing pass."""

    def __init__(self, model: nn.Module, consumers: set[str]) -> None:
        self.calls: Counter[str] = Counter()
        self.order: list[str] = []
        self.macs: dict[str, float] = {}
        self.norms: dict[str, str] = {}
        self.curved: set[str] = set()
        self.joined: set[str] = set()
        self.watch = ResidualWatch(lambda name, shortcut: self.joined.add(name))
        self._consumers = consumers
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
        self._raw.clear()
        self.watch.forget()

    def _layer_hook(self, name: str) -> Any:
        def hook(module: Any, inputs: Any, output: torch.Tensor) -> None:
            self.calls[name] += 1
            self.macs[name] = self.macs.get(name, 0.0) + _layer_macs(module, output)
            if name in self._consumers:
                self.order.append(name)
                self._raw[id(output)] = (name, output)
                self.watch.watch(name, output)

        return hook

    def _norm_hook(self, name: str) -> Any:
        def hook(module: Any, inputs: Any, output: torch.Tensor) -> None:
            self.calls[name] += 1
            consumer, raw = self._raw.get(id(inputs[0]), (None, None))
            if consumer is None or raw is None or module.running_mean is None or module.weight is None:
                return
            self.norms[consumer] = name
            shape = (1, -1) + (1,) * (raw.ndim - 2)
            scale, shift = (value.view(shape) for value in affine_of(module))
            if torch.allclose(output, raw * scale + shift, rtol=1e-3, atol=1e-3):
                self.watch.watch(consumer, output)
            else:
                self.curved.add(consumer)

        return hook


def _layer_macs(module: Any, output: torch.Tensor) -> float:
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    taps = module.kernel_size[0] * module.kernel_size[1]
    return output.numel() * (module.in_channels // module.groups) * taps
