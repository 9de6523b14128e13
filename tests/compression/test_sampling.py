"""Sampled rows: columns times weight are the layer's outputs at the same places, whatever the geometry."""

import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

from ncapps.compression.sampling import RowSampler

LAYERS = [
    nn.Conv2d(3, 4, 3, padding=1),
    nn.Conv2d(3, 4, (3, 5), stride=2, padding=(0, 2)),
    nn.Conv2d(3, 4, 3, dilation=2, padding="same"),
    nn.Conv2d(3, 4, 2, padding="valid"),
    nn.Conv2d(3, 4, 1, stride=3),
    Conv2dSame(3, 4, 3, stride=2),
    Conv2dSame(3, 4, 5, stride=3),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("positions", [4, 20, 10_000])
def test_columns_times_weight_are_the_sampled_outputs(layer, positions):
    inputs = torch.randn(2, 3, 13, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        output = layer(inputs)
        sampler = RowSampler.for_output(layer, output, positions)
        rows, columns = sampler.outputs(output), sampler.columns(inputs)
        assert torch.allclose(columns @ layer.weight.flatten(1).T + layer.bias, rows, atol=1e-5)
    assert len(rows) <= 2 * max(positions, 1) * 2
    assert len(rows) == 2 * output[0, 0].numel() or positions < output[0, 0].numel()


@pytest.mark.parametrize("shape", [(2, 6), (2, 9, 6), (2, 3, 3, 6)])
def test_tokens_are_sampled_alike_at_input_and_output(shape):
    layer, inputs = nn.Linear(6, 4), torch.randn(shape)
    with torch.no_grad():
        output = layer(inputs)
        sampler = RowSampler.for_output(layer, output, positions=4)
        assert torch.allclose(layer(sampler.columns(inputs)), sampler.outputs(output), atol=1e-6)
    assert len(sampler.outputs(output)) == {2: 2, 3: 6, 4: 6}[len(shape)]


def test_the_grid_is_centred():
    output = torch.arange(81.0).reshape(1, 1, 9, 9)
    sampler = RowSampler(layer=nn.Conv2d(1, 1, 1), step=3)
    assert sampler.outputs(output).flatten().tolist() == [10, 13, 16, 37, 40, 43, 64, 67, 70]


@pytest.mark.parametrize("stride", [1, 2])
@torch.no_grad()
def test_taps_times_weight_are_a_depthwise_convolutions_outputs(stride):
    layer = nn.Conv2d(4, 4, 3, stride=stride, padding=1, groups=4)
    inputs = torch.randn(3, 4, 11, 10, generator=torch.Generator().manual_seed(0))
    output = layer(inputs)
    sampler = RowSampler.for_output(layer, output, positions=9)
    taps = sampler.taps(inputs)
    got = (taps * layer.weight.reshape(4, 1, 9)).sum(dim=2).T + layer.bias
    assert torch.allclose(got, sampler.outputs(output), atol=1e-5)
