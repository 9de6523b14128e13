"""Block optimal brain surgeon against least squares written out."""

import itertools

import numpy as np
import pytest
import torch
from compression_moments import moments_of

from ncapps.compression.elimination import eliminate, ridged

RIDGE = 1e-9


def problem(channels=5, seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(200, channels)) @ rng.normal(size=(channels, channels)) + rng.normal(size=channels)
    return inputs, rng.normal(size=(channels, 3))


def loss_without(inputs, weight, gone):
    """Mean squared error of the best affine rebuilding of the output from the channels that are left."""
    left = [c for c in range(inputs.shape[1]) if c not in gone]
    design = np.concatenate([inputs[:, left], np.ones((len(inputs), 1))], axis=1)
    target = inputs @ weight
    rebuilt = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return ((rebuilt - target) ** 2).sum(axis=1).mean()


@pytest.mark.parametrize("seed", range(3))
def test_each_greedy_step_is_the_best_one_by_brute_force(seed):
    inputs, weight = problem(seed=seed)
    ranking = eliminate(moments_of(inputs, weight), ridge=RIDGE)
    assert len(ranking.order) == 4
    for step, channel in enumerate(ranking.order):
        gone = ranking.order[:step]
        costs = {c: loss_without(inputs, weight, {*gone, c}) for c in range(5) if c not in gone}
        assert channel == min(costs, key=costs.__getitem__)
        assert ranking.losses[step + 1] == pytest.approx(costs[channel], rel=1e-4)


def test_the_losses_of_a_given_order_are_those_of_least_squares():
    inputs, weight = problem()
    for order in itertools.islice(itertools.permutations(range(5)), 0, None, 17):
        ranking = eliminate(moments_of(inputs, weight), order, ridge=RIDGE)
        assert ranking.order == order[:4]
        expected = [0.0, *(loss_without(inputs, weight, order[: k + 1]) for k in range(4))]
        np.testing.assert_allclose(ranking.losses, expected, rtol=1e-4, atol=1e-6)


def test_kernel_taps_of_a_channel_go_together():
    rng = np.random.default_rng(0)
    inputs, weight = rng.normal(size=(300, 6)), rng.normal(size=(6, 2))
    weight[2:4] *= 0.01
    width = moments_of(inputs[:, ::2], weight[::2]).width
    ranking = eliminate(moments_of(inputs, weight, width=width, taps=2), ridge=RIDGE)
    assert ranking.order[0] == 1
    assert ranking.losses[1] == pytest.approx(loss_without(inputs, weight, {2, 3}), rel=1e-4)


def test_a_channel_that_others_rebuild_goes_first_and_costs_nothing():
    inputs, weight = problem()
    inputs[:, 3] = 2 * inputs[:, 0] - inputs[:, 1] + 5
    ranking = eliminate(moments_of(inputs, weight), ridge=1e-10)
    assert ranking.order[0] in {0, 1, 3}
    assert ranking.losses[1] < 1e-6 * ranking.losses[-1]


def test_many_channels_go_in_steps_down_to_the_least_width():
    rng = np.random.default_rng(0)
    ranking = eliminate(moments_of(rng.normal(size=(400, 150)), rng.normal(size=(150, 2)), least=9))
    assert len(ranking.order) == len(set(ranking.order)) == 141
    assert len(ranking.losses) == 142
    assert (np.diff(ranking.losses) >= 0).all()


def test_ridge_is_a_fraction_of_the_mean_diagonal_and_spares_the_constant():
    gram = torch.diag(torch.tensor([1.0, 3.0, 7.0], dtype=torch.float64))
    assert torch.allclose(ridged(gram, 0.5).diagonal(), torch.tensor([2.0, 4.0, 7.0], dtype=torch.float64))
