"""Cutting channels out of layers: the right ones, with all their tensors and sizes, in a copy."""

import copy

import pytest
import torch
from compression_nets import randomise_norms
from torch import nn

from ncapps.compression.surgery import fit_sizes, shrink, shrunk_copy, zeroed_copy
from ncapps.compression.widths import InnerWidth

WIDTH = InnerWidth(producer="0", coupled=("1", "3"), consumer="5", channels=6)
KEPT = [4, 0, 3]


@pytest.fixture
def model():
    layers = (
        nn.Conv2d(3, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, groups=6),
        nn.ReLU(),
        nn.Conv2d(6, 4, 1),
    )
    return randomise_norms(nn.Sequential(*layers)).eval()


def test_every_tensor_of_the_width_keeps_the_same_channels_ascending(model):
    small = shrunk_copy(model, [WIDTH], [KEPT])
    for name, tensor in small.state_dict().items():
        dense = model.state_dict()[name]
        if name == "5.weight":
            dense = dense[:, [0, 3, 4]]
        elif dense.ndim and not name.startswith("5"):
            dense = dense[[0, 3, 4]]
        assert torch.equal(tensor, dense), name
    assert (small[0].out_channels, small[1].num_features, small[5].in_channels) == (3, 3, 3)
    assert (small[3].in_channels, small[3].out_channels, small[3].groups) == (3, 3, 3)


def test_shrunk_and_zeroed_say_the_same_and_the_model_stays(model):
    before = copy.deepcopy(model.state_dict())
    images = torch.randn(2, 3, 8, 8)
    small, zeroed = shrunk_copy(model, [WIDTH], [KEPT]), zeroed_copy(model, [WIDTH], [KEPT])
    with torch.no_grad():
        assert torch.allclose(small(images), zeroed(images), atol=1e-6)
        assert not torch.allclose(zeroed(images), model(images), atol=1e-3)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_shrinking_keeps_parameters_parameters_and_frozen_ones_frozen(model):
    model[0].weight.requires_grad_(False)
    shrink(model, WIDTH, KEPT)
    assert len(list(model.parameters())) == 8
    assert not model[0].weight.requires_grad
    assert model[5].weight.requires_grad


def test_sizes_are_read_off_the_tensors():
    linear = nn.Linear(4, 3)
    linear.weight = nn.Parameter(torch.zeros(2, 7))
    fit_sizes(linear)
    assert (linear.in_features, linear.out_features) == (7, 2)
