from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ncapps.training.optimizer import make_optimizer, optimizer_arrays, restore_optimizer
from ncapps.training.settings import TrainSettings


def test_norms_and_biases_do_not_decay():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    decay = {
        id(parameter): group["weight_decay"]
        for group in make_optimizer(model, TrainSettings(weight_decay=0.1)).param_groups
        for parameter in group["params"]
    }
    assert {name: decay[id(parameter)] for name, parameter in model.named_parameters()} == {
        "0.weight": 0.1,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
        "3.weight": 0.1,
        "3.bias": 0.0,
    }


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_restored_optimizer_takes_the_same_next_step(name):
    settings = TrainSettings(optimizer=name)
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    optimizer = make_optimizer(model, settings)
    batch = torch.randn(6, 4)
    _step(model, optimizer, batch)
    twin = copy.deepcopy(model)
    other = make_optimizer(twin, settings)
    restore_optimizer(twin, other, optimizer_arrays(model, optimizer))
    _step(model, optimizer, batch)
    _step(twin, other, batch)
    assert torch.equal(model.weight, twin.weight)
    assert torch.equal(model.bias, twin.bias)


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: torch.Tensor) -> None:
    optimizer.zero_grad()
    model(batch).square().sum().backward()
    optimizer.step()
