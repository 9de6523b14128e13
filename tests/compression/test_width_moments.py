"""Moments are the im2col product written out, the same for any batch size."""

import dataclasses

import numpy as np
import pytest
import torch
from compression_nets import TinyResNet, randomise_norms
from torch.nn import functional as F

from ncapps.compression.calibration import gather
from ncapps.compression.moments import bias_and_weight, collect_moments, wide_type
from ncapps.compression.probe import probe
from ncapps.compression.widths import find_inner_widths
from ncapps.errors import InputError


@pytest.fixture
def images():
    return torch.randn(10, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    return randomise_norms(TinyResNet(blocks=2, channels=8)).eval()


def collect(model, images, batch_size=4, labels=None):
    calibration = gather(images, labels, limit=99, batch_size=batch_size, seed=0)
    found = probe(model, images[:2], find_inner_widths(model, images[:2]))
    return [moments for (moments,) in collect_moments(model, found, calibration, least=0.3, progress=False)]


def test_they_are_the_products_written_out(model, images):
    first = collect(model, images, labels=list("abcdefghij"))[0]
    block = model.blocks[0]
    with torch.no_grad():
        stream = model.bn(model.stem(images)).relu()
        inside = block.bn1(block.conv1(stream)).relu()
        joined = block.bn2(block.conv2(inside)) + stream
        # The maps have 8 x 8 = 64 positions, so that all are taken.
        columns = F.unfold(inside, 3, padding=1).transpose(1, 2).reshape(-1, 72).double()
    columns = torch.cat([columns, torch.ones(len(columns), 1)], dim=1)
    assert torch.allclose(first.gram, columns.T @ columns / len(columns), atol=1e-6)
    np.testing.assert_allclose(first.activity, inside.mean((2, 3)), atol=1e-5)
    assert first.energy == pytest.approx(float(joined.square().sum(dim=1).mean()), rel=1e-5)
    assert torch.equal(first.producer_weight, block.conv1.weight.flatten(1))
    assert first.labels.tolist() == list("abcdefghij")
    assert (first.taps, first.least_width) == (9, 3)


def test_weight_is_in_units_of_the_branchs_output(model, images):
    found = probe(model, images[:2], find_inner_widths(model, images[:2]))
    block = model.blocks[1]
    inputs = torch.randn(1, 8, 3, 3)
    with torch.no_grad():
        expected = block.bn2(F.conv2d(inputs, block.conv2.weight)).flatten()
    row = torch.cat([inputs.flatten(), torch.ones(1)]).double()
    got = row @ bias_and_weight(dict(model.named_modules()), found.branches[1])
    assert torch.allclose(got.float(), expected, atol=1e-5)


def test_the_batch_size_does_not_matter(model, images):
    for one, other in zip(collect(model, images, 10), collect(model, images, 3), strict=True):
        assert torch.allclose(one.gram, other.gram, atol=1e-6)
        assert one.energy == pytest.approx(other.energy, rel=1e-6)
        np.testing.assert_allclose(one.activity, other.activity, atol=1e-6)


def test_activations_that_are_not_finite_are_refused(model, images):
    model.blocks[1].bn1.bias.data[0] = float("inf")
    with pytest.raises(InputError, match=r"activations at blocks\.1\.conv2 are not finite"):
        collect(model, images)


def test_sums_are_float64_where_the_device_has_it(model, images):
    assert wide_type(torch.device("cpu")) is torch.float64
    assert wide_type(torch.device("mps")) is torch.float32
    moments = dataclasses.asdict(collect(model, images)[0])
    assert {moments[name].dtype for name in ("gram", "weight")} == {torch.float64}
