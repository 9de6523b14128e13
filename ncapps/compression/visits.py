"""What a running network shows at each layer that least squares can refit: inputs, outputs, the shortcut it joins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from ncapps.compression.probe import Branch, affine_of
from ncapps.compression.residual import ResidualWatch


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One layer in one forward pass.

    Attributes
    ----------
    branch : Branch
        The layer.
    inputs : Tensor
        What it reads.
    output : Tensor
        What goes on: the layer's output or, where the branch joins a stream, that of the batch norm behind it.
        Whoever is called may overwrite it in place.
    shortcut : Tensor or None
        What the branch is about to be added to, where it joins a stream.
    """

    branch: Branch
    inputs: torch.Tensor
    output: torch.Tensor
    shortcut: torch.Tensor | None

    def values(self, norm: nn.Module | None) -> torch.Tensor:
        """Return the branch's output, after its batch norm and before any activation."""
        if norm is None or self.shortcut is not None:
            return self.output
        shape = (1, -1) + (1,) * (self.output.ndim - 2)
        scale, shift = (value.view(shape) for value in affine_of(norm))
        return self.output * scale + shift


class Run(Protocol):
    """Run a network on a batch and call back at each layer that is watched."""

    def __call__(self, batch: torch.Tensor, on_visit: Callable[[Visit], None], gradients: bool = False) -> torch.Tensor:
        """Return the network's output."""
        ...


@contextmanager
def visiting(model: nn.Module, branches: Sequence[Branch]) -> Iterator[Run]:
    """Watch the layers of a network in evaluation mode; gives a function that runs it on a batch and calls back.

    That function takes the batch, and what is called with each visit; if asked, it keeps what gradients need. It may
    run in several threads at the same time, one batch in each.

    Parameters
    ----------
    branches : sequence of Branch
        The layers. One that joins a stream is visited just before the addition, any other one when it has run.
    """
    modules = dict(model.named_modules())
    by_layer = {branch.layer: branch for branch in branches}
    own = threading.local()

    def layer_hook(branch: Branch) -> Any:
        def hook(module: nn.Module, arguments: Any, output: torch.Tensor) -> None:
            if not hasattr(own, "walk"):
                return
            if not branch.joins:
                own.walk.on_visit(Visit(branch=branch, inputs=arguments[0], output=output, shortcut=None))
                return
            own.walk.inputs[branch.layer] = arguments[0]
            if branch.norm is None:
                own.watch.watch(branch.layer, output)

        return hook

    def norm_hook(branch: Branch) -> Any:
        def hook(module: nn.Module, arguments: Any, output: torch.Tensor) -> None:
            if hasattr(own, "walk"):
                own.watch.watch(branch.layer, output)

        return hook

    def run(batch: torch.Tensor, on_visit: Callable[[Visit], None], gradients: bool = False) -> torch.Tensor:
        own.walk = walk = _Walk(by_layer, on_visit)
        # Not held by the walk, which it knows: in a circle, all that was visited would wait for the garbage collector.
        own.watch = watch = ResidualWatch(walk.join)
        try:
            with torch.set_grad_enabled(gradients), watch:
                return model(batch)
        finally:
            watch.forget()
            del own.walk, own.watch

    handles = [modules[branch.layer].register_forward_hook(layer_hook(branch)) for branch in branches]
    handles += [modules[b.norm].register_forward_hook(norm_hook(b)) for b in branches if b.norm and b.joins]
    try:
        yield run
    finally:
        for handle in handles:
            handle.remove()


class _Walk:
    """One batch on its way through the network."""

    def __init__(self, branches: dict[str, Branch], on_visit: Callable[[Visit], None]) -> None:
        self.inputs: dict[str, torch.Tensor] = {}
        self.on_visit = on_visit
        self._branches = branches

    def join(self, name: str, output: torch.Tensor, shortcut: torch.Tensor) -> None:
        """Visit a layer whose branch is about to be added to its stream."""
        if name in self.inputs:
            inputs = self.inputs.pop(name)
            self.on_visit(Visit(branch=self._branches[name], inputs=inputs, output=output, shortcut=shortcut))
