"""Inner widths: the channels between one producer layer and one consumer layer, found by torch-pruning's graph."""

from __future__ import annotations

import copy
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from ncapps.compression.time_limit import call_with_time_limit
from ncapps.errors import InputError

_logger = logging.getLogger(__name__)
# What torch-pruning raises on index maps that it cannot follow (chunk, split, views of static shape).
_GRAPH_ERRORS = (
    IndexError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,
    AssertionError,
    ArithmeticError,
)


@dataclass(frozen=True, kw_only=True)
class InnerWidth:
    """Channels that one layer writes and one layer reads, with nothing between them that mixes channels.

    Attributes
    ----------
    producer : str
        Name of the convolution or linear layer that writes the channels.
    coupled : tuple of str
        Names of the batch norms and depthwise convolutions on the way; they shrink with the producer.
    consumer : str
        Name of the ungrouped convolution or linear layer that reads them; least squares refits it.
    channels : int
        The number of channels in the dense network.
    """

    producer: str
    coupled: tuple[str, ...]
    consumer: str
    channels: int

    @property
    def producers(self) -> tuple[str, ...]:
        """Names of all layers that write the channels."""
        return (self.producer,)

    @property
    def consumers(self) -> tuple[str, ...]:
        """Names of all layers that read them."""
        return (self.consumer,)

    @property
    def is_stream(self) -> bool:
        """Whether several layers write the channels, or several read them."""
        return len(self.producers) + len(self.consumers) > 2

    @property
    def costly(self) -> tuple[str, ...]:
        """Names of the modules whose cost falls with the channels."""
        return (*self.producers, *self.coupled, *self.consumers)

    @property
    def refinable(self) -> bool:
        """Whether the producer can be refined for its consumer through what lies between."""
        return True

    @property
    def price(self) -> float:
        """By what a loss counts more than elsewhere when a target is shared out."""
        return 1.0

    def outputs(self, channels: Sequence[int]) -> list[int]:
        """Return which outputs of the producer write these channels, ascending."""
        return sorted(channels)

    def inputs(self, channels: Sequence[int]) -> list[int]:
        """Return which inputs of the consumer read these channels, ascending."""
        return sorted(channels)

    def rows(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the producer's weight as one row a channel."""
        return weight.reshape(self.channels, -1)

    def activity(self, means: np.ndarray) -> np.ndarray:
        """Return one number for each image and channel, of mean inputs (images, channels, taps)."""
        return means[:, :, means.shape[2] // 2]

    def resize(self, model: nn.Module, count: int) -> None:
        """Set what the network knows of the number of channels outside of its layers: here nothing."""


Width = TypeVar("Width", bound=InnerWidth)


def find_inner_widths(model: nn.Module, example: torch.Tensor, *, time_limit: float = 60.0) -> tuple[InnerWidth, ...]:
    """Return the inner widths of a network, found on a copy of it.

    A width is kept if torch-pruning's dependency group has one producer, one ungrouped consumer of the same width, an
    index map that is the identity throughout, and no concatenation, split, slice or loose parameter in it. Residual
    streams never qualify: several layers write them.

    Parameters
    ----------
    model : nn.Module
        The network; it is not changed.
    example : Tensor
        A batch that the network accepts, on its device.
    time_limit : float
        Seconds after which the trace is given up; for some families it never ends.

    Raises
    ------
    InputError
        If the network cannot be copied or traced, or not in time.
    """
    return find_widths(model, example, _width_of, time_limit=time_limit)


def find_widths(
    model: nn.Module, example: torch.Tensor, width_of: Callable[..., Width | None], *, time_limit: float
) -> tuple[Width, ...]:
    """Return what a rule makes of the layers of a network, found on a copy of it.

    Parameters
    ----------
    width_of : callable
        From torch-pruning's graph, a layer that may be cut, the modules' names and the tied layers' names to a width.

    Raises
    ------
    InputError
        As `find_inner_widths`.
    """
    family = type(model).__name__
    try:
        traced = copy.deepcopy(model).eval().requires_grad_(True)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"{family} cannot be copied ({first_line(error)}); give a freshly built model that has not run yet"
        ) from None
    try:
        return call_with_time_limit(lambda: tuple(_discover(traced, example, width_of)), time_limit)
    except TimeoutError:
        raise InputError(
            f"torch-pruning did not finish tracing {family} within {time_limit:g} s; this family is not supported"
        ) from None
    except _GRAPH_ERRORS as error:
        raise InputError(
            f"torch-pruning cannot trace {family} ({first_line(error)}); does model(example_input) run with this input?"
        ) from None


def first_line(error: BaseException) -> str:
    """Return an error's type and the first line of what it says."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}" if str(error) else type(error).__name__


def _discover(model: nn.Module, example: torch.Tensor, width_of: Callable[..., Width | None]) -> Iterator[Width]:
    import torch_pruning

    with torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph: Any = torch_pruning.DependencyGraph()
        try:
            graph.build_dependency(
                model, example, unwrapped_parameters=[], customized_pruners={}, ignored_layers=[], verbose=False
            )
        except _GRAPH_ERRORS as error:
            if not _has_all_edges(graph):
                raise
            # Only the maps of the indices along the edges are incomplete: what they would rule out, the gate does.
            _logger.debug("torch-pruning maps some indices only: %s", first_line(error))
        names = {module: name for name, module in model.named_modules()}
        tied = tied_layers(model)
        for module in list(graph.module2node):
            if not is_refittable(module):
                continue
            try:
                width = width_of(graph, module, names, tied)
            except _GRAPH_ERRORS as error:
                _logger.debug("no group for %s: %s", names.get(module), first_line(error))
                continue
            if width is not None:
                yield width


def _has_all_edges(graph: Any) -> bool:
    nodes = getattr(graph, "module2node", {}).values()
    return bool(nodes) and all(len(node.dependencies) >= len(node.inputs) + len(node.outputs) for node in nodes)


def _width_of(graph: Any, root: nn.Module, names: dict[Any, str], tied: set[str]) -> InnerWidth | None:
    channels = graph.get_pruner_of_module(root).get_out_channels(root)
    coupled: list[str] = []
    consumers: list[Any] = []
    for node, pruning in members(graph, root):
        if node is None:
            return None
        if node.module is root:
            if not graph.is_out_channel_pruning_fn(pruning):
                return None
        elif node.module not in names:
            if node.type not in (graph.ops.OPTYPE.ELEMENTWISE, graph.ops.OPTYPE.RESHAPE):
                return None
        elif is_coupled(node.module, channels):
            coupled.append(names[node.module])
        elif is_consumer(node.module, channels) and graph.is_in_channel_pruning_fn(pruning):
            consumers.append(node)
        else:
            return None
    # A layer whose raw output is read twice cannot be refitted together with the norm behind it.
    read_twice = coupled and len(graph.module2node[root].outputs) != 1
    if len(consumers) != 1 or len(consumers[0].outputs) != 1 or read_twice or channels < 2:
        return None
    layers = (names[root], *sorted(set(coupled)), names[consumers[0].module])
    if tied.intersection(layers):
        return None
    return InnerWidth(producer=layers[0], coupled=layers[1:-1], consumer=layers[-1], channels=channels)


def members(graph: Any, root: nn.Module) -> Iterator[tuple[Any, Any]]:
    """Walk from a layer's outputs to all that must shrink with it: node and pruning function; node None ends it.

    torch-pruning's own walk carries the indices along, which a view may multiply again and again without end. Here a
    map of the indices is where the walk stops: what lies behind it is no inner width.
    """
    start = (graph.module2node[root], graph.get_pruner_of_module(root).prune_out_channels)
    seen, waiting = {start}, [start]
    while waiting:
        node, pruning = waiting.pop()
        yield node, pruning
        for edge in node.dependencies:
            following = (edge.target, edge.handler)
            if not edge.is_triggered_by(pruning) or following in seen:
                continue
            if any(mapping is not None for mapping in edge.index_mapping):
                yield None, None
            seen.add(following)
            waiting.append(following)


def _is_plain(module: Any, *kinds: type) -> bool:
    # Exact types: a subclass may standardise or scale its weight. A weight that is no parameter is computed by a hook.
    # timm's Conv2dSame alone only pads.
    known = type(module) in kinds or (nn.Conv2d in kinds and type(module).__name__ == "Conv2dSame")
    return known and "weight" in module._parameters


def is_refittable(module: Any) -> bool:
    """Tell whether least squares can refit a layer: an ungrouped convolution or a linear layer, and no subclass."""
    if _is_plain(module, nn.Linear):
        return True
    return _is_plain(module, nn.Conv2d) and module.groups == 1 and module.padding_mode == "zeros"


def is_coupled(module: Any, channels: int) -> bool:
    """Tell whether a module takes each channel by itself: a batch norm or a depthwise convolution."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return module.num_features == channels and module.running_mean is not None
    # Not by exact type: padding before a depthwise convolution, as in timm's Conv2dSame, does not mix channels.
    is_depthwise = isinstance(module, nn.Conv2d) and module.groups == module.in_channels == module.out_channels
    return is_depthwise and module.out_channels == channels and "weight" in module._parameters


def is_consumer(module: Any, channels: int) -> bool:
    """Tell whether a module is a layer that least squares can refit, and reads so many channels."""
    if _is_plain(module, nn.Linear):
        return module.in_features == channels
    return is_refittable(module) and module.in_channels == channels


def tied_layers(model: nn.Module) -> set[str]:
    """Return the names of layers that share a parameter with another one, or that have two names."""
    owners = [(name.rpartition(".")[0], id(p)) for name, p in model.named_parameters(remove_duplicate=False)]
    count = Counter(identity for _, identity in owners)
    return {owner for owner, identity in owners if count[identity] > 1}
