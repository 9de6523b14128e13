"""Count multiply-accumulate operations, of a whole network and of the layers that pruning changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ncapps.compression.widths import InnerWidth


def count_macs(model: nn.Module, example: torch.Tensor) -> int:
    """Return the multiply-accumulates of one image through the network: convolutions, linear layers, attention.

    Counted by running the network once, so that matrix products outside of layers count too, and nothing is copied.

    Parameters
    ----------
    model : nn.Module
        The network; its training flags and `requires_grad` are restored.
    example : Tensor
        A batch that the network accepts, on its device; the count is divided by the number of its images.

    Examples
    --------
    >>> import torch
    >>> from ncapps.compression import count_macs
    >>> count_macs(torch.nn.Linear(8, 4), torch.zeros(2, 8))
    32
    """
    return _counted(model, example).get_total_flops() // (2 * example.shape[0])


def module_macs(model: nn.Module, example: torch.Tensor) -> dict[str, float]:
    """Return the multiply-accumulates of one image in each module, those inside of it included, by name."""
    root = f"{type(model).__name__}."
    flops = {name: sum(one.values()) for name, one in _counted(model, example).get_flop_counts().items()}
    images = 2 * example.shape[0]
    return {name[len(root) :]: count / images for name, count in flops.items() if f"{name}.".startswith(root)}


def _counted(model: nn.Module, example: torch.Tensor) -> FlopCounterMode:
    training = [module for module in model.modules() if module.training]
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.eval()
    # The counter asks what requires a gradient for its history, which a view of a parameter has not without gradients.
    model.requires_grad_(False)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(example)
    finally:
        for module in training:
            module.training = True
        for parameter in learning:
            parameter.requires_grad_(True)
    return counter


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """The dense cost of one layer, and the inner widths that scale it.

    Attributes
    ----------
    macs : float
        Multiply-accumulates of the dense layer for one image; parameters or milliseconds, where these are counted.
    widths : tuple of int
        Index of each inner width by whose kept fraction the cost is multiplied.
    shares : tuple of tuple of float
        For each of these widths the factor with 0, 1, ... channels left, where it is not the kept fraction.
    """

    macs: float
    widths: tuple[int, ...]
    shares: tuple[tuple[float, ...], ...] = ()


class CostModel:
    """The whole network's cost as a function of the kept channels, exact for convolutions and linear layers.

    Parameters
    ----------
    total : float
        Multiply-accumulates of the dense network.
    layers : list of LayerCost
        The layers that pruning changes.
    channels : list of int
        The dense number of channels of each inner width.
    """

    def __init__(self, total: float, layers: list[LayerCost], channels: list[int]) -> None:
        self.total = total
        self._layers = layers
        self._channels = channels
        self._constant = total - sum(layer.macs for layer in layers)

    def __call__(self, kept: list[int]) -> float:
        """Return the multiply-accumulates with `kept[i]` channels left in inner width i."""
        return self._constant + self._sum(self._layers, kept)

    def saved(self, kept: list[int], index: int, removed: int) -> float:
        """Return what removing `removed` further channels of one width saves."""
        touched = [layer for layer in self._layers if index in layer.widths]
        fewer = list(kept)
        fewer[index] -= removed
        return self._sum(touched, kept) - self._sum(touched, fewer)

    def progress(self, index: int, most: int) -> np.ndarray:
        """Return what 0 to `most` removals from one width save, up to a factor, the other widths being whole."""
        touched = [layer for layer in self._layers if index in layer.widths]
        if not any(layer.shares for layer in touched):
            return np.arange(most + 1.0)
        kept = self._channels[index] - np.arange(most + 1)
        shares = [layer.macs * np.asarray(layer.shares[layer.widths.index(index)])[kept] for layer in touched]
        left = np.sum(shares, axis=0)
        return left[0] - left

    def _sum(self, layers: list[LayerCost], kept: list[int]) -> float:
        total = 0.0
        for layer in layers:
            macs = layer.macs
            for place, index in enumerate(layer.widths):
                macs *= layer.shares[place][kept[index]] if layer.shares else kept[index] / self._channels[index]
            total += macs
        return total


def cost_model(total: int, widths: tuple[InnerWidth, ...], layer_macs: dict[str, float]) -> CostModel:
    """Return the cost model of a network with these inner widths, from the dense cost of its layers by name."""
    scaled: dict[str, list[int]] = {}
    for index, width in enumerate(widths):
        for name in width.costly:
            if name in layer_macs:
                scaled.setdefault(name, []).append(index)
    layers = [LayerCost(macs=layer_macs[name], widths=tuple(indices)) for name, indices in scaled.items()]
    return CostModel(total, layers, [width.channels for width in widths])


def layer_parameters(model: nn.Module) -> dict[str, float]:
    """Return the parameters of each layer that has some of its own, by name."""
    own = {name: sum(p.numel() for p in module.parameters(recurse=False)) for name, module in model.named_modules()}
    return {name: float(count) for name, count in own.items() if count}
