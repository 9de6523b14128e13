import copy

import pytest
import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn
from torch.nn import functional as F

from ncapps.compression import quantize_weights
from ncapps.compression.calibration import gather
from ncapps.compression.layer_moments import layer_moments
from ncapps.compression.rounding import absorbing, level_scales, nearest
from ncapps.errors import InputError


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return F.interpolate(torch.randn(96, 3, 4, 4, generator=generator), size=16, mode="bilinear")


@pytest.fixture(scope="module")
def model():
    return randomise_norms(TinyResNet()).eval()


def error_of(model, rough, images):
    with torch.no_grad():
        expected = model(images)
        return float((rough(images) - expected).norm() / expected.norm())


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("absorb", [False, True])
def test_every_row_has_its_levels_and_the_model_is_untouched(model, images, bits, absorb):
    before = copy.deepcopy(model.state_dict())
    rough = quantize_weights(model, bits, images if absorb else None)
    for name, layer in rough.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            rows = layer.weight.detach().flatten(1)
            steps = rows / level_scales(model.get_submodule(name).weight.detach().flatten(1), bits)
            assert torch.allclose(steps, steps.round(), atol=1e-3)
            assert steps.abs().max() <= 2 ** (bits - 1) - 1 + 1e-3
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))


def test_more_bits_cost_less_and_absorption_helps(model, images):
    """On images that the moments were not taken from."""
    few, new = images[:64], images[64:]
    plain = [error_of(model, quantize_weights(model, bits), new) for bits in (8, 6, 4, 3)]
    absorbed = [error_of(model, quantize_weights(model, bits, few), new) for bits in (8, 6, 4, 3)]
    assert plain == sorted(plain)
    assert absorbed == sorted(absorbed)
    assert all(a < 0.8 * b for a, b in zip(absorbed, plain, strict=True))


def test_scales_beat_the_largest_weight_for_few_bits():
    weight = torch.randn(16, 200, generator=torch.Generator().manual_seed(0))
    for bits in (2, 3, 4):
        usual = weight.abs().amax(dim=1, keepdim=True) / (2 ** (bits - 1) - 1)
        errors = [(nearest(weight, s, bits) - weight).square().sum() for s in (level_scales(weight, bits), usual)]
        assert errors[0] < errors[1]
    assert torch.equal(nearest(torch.zeros(2, 3), level_scales(torch.zeros(2, 3), 4), 4), torch.zeros(2, 3))


def test_uncorrelated_inputs_are_rounded_to_the_nearest_and_the_bias_takes_the_mean():
    """With a diagonal second moment but for the constant, no weight can stand in for another."""
    weight = torch.randn(1, 3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bias, scale = torch.zeros(1, 3, dtype=torch.float64), level_scales(weight, 3)
    moments = torch.eye(7, dtype=torch.float64)[None]
    rounded, new = absorbing(weight, bias, moments, scale, 3)
    assert torch.allclose(rounded, nearest(weight, scale, 3))
    assert torch.allclose(new, bias)
    # One input never changes: the bias takes its rounding error in full.
    moments[0, 2, 2] = moments[0, 2, 6] = moments[0, 6, 2] = 1.0
    moments[0, 2, 2] += 1e-9
    rounded, new = absorbing(weight, bias, moments, scale, 3)
    lost = (weight - rounded)[0, :, 2]
    assert torch.allclose(new[0], lost, rtol=0.05)


def test_the_bias_is_the_least_squares_one():
    """Whatever the rounding, no other bias gives less error."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(500, 8, generator=generator, dtype=torch.float64).abs()
    inputs = torch.cat([inputs, torch.ones(500, 1, dtype=torch.float64)], dim=1)
    moments = (inputs.T @ inputs / len(inputs))[None]
    weight = torch.randn(1, 4, 8, generator=generator, dtype=torch.float64)
    bias = torch.randn(1, 4, generator=generator, dtype=torch.float64)
    rounded, new = absorbing(weight, bias, moments, level_scales(weight, 3), 3)
    gap = inputs[:, :-1] @ (weight - rounded)[0].T + bias - new
    assert gap.mean(dim=0).abs().max() < 0.02 * gap.std()
    plain = inputs[:, :-1] @ (weight - nearest(weight, level_scales(weight, 3), 3))[0].T
    assert gap.square().mean() < 0.6 * plain.square().mean()


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_moments_are_those_of_the_columns_written_out(groups):
    layer = nn.Conv2d(6, 12, 3, padding=1, groups=groups)
    model = nn.Sequential(layer, nn.Flatten())
    images = torch.randn(5, 6, 4, 4)
    found = layer_moments(model, ["0"], gather(images, None, limit=9, batch_size=2, seed=0))["0"]
    columns = F.unfold(images, 3, padding=1).transpose(1, 2).reshape(80, groups, -1).double()
    columns = torch.cat([columns, torch.ones(80, groups, 1)], dim=2)
    expected = torch.einsum("ngi,ngj->gij", columns, columns) / 80
    assert torch.allclose(found, expected, atol=1e-6)


def test_grouped_and_odd_layers_come_through():
    class Odd(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(F.pad(x, (1, 1, 1, 1)))

    model = nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.Conv2d(8, 8, 3, groups=8), Odd(8, 4, 3), nn.Flatten()).eval()
    images = torch.randn(20, 4, 6, 6)
    rough = quantize_weights(model, 8, images)
    assert 0 < error_of(model, rough, images) < 0.02
    assert torch.equal(rough[2].bias, model[2].bias)


@pytest.mark.parametrize(
    ("model", "bits", "words"),
    [
        (nn.Flatten(), 4, "Flatten has no convolution or linear layer"),
        (nn.Linear(2, 2), 1, "bits must be 2 to 8, but 1 came"),
        (nn.Linear(2, 2), 9, "bits must be 2 to 8, but 9 came"),
    ],
)
def test_mistakes_get_one_line(model, bits, words):
    with pytest.raises(InputError, match=words):
        quantize_weights(model, bits)
