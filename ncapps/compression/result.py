"""What compression returns: the smaller network, the plan that made it, a report, and a file that holds all three."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ncapps import persist
from ncapps.arrays import to_numpy
from ncapps.compression.collapse_profile import DepthCollapse

KIND = "compressed"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class WidthPlan:
    """Which channels of one inner width stay.

    Attributes
    ----------
    producer, consumer : str
        The layers that write and read the channels.
    coupled : tuple of str
        Batch norms and depthwise convolutions between them.
    channels : int
        Channels in the dense network.
    kept : tuple of int
        Those that stay, ascending.
    head_dim : int or None
        Where the channels are attention heads, the size of each.
    further_producers, further_consumers : tuple of str
        Where they are a stream's, the other layers that write and read it.
    """

    producer: str
    coupled: tuple[str, ...]
    consumer: str
    channels: int
    kept: tuple[int, ...]
    head_dim: int | None = None
    further_producers: tuple[str, ...] = ()
    further_consumers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CompressionPlan:
    """How a network was pruned; plain numbers and names, so that `asdict` is JSON-able.

    Attributes
    ----------
    widths : tuple of WidthPlan
        The inner widths, in the order in which they run.
    importance : str
        Name of the importance that chose the channels.
    seed : int
        Seed of every random choice.
    repaired : bool
        Whether the consumers were refitted.
    added_biases : tuple of str
        Layers that had no bias and got one.
    macs_before, macs_after : int
        Multiply-accumulates of one image, whole network.
    classes : tuple of int or None
        The dense network's outputs that are left, where not all are.
    fine_tuned_epochs : int
        Epochs of training after the repair: see `ncapps.compression.fine_tune`.
    """

    widths: tuple[WidthPlan, ...]
    importance: str
    seed: int
    repaired: bool
    added_biases: tuple[str, ...]
    macs_before: int
    macs_after: int
    classes: tuple[int, ...] | None = None
    fine_tuned_epochs: int = 0


@dataclass(frozen=True, kw_only=True)
class FrontPoint:
    """One point of cost against accuracy.

    Attributes
    ----------
    macs_ratio, params_ratio : float
        Cost after, as a fraction of that before.
    agreement : float
        Fraction of the calibration images on which both networks decide alike.
    drop : float or None
        As in the report.
    chosen : bool
        Whether it is the network that was returned.
    """

    macs_ratio: float
    params_ratio: float
    agreement: float
    drop: float | None
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class CompressionReport:
    """What compression did and what it cost.

    Attributes
    ----------
    macs_before, macs_after : int
        Multiply-accumulates of one image, whole network.
    params_before, params_after : int
        Parameters.
    widths_before, widths_after : dict
        Channels by producer layer; heads, where it writes queries, keys and values.
    agreement : float
        Fraction of the calibration images on which both networks decide alike.
    held_out_agreement : float or None
        The same on held-out images, where these were given.
    held_out_accuracy_before, held_out_accuracy_after : float or None
        Accuracy there, where their labels were given as the network's class indices.
    held_out_images : int
        Held-out images.
    drop : float or None
        Percentage points of accuracy lost on the held-out images; of agreement, where they have no labels.
    drop_interval : tuple of float or None
        Its 95 % interval: see `ncapps.compression.drop.Drop.interval`.
    images : int
        Calibration images used.
    seconds : float
        Wall-clock time, without that of running these two networks on held-out images; where several were tried, with
        all that was done for the earlier ones.
    front : tuple of FrontPoint
        All networks that were tried from the same statistics, the largest first.
    collapse_profile : tuple of DepthCollapse or None
        How far the dense network has told the classes apart at each depth, where the calibration images have labels.
    latency_before_ms, latency_after_ms : float or None
        Median milliseconds of one forward pass in eager torch on the machine, device and threads that compressed, timed
        in turns, where `latency_ms` was asked for.
    """

    macs_before: int
    macs_after: int
    params_before: int
    params_after: int
    widths_before: dict[str, int]
    widths_after: dict[str, int]
    agreement: float
    held_out_agreement: float | None
    held_out_accuracy_before: float | None
    held_out_accuracy_after: float | None
    images: int
    seconds: float
    held_out_images: int = 0
    drop: float | None = None
    drop_interval: tuple[float, float] | None = None
    front: tuple[FrontPoint, ...] = ()
    collapse_profile: tuple[DepthCollapse, ...] | None = None
    latency_before_ms: float | None = None
    latency_after_ms: float | None = None

    @property
    def macs_ratio(self) -> float:
        """Multiply-accumulates after, as a fraction of those before."""
        return self.macs_after / self.macs_before

    @property
    def params_ratio(self) -> float:
        """Parameters after, as a fraction of those before."""
        return self.params_after / self.params_before


@dataclass(frozen=True, kw_only=True, eq=False)
class Compressed:
    """A pruned and repaired network with its plan and report.

    Attributes
    ----------
    model : nn.Module
        The smaller network, in evaluation mode, on the device of the original.
    plan : CompressionPlan
        Which channels stayed.
    report : CompressionReport
        Costs before and after, and how far both networks agree.
    dense_shapes : dict
        Shape of each tensor of the dense network; tells at load whether the right one is given.
    """

    model: nn.Module
    plan: CompressionPlan
    report: CompressionReport
    dense_shapes: dict[str, list[int]]

    def save(self, path: str | Path) -> None:
        """Write one safetensors file with the tensors, plan and report; read it with `load_compressed`.

        Raises
        ------
        InputError
            If the path is a folder.
        """
        arrays: dict[str, np.ndarray] = {name: to_numpy(tensor) for name, tensor in self.model.state_dict().items()}
        header: dict[str, Any] = {
            "plan": asdict(self.plan),
            "report": asdict(self.report),
            "dense_shapes": self.dense_shapes,
        }
        persist.save(path, KIND, VERSION, arrays, header)


def shapes_of(model: nn.Module) -> dict[str, list[int]]:
    """Return the shape of each tensor in a network's state, by name."""
    return {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
