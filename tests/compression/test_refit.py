"""Refitting: which layers belong together, which images are looked at, and that the solution is the layer's own."""

import pytest
import torch
from torch import nn

from ncapps.compression import refit
from ncapps.compression.calibration import Calibration
from ncapps.compression.passes import Pass
from ncapps.compression.probe import Branch, probe
from ncapps.compression.refit import Refitter, Stop, chains_of, depthwise_stride
from ncapps.compression.visits import Visit
from ncapps.compression.widths import InnerWidth


def test_a_chain_holds_the_layers_of_a_width_in_order():
    layers = [nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 3, 1)]
    model = nn.Sequential(*layers, nn.Conv2d(3, 2, 1)).eval()
    widths = [
        InnerWidth(producer="0", coupled=("2", "1"), consumer="3", channels=4),
        InnerWidth(producer="3", coupled=(), consumer="4", channels=3),
    ]
    found = probe(model, torch.randn(2, 3, 9, 9), widths)
    chains = chains_of(found, found.widths)
    assert chains.before == {"1": ("0",), "2": ("0", "1"), "3": ("0", "1", "2"), "4": ("3",)}
    assert chains.writers == {"0", "1", "2", "3"}
    assert chains.consumers == {"3", "4"}
    assert chains_of(found, found.widths[1:]).before == {"4": ("3",)}


@pytest.mark.parametrize("stride", [1, 3, 7])
@pytest.mark.parametrize("sizes", [(10,), (4, 4, 2), (1, 2, 7)])
def test_every_nth_image_is_the_same_whatever_the_batches(stride, sizes):
    images = torch.arange(10)
    for offset in range(stride + 2):
        got = torch.cat(refit._every(images.split(sizes), stride, offset))
        assert got.tolist() == list(range(offset % stride, 10, stride))


@pytest.mark.parametrize("norm", [False, True])
@torch.no_grad()
def test_a_layer_is_found_again_and_its_output_corrected(norm):
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), *([nn.BatchNorm1d(4)] if norm else [])).eval()
    inputs = torch.randn(60, 5, generator=generator)
    truth = torch.randn(6, 4, generator=generator)
    target = inputs @ truth[:5] + truth[5]
    branch = Branch(layer="0", norm="1" if norm else None, joins=False)
    images = Calibration(images=inputs, labels=None, batch_size=25)
    one = Pass(branches=(branch,), calibration=images, views=1)
    found = probe(model, inputs[:2], [])
    stops = [
        Stop(visit=Visit(branch=branch, inputs=some, output=model[0](some), shortcut=None), segments={})
        for some in inputs.split(25)
    ]
    Refitter(model, chains_of(found, []), one, rounds=2).refit(stops, list(target.split(25)))
    assert torch.allclose(model(inputs), target, atol=2e-2)
    assert torch.allclose(torch.cat([stop.visit.output for stop in stops]), model[0](inputs))
    if norm:
        assert torch.allclose(model.state_dict()["1.running_mean"], model[0](inputs).mean(0), atol=1e-4)


@pytest.mark.parametrize("images", [1, 100, 256, 512, 1024, 1536, 2048, 4000])
def test_a_depthwise_filter_sees_images_of_both_halves(images):
    stride = depthwise_stride(images)
    chosen = torch.arange(images)[::stride]
    assert len(chosen) >= min(images, 128)
    assert images < 2 or len({int(place) % 2 for place in chosen}) == 2
