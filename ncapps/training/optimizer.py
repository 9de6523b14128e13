"""The optimiser: weight decay on matrices and kernels alone, its state as named arrays."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import nn


class OptimizerSettings(Protocol):
    """What of a run's settings decides its optimiser; see `TrainSettings`."""

    @property
    def optimizer(self) -> str:
        """Its name."""
        ...

    @property
    def learning_rate(self) -> float:
        """The highest rate."""
        ...

    @property
    def momentum(self) -> float:
        """Of SGD."""
        ...

    @property
    def weight_decay(self) -> float:
        """On matrices and kernels."""
        ...


def make_optimizer(model: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Return the optimiser over the parameters that learn; biases, norms and other vectors do not decay."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.learning_rate)
    momentum = settings.momentum
    return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=momentum, nesterov=momentum > 0)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def optimizer_arrays(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, np.ndarray]:
    """Return the optimiser's state as arrays named "parameter|quantity"."""
    return {
        f"{name}|{quantity}": value.detach().cpu().numpy()
        for name, parameter in model.named_parameters()
        for quantity, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, torch.Tensor)
    }


def restore_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, arrays: dict[str, np.ndarray]) -> None:
    """Put the state that `optimizer_arrays` gave back into an optimiser over a model of the same names."""
    parameters = dict(model.named_parameters())
    for key, array in arrays.items():
        name, _, quantity = key.rpartition("|")
        parameter = parameters[name]
        value = torch.from_numpy(array.copy())
        # A step count stays on the CPU, where the optimiser makes it; running averages lie beside their parameter.
        optimizer.state[parameter][quantity] = value if value.ndim == 0 else value.to(parameter.device)
