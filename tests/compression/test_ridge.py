"""Ridge towards a prior: least squares where the images say enough, the prior where they say nothing."""

import pytest
import torch
from torch import nn

from ncapps.compression.ridge import RIDGES, normal_equations, solve_towards
from ncapps.compression.sampling import RowSampler


def halves(rows, noise, seed=0, fan_in=6):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randn(fan_in + 1, 3, generator=generator, dtype=torch.float64)
    found = []
    for _ in range(2):
        inputs = torch.randn(rows, fan_in, generator=generator, dtype=torch.float64)
        columns = torch.cat([inputs, inputs.new_ones(rows, 1)], dim=1)
        wanted = columns @ truth + noise * torch.randn(rows, 3, generator=generator, dtype=torch.float64)
        found.append((columns.T @ columns / rows, columns.T @ wanted / rows))
    return truth, found


@pytest.mark.parametrize("prior", [0.0, 5.0])
def test_enough_clean_images_give_the_truth_from_any_prior(prior):
    truth, both = halves(4000, 0.01)
    _, weight = solve_towards(torch.full_like(truth, prior), both)
    assert (weight - truth).abs().max() < 0.02


def test_a_good_prior_beats_few_noisy_images():
    truth, both = halves(30, 5.0, fan_in=20)
    prior = truth + 0.01
    _, weight = solve_towards(prior, both)
    gram, cross = ((a + b) / 2 for a, b in zip(*both, strict=True))
    plain = torch.linalg.solve(gram, cross)
    assert (weight - truth)[:-1].norm() < 0.5 * (plain - truth)[:-1].norm()


def test_the_moment_is_that_of_all_images_and_the_order_of_the_halves_does_not_matter():
    truth, (one, other) = halves(50, 1.0)
    gram, weight = solve_towards(0 * truth, (one, other))
    assert torch.equal(gram, (one[0] + other[0]) / 2)
    assert torch.allclose(weight, solve_towards(0 * truth, (other, one))[1])
    assert list(RIDGES) == sorted(RIDGES)


def test_normal_equations_are_the_products_written_out():
    layer, inputs, wanted = nn.Linear(4, 2), torch.randn(10, 4), torch.randn(10, 2)
    first = torch.arange(10) % 3 == 0
    batches = [tuple(one.split(4)) for one in (inputs, wanted, first)]
    found = normal_equations(RowSampler.for_output(layer, wanted), *batches)
    columns = torch.cat([inputs, torch.ones(10, 1)], dim=1).double()
    for (gram, cross), mask in zip(found, (first, ~first), strict=True):
        assert torch.allclose(gram, columns[mask].T @ columns[mask] / mask.sum(), atol=1e-6)
        assert torch.allclose(cross, columns[mask].T @ wanted[mask].double() / mask.sum(), atol=1e-6)


@torch.no_grad()
def test_a_depthwise_convolution_is_found_again_channel_by_channel():
    layer = nn.Conv2d(5, 5, 3, padding=1, groups=5)
    inputs = torch.randn(12, 5, 9, 9, generator=torch.Generator().manual_seed(0))
    wanted = layer(inputs)
    halves = normal_equations(RowSampler.for_output(layer, wanted), [inputs], [wanted], [torch.arange(12) % 2 == 0])
    gram, weight = solve_towards(torch.zeros(5, 10, 1, dtype=torch.float64), halves)
    assert gram.shape == (5, 10, 10)
    assert torch.allclose(weight[:, :9, 0].float(), layer.weight.flatten(1), atol=5e-3)
    assert torch.allclose(weight[:, 9, 0].float(), layer.bias, atol=5e-3)


def test_a_half_without_images_counts_for_nothing():
    truth, (one, other) = halves(200, 0.01)
    empty = tuple(torch.zeros_like(part) for part in other)
    gram, weight = solve_towards(0 * truth, (one, empty))
    assert torch.equal(gram, one[0])
    assert (weight - truth).abs().max() < 0.02


def test_batches_without_images_change_nothing():
    layer, inputs, wanted = nn.Linear(4, 2), torch.randn(10, 4), torch.randn(10, 2)
    first = torch.arange(10) % 2 == 0
    sampler = RowSampler.for_output(layer, wanted)
    found = normal_equations(sampler, [inputs[:0], inputs], [wanted[:0], wanted], [first[:0], first])
    for half, same in zip(found, normal_equations(sampler, [inputs], [wanted], [first]), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(half, same, strict=True))
