"""Read a running network at the tails of its branches: layer inputs, branch outputs, and the shortcuts they join."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ncapps.compression.probe import Branch, affine_of
from ncapps.compression.residual import ResidualWatch
from ncapps.compression.sampling import RowSampler


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One batch's sampled rows at one branch.

    Attributes
    ----------
    columns : Tensor
        What the layer reads, shape (rows, input channels * kernel taps).
    branch : Tensor
        The branch's output, after its batch norm and before any activation, shape (rows, output channels).
    shortcut : Tensor or None
        What the branch is added to, where it joins a stream; same shape.
    images : int
        Images in the batch.
    """

    columns: torch.Tensor
    branch: torch.Tensor
    shortcut: torch.Tensor | None
    images: int


class BranchTaps:
    """While entered, call back with the rows of each branch during every forward pass of a network.

    Parameters
    ----------
    model : nn.Module
        The network to watch, in evaluation mode.
    branches : sequence of Branch
        The branches to read.
    on_rows : callable
        Called as `on_rows(layer name, rows)` once a branch's rows are complete. It may raise `Stop`.
    """

    class Stop(Exception):  # noqa: N818 - a signal, not an error
        """Raised by the callback to leave the forward pass early; `run` swallows it."""

    def __init__(self, model: nn.Module, branches: Sequence[Branch], on_rows: Callable[[str, Rows], None]) -> None:
        self._model = model
        self._branches = {branch.layer: branch for branch in branches}
        self._on_rows = on_rows
        self._watch = ResidualWatch(self._joined)
        self._samplers: dict[str, RowSampler] = {}
        self._columns: dict[str, tuple[torch.Tensor, torch.Tensor, int]] = {}
        self._handles: list[Any] = []

    def __enter__(self) -> BranchTaps:
        modules = dict(self._model.named_modules())
        for branch in self._branches.values():
            layer = modules[branch.layer]
            norm = modules[branch.norm] if branch.norm else None
            self._handles.append(layer.register_forward_hook(self._layer_hook(branch, norm)))
            if norm is not None and branch.joins:
                self._handles.append(norm.register_forward_hook(self._norm_hook(branch)))
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def run(self, batch: torch.Tensor) -> torch.Tensor | None:
        """Run the network on one batch; None if the callback stopped it."""
        try:
            with torch.no_grad(), self._watch:
                return self._model(batch)
        except BranchTaps.Stop:
            return None
        finally:
            self._watch.forget()
            self._columns.clear()

    def _layer_hook(self, branch: Branch, norm: nn.Module | None) -> Any:
        name = branch.layer

        def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            sampler = self._samplers.setdefault(name, RowSampler.for_output(module, output))
            rows = sampler.outputs(output)
            if norm is not None:
                scale, shift = affine_of(norm)
                rows = rows * scale + shift
            self._columns[name] = (sampler.columns(inputs[0]), rows, len(output))
            if not branch.joins:
                self._emit(name, None)
            elif norm is None:
                self._watch.watch(name, output)

        return hook

    def _norm_hook(self, branch: Branch) -> Any:
        def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            self._watch.watch(branch.layer, output)

        return hook

    def _joined(self, name: str, shortcut: torch.Tensor) -> None:
        if name in self._columns:
            self._emit(name, self._samplers[name].outputs(shortcut))

    def _emit(self, name: str, shortcut: torch.Tensor | None) -> None:
        columns, branch, images = self._columns.pop(name)
        self._on_rows(name, Rows(columns=columns, branch=branch, shortcut=shortcut, images=images))
