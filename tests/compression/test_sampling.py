"""Sampled rows: columns times weight are the layer's outputs at the same places, whatever the geometry."""

import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn
from torch.nn import functional as F

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


@pytest.mark.parametrize("layer", [nn.Conv2d(2, 1, 1), nn.Linear(2, 1)], ids=str)
def test_in_turn_each_position_comes_equally_often(layer):
    shape = (72, 1, 4, 6) if isinstance(layer, nn.Conv2d) else (72, 24, 1)
    places = torch.arange(24.0).reshape(shape[1:]).expand(shape)
    sampler = RowSampler.for_output(layer, places, positions=4)
    assert sampler.step > 1
    seen = torch.cat([grid.outputs(places[mask]).flatten() for grid, mask in sampler.turns(places)])
    assert set(torch.bincount(seen.long(), minlength=24).tolist()) == {len(seen) // 24}


def test_what_is_read_of_an_image_does_not_depend_on_the_batch():
    output = torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    sampler = RowSampler.for_output(nn.Conv2d(3, 3, 1), output, positions=4)

    def rows(batch, seen):
        return [grid.outputs(batch[mask]) for grid, mask in sampler.turns(batch, seen)]

    together = torch.cat(rows(output, 0))
    apart = torch.cat([row for start in (0, 7, 14) for row in rows(output[start : start + 7], start)])
    assert torch.equal(together.sort(dim=0).values, apart.sort(dim=0).values)
    assert not rows(output[:0], 0)


@pytest.mark.parametrize("groups", [1, 4])
@torch.no_grad()
def test_the_input_moment_is_that_of_all_positions_the_border_too(groups):
    layer = nn.Conv2d(4, 4, 3, padding=1, groups=groups)
    inputs = torch.randn(6, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    found = RowSampler.for_output(layer, layer(inputs)).input_moment(inputs, layer(inputs))
    patches = F.unfold(inputs, 3, padding=1).transpose(1, 2).reshape(150, 4, 9)
    parts = patches.transpose(0, 1) if groups > 1 else patches.reshape(1, 150, 36)
    columns = F.pad(parts, (0, 1), value=1.0)
    assert torch.allclose(found, (columns.mT @ columns / 150).reshape(found.shape), atol=1e-4)
