"""Least squares takes back what cutting lost, wherever that depends linearly on what is left."""

import copy

import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps.compression.calibration import Calibration
from ncapps.compression.probe import probe
from ncapps.compression.repair import repair
from ncapps.compression.surgery import shrunk_copy
from ncapps.compression.widths import InnerWidth, find_inner_widths


def test_a_channel_that_depends_linearly_on_the_others_is_rebuilt():
    """Inside, channel 5 is 2 * channel 0 - channel 3 + 1; there is no activation, so that nothing is lost."""
    model = nn.Sequential(nn.Linear(8, 6), nn.Identity(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    with torch.no_grad():
        for layer in (model[0], model[2], model[4]):
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(0)))
        model[0].weight[5] = 2 * model[0].weight[0] - model[0].weight[3]
        model[0].bias[5] = 2 * model[0].bias[0] - model[0].bias[3] + 1
    images = torch.randn(400, 8, generator=torch.Generator().manual_seed(1))
    width = InnerWidth(producer="0", coupled=(), consumer="2", channels=6)
    found = probe(model, images[:2], [width])
    small = shrunk_copy(model, found.widths, [range(5)])
    with torch.no_grad():
        dense, cut = model(images), small(images)
        repair(small, model, found, [range(5)], Calibration(images=images, labels=None, batch_size=150), views=1)
        repaired = small(images)
    assert (cut - dense).norm() > 0.1 * dense.norm()
    assert (repaired - dense).norm() < 0.01 * dense.norm()


def test_a_refitted_norm_holds_the_statistics_of_what_it_reads():
    model = randomise_norms(TinyResNet(blocks=1, channels=8)).eval()
    images = torch.randn(40, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = probe(model, images[:2], find_inner_widths(model, images[:2]))
    small = shrunk_copy(model, found.widths, [range(5)])
    before = copy.deepcopy(model.state_dict())
    repair(small, model, found, [range(5)], Calibration(images=images, labels=None, batch_size=16), views=1)
    block = small.blocks[0]
    with torch.no_grad():
        read = block.conv2(block.bn1(block.conv1(small.bn(small.stem(images)).relu())).relu())
    assert torch.allclose(block.bn2.running_mean, read.mean((0, 2, 3)), atol=1e-4)
    assert torch.allclose(block.bn2.running_var, read.var((0, 2, 3), correction=0), rtol=1e-3)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(small.stem.weight, model.stem.weight), "only the width's layers are refitted"


def inverted_residual():
    """Expand, depthwise, project, as MobileNetV2 has it, between a stem and a head."""
    layers = (
        nn.Conv2d(3, 8, 1),
        nn.ReLU6(),
        nn.Conv2d(8, 12, 1, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU6(),
        nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU6(),
        nn.Conv2d(12, 6, 1),
        nn.ReLU(),
        nn.Conv2d(6, 4, 1),
    )
    return randomise_norms(nn.Sequential(*layers)).eval()


def repaired(images, *, seed=0, **settings):
    model = inverted_residual()
    width = InnerWidth(producer="2", coupled=("3", "5", "6"), consumer="8", channels=12)
    found = probe(model, images[:2], [width])
    kept = [range(7)]
    small = shrunk_copy(model, found.widths, kept)
    calibration = Calibration(images=images, labels=None, batch_size=settings.pop("batch_size", 16))
    repair(small, model, found, kept, calibration, seed=seed, **{"views": 1, **settings})
    return model, small


def error_of(pair, images):
    model, small = pair
    return float((small[:9](images) - model[:9](images)).square().mean())


@torch.no_grad()
def test_all_three_layers_of_an_inverted_residual_are_refitted_and_other_images_gain():
    images = torch.randn(60, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    others = torch.randn(60, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    least_squares, refined = (repaired(images, rounds=rounds) for rounds in (0, 3))
    for name in ("2.weight", "5.weight", "8.weight"):
        assert not torch.equal(least_squares[1].state_dict()[name], refined[1].state_dict()[name]), name
    assert error_of(refined, others) < 0.8 * error_of(least_squares, others)
    norm = refined[1][6]
    read = refined[1][:6](images)
    assert torch.allclose(norm.running_mean, read.mean((0, 2, 3)), atol=0.1)


@torch.no_grad()
def test_the_size_of_the_batches_does_not_matter():
    images = torch.randn(30, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    whole, parts = (repaired(images, batch_size=size)[1](images) for size in (30, 7))
    assert torch.allclose(whole, parts, atol=1e-3 * float(whole.abs().max()))


@torch.no_grad()
def test_a_depthwise_convolution_behind_other_channels_says_what_the_dense_one_says():
    layers = (
        nn.Conv2d(3, 8, 1),
        nn.ReLU(),
        nn.Conv2d(8, 12, 1),
        nn.ReLU(),
        nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False),
        nn.ReLU(),
        nn.Conv2d(12, 6, 1),
    )
    model = randomise_norms(nn.Sequential(*layers)).eval()
    images = torch.randn(30, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    first = InnerWidth(producer="0", coupled=(), consumer="2", channels=8)
    second = InnerWidth(producer="2", coupled=("4",), consumer="6", channels=12)
    found = probe(model, images[:2], [first, second])
    kept = [range(2), range(7)]
    small = shrunk_copy(model, found.widths, kept)
    repair(small, model, found, kept, Calibration(images=images, labels=None, batch_size=16), views=1, rounds=0)
    got, wanted = small[:5](images), model[:5](images)[:, :7]
    assert small[4].bias is not None
    assert torch.allclose(got.mean((0, 2, 3)), wanted.mean((0, 2, 3)), atol=0.05)
    # The least-squares filter leaves an error that is orthogonal to what it says.
    centred = got - got.mean((0, 2, 3), keepdim=True)
    assert float((centred * (wanted - got)).mean().abs()) < 1e-2
