"""Residual streams: one more kind of inner width, that several layers write and several read."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ncapps.compression.gate import TOLERANCE, relative_errors
from ncapps.compression.widths import InnerWidth, find_widths, is_consumer, is_coupled, is_refittable, members

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StreamWidth(InnerWidth):
    """The channels of one residual stream: each of its layers writes or reads all of them.

    Attributes
    ----------
    further_producers, further_consumers : tuple of str
        The layers that write and read the stream besides `producer` and `consumer`.
    """

    further_producers: tuple[str, ...]
    further_consumers: tuple[str, ...]

    @property
    def producers(self) -> tuple[str, ...]:
        """Names of all layers that write the stream."""
        return (self.producer, *self.further_producers)

    @property
    def consumers(self) -> tuple[str, ...]:
        """Names of all layers that read the stream."""
        return (*self.further_consumers, self.consumer)

    @property
    def refinable(self) -> bool:
        """Whether the producer is refined for its consumer: here there are several of each."""
        return False


def find_streams(model: nn.Module, example: torch.Tensor, *, time_limit: float = 60.0) -> tuple[StreamWidth, ...]:
    """Return the residual streams of a network whose channels can be cut exactly.

    A stream is kept if torch-pruning's dependency group has several layers that write it or several that read it, all
    of them ungrouped and of its width, with batch norms, depthwise convolutions and element-wise operations between:
    those of ResNets with projected shortcuts, of inverted residuals, and widths that squeeze and excitation scales. The
    network without every other channel has to be the one whose layers ignore these channels.

    Parameters
    ----------
    model : nn.Module
        The network in evaluation mode; it is not changed.
    example : Tensor
        A batch that the network accepts, on its device.
    time_limit : float
        Seconds after which the trace is given up.

    Raises
    ------
    InputError
        If the network cannot be copied or traced, or not in time.

    Examples
    --------
    >>> import timm
    >>> model = timm.create_model("resnet18", channels=(8, 16, 32, 64)).eval()
    >>> streams = find_streams(model, torch.randn(2, 3, 32, 32))
    >>> sorted((stream.channels, len(stream.producers), len(stream.consumers)) for stream in streams)
    [(8, 3, 3), (16, 3, 3), (32, 3, 3), (64, 1, 2), (64, 3, 2)]
    """
    found: dict[StreamWidth, None] = dict.fromkeys(find_widths(model, example, _stream_of, time_limit=time_limit))
    return tuple(stream for stream in found if _is_exact(model, stream, example))


def _stream_of(graph: Any, root: nn.Module, names: dict[Any, str], tied: set[str]) -> StreamWidth | None:
    channels = graph.get_pruner_of_module(root).get_out_channels(root)
    producers, coupled, consumers = [], [], []
    for node, pruning in members(graph, root):
        if node is None:
            return None
        module = node.module
        writes = graph.is_out_channel_pruning_fn(pruning)
        if module not in names:
            if node.type not in (graph.ops.OPTYPE.ELEMENTWISE, graph.ops.OPTYPE.RESHAPE):
                return None
        elif is_coupled(module, channels):
            coupled.append(names[module])
        elif (
            is_refittable(module) and writes and graph.get_pruner_of_module(module).get_out_channels(module) == channels
        ):
            producers.append(names[module])
        elif is_consumer(module, channels) and not writes:
            consumers.append(names[module])
        else:
            return None
    order = {name: place for place, name in enumerate(names.values())}
    producers, consumers = (sorted(set(some), key=order.__getitem__) for some in (producers, consumers))
    if len(producers) + len(consumers) < 3 or not consumers or channels < 2:
        return None
    if tied.intersection([*producers, *coupled, *consumers]):
        return None
    return StreamWidth(
        producer=producers[0],
        further_producers=tuple(producers[1:]),
        coupled=tuple(sorted(set(coupled))),
        further_consumers=tuple(consumers[:-1]),
        consumer=consumers[-1],
        channels=channels,
    )


def _is_exact(model: nn.Module, stream: StreamWidth, example: torch.Tensor) -> bool:
    try:
        errors = relative_errors(model, [stream], [list(range(0, stream.channels, 2))], example)
    except RuntimeError:
        errors = [float("inf")]
    if not max(errors) < TOLERANCE:
        _logger.warning("the stream of %s is left at full width: its removal is not exact", stream.producer)
    return max(errors) < TOLERANCE
