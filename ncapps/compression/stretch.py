"""The first layers of a network as one function of their weights: what they hand on, its derivative, its adjoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import nn

from ncapps.compression.probe import Branch
from ncapps.compression.visits import Run, Visit

Values = list[torch.Tensor]
Taps = Mapping[str, Callable[[Visit], torch.Tensor]]
"""By the name of a layer, what it hands on; asked for during the visit, since what follows may work in place."""

TRIALS = 5
"""How often at most the length of a small difference is mended."""


def norm_of(values: Values) -> float:
    """Return the Euclidean norm of several tensors together."""
    return float(sum(value.square().sum() for value in values)) ** 0.5


class _AllVisited(Exception):  # noqa: N818
    """The rest of the network need not run."""


def run_up_to(
    run: Run,
    batch: torch.Tensor,
    layers: int,
    taps: Taps,
    *,
    on_visit: Callable[[Visit], object] = lambda visit: None,
    gradients: bool = False,
) -> Values:
    """Run a network on a batch up to the last of the layers that are watched; return what some of them hand on.

    Parameters
    ----------
    run : callable
        Of `visiting` these layers.
    layers : int
        How many there are.
    taps : mapping
        What is handed on, by the names of layers.
    on_visit : callable
        Is told of each visit.
    """
    visited: set[str] = set()
    found: dict[str, torch.Tensor] = {}

    def look(visit: Visit) -> None:
        name = visit.branch.layer
        visited.add(name)
        on_visit(visit)
        if name in taps:
            found[name] = taps[name](visit)
        if len(visited) == layers:
            raise _AllVisited

    with suppress(_AllVisited):
        run(batch, look, gradients)
    return [found[name] for name in taps]


class Weights:
    """The weights and biases of several layers as one vector.

    Each layer's is a matrix, shape (channels, fan-in + 1), its bias, or that of the batch norm behind it, last.

    Parameters
    ----------
    model : nn.Module
        The network.
    branches : sequence of Branch
        The layers. A batch norm behind one must undo its statistics, as after `repair`.
    """

    def __init__(self, model: nn.Module, branches: Sequence[Branch]) -> None:
        modules: dict[str, Any] = dict(model.named_modules())
        self._model = model
        self._pairs = [(modules[one.layer].weight, modules[one.norm or one.layer].bias) for one in branches]
        self.names = tuple(one.layer for one in branches)
        self.layers = len(branches)
        self.shapes = [(len(weight), weight[0].numel() + 1) for weight, _ in self._pairs]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Weight and bias of the first layer, of the second, and so on."""
        return [parameter for pair in self._pairs for parameter in pair]

    def get(self) -> torch.Tensor:
        """Return the vector."""
        return self.join([parameter.detach() for parameter in self.parameters])

    def set(self, vector: torch.Tensor) -> None:
        """Put a vector into the network; gradients that still wait to be taken do not notice."""
        for (weight, bias), matrix in zip(self._pairs, self.split(vector), strict=True):
            weight.data = matrix[:, :-1].reshape(weight.shape).contiguous()
            bias.data = matrix[:, -1].clone()

    def join(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return one vector of what has the shapes of `parameters`."""
        pairs = zip(tensors[::2], tensors[1::2], strict=True)
        return torch.cat([torch.cat([weight.flatten(1), bias[:, None]], dim=1).flatten() for weight, bias in pairs])

    def split(self, vector: torch.Tensor) -> list[torch.Tensor]:
        """Return each layer's matrix."""
        parts = vector.split([rows * columns for rows, columns in self.shapes])
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    @contextmanager
    def differentiable(self) -> Iterator[None]:
        """Let gradients be taken by these parameters, and by no others."""
        before = [(parameter, parameter.requires_grad) for parameter in self._model.parameters()]
        try:
            for parameter, _ in before:
                parameter.requires_grad_(False)
            for parameter in self.parameters:
                parameter.requires_grad_(True)
            yield
        finally:
            for parameter, wanted in before:
                parameter.requires_grad_(wanted)


class Stretch:
    """What some layers of a network hand on, on one batch, as a function of their weights.

    Parameters
    ----------
    run : callable
        Of `visiting` these layers of a network in evaluation mode.
    weights : Weights
        Those of the layers.
    taps : mapping
        What is handed on.
    batch : Tensor
        Images.

    Attributes
    ----------
    visits : dict
        The layers as the batch saw them, by name; of an output the shape alone is sure.
    values : list of Tensor
        What is handed on.
    """

    def __init__(self, run: Run, weights: Weights, taps: Taps, batch: torch.Tensor) -> None:
        self._run, self._weights, self._taps, self._batch = run, weights, taps, batch
        self.visits: dict[str, Visit] = {}
        self._slopes: dict[str, torch.Tensor] = {}
        self._nudge = 1e-2
        with weights.differentiable(), torch.enable_grad():
            self._outputs = run_up_to(run, batch, weights.layers, taps, on_visit=self._note, gradients=True)
        self.values = [value.detach() for value in self._outputs]

    def _note(self, visit: Visit) -> None:
        name, slopes = visit.branch.layer, self._slopes
        self.visits[name] = visit
        # A hook, since an activation that works in place takes the tensor's own place in the graph; one that knew this
        # object would keep the whole graph alive for ever.
        visit.output.register_hook(lambda gradient: slopes.__setitem__(name, gradient))

    def moved(self, change: torch.Tensor) -> Values:
        """Return what is handed on with the weights changed."""
        start = self._weights.get()
        try:
            self._weights.set(start + change)
            return run_up_to(self._run, self._batch, self._weights.layers, self._taps)
        finally:
            self._weights.set(start)

    def push(self, change: torch.Tensor, *, length: float) -> Values:
        """Return how what is handed on changes with the weights, to first order.

        Parameters
        ----------
        length : float
            The length of a difference that is small against the bends of the network, and large against rounding.
        """
        nudge = self._nudge
        for _ in range(TRIALS):
            moved = self.moved(nudge * change)
            differences = [(new - old) / nudge for new, old in zip(moved, self.values, strict=True)]
            found = nudge * norm_of(differences)
            if length / 3 < found < 3 * length:
                self._nudge = nudge
                break
            nudge *= (length / found if found < float("inf") else 1e-2) if found > 0 else 1e2
        return differences

    def pull(self, error: Values) -> torch.Tensor:
        """Return the adjoint of `push` applied to an error of what is handed on."""
        with self._weights.differentiable():
            gradients = torch.autograd.grad(self._outputs, self._weights.parameters, error, retain_graph=True)
        return self._weights.join(gradients)

    def slopes(self, error: Values) -> dict[str, torch.Tensor]:
        """Return the adjoint up to each layer's output, by name."""
        self.pull(error)
        return dict(self._slopes)
