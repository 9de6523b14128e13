"""Sharing a budget out: met, as little as needed, cheapest first, and a clear line where it is out of reach."""

import itertools

import numpy as np
import pytest

from ncapps.compression.allocation import allocate, uniform
from ncapps.compression.elimination import Ranking
from ncapps.compression.macs import CostModel, LayerCost

CHANNELS = [8, 8]


def ranking(losses):
    return Ranking(order=tuple(range(len(losses) - 1)), losses=np.asarray(losses, dtype=float))


def cost():
    """Two widths of 400 operations each, and 200 that nothing changes."""
    layers = [LayerCost(macs=400.0, widths=(0,)), LayerCost(macs=400.0, widths=(1,))]
    return CostModel(1000, layers, CHANNELS)


CHEAP, DEAR = ranking(np.arange(8) ** 2), ranking(10 * np.arange(8) ** 2)


@pytest.mark.parametrize("macs", [0.95, 0.7, 0.5, 0.31])
def test_the_target_is_met_and_one_channel_more_would_miss_it(macs):
    kept = allocate([CHEAP, DEAR], [1.0, 1.0], CHANNELS, cost(), macs)
    assert macs - 0.05 < cost()(kept) / 1000 <= macs


def test_a_lower_target_never_keeps_more():
    kept = [allocate([CHEAP, DEAR], [1.0, 1.0], CHANNELS, cost(), macs) for macs in np.linspace(0.3, 1.0, 15)]
    assert all(a <= b for low, high in itertools.pairwise(kept) for a, b in zip(low, high, strict=True))
    assert kept[-1] == CHANNELS


def test_the_least_loss_is_that_of_every_combination():
    """With convex curves and layers of equal cost, greedy is optimal: counted out over all combinations."""
    for macs in (0.9, 0.6, 0.4):
        kept = allocate([CHEAP, DEAR], [1.0, 1.0], CHANNELS, cost(), macs)
        losses = {
            (a, b): CHEAP.losses[8 - a] + DEAR.losses[8 - b]
            for a in range(1, 9)
            for b in range(1, 9)
            if cost()([a, b]) <= macs * 1000
        }
        assert losses[tuple(kept)] == min(losses.values())


def test_losses_count_in_units_of_the_streams_energy():
    even = allocate([CHEAP, DEAR], [1.0, 10.0], CHANNELS, cost(), 0.6)
    assert even == [4, 4]


def test_a_flat_stretch_behind_a_hump_is_seen_through_the_hull():
    """Removing one channel of the first costs 5, removing six costs 6: together they are cheaper than 2 a channel."""
    hump, line = ranking([0, 5, 6, 6, 6, 6, 6, 60]), ranking(2 * np.arange(8))
    assert allocate([hump, line], [1.0, 1.0], CHANNELS, cost(), 0.7) == [2, 8]


def test_where_savings_come_in_steps_only_whole_steps_are_cut():
    """One channel fewer saves nothing in the first width, but four save as much as in the second, at half the loss."""
    steps, smooth = tuple(-(-kept // 4) / 2 for kept in range(9)), tuple(kept / 8 for kept in range(9))
    layers = [LayerCost(macs=500.0, widths=(i,), shares=(curve,)) for i, curve in enumerate((steps, smooth))]
    curves = [ranking(np.arange(8)), ranking(2 * np.arange(8))]
    assert allocate(curves, [1.0, 1.0], CHANNELS, CostModel(1000.0, layers, CHANNELS), 0.75) == [4, 8]


def test_the_least_of_all_is_no_further_than_the_least():
    """A target that is the least up to rounding ends there."""
    assert allocate([CHEAP, DEAR], [1.0, 1.0], CHANNELS, cost(), 0.3 * (1 - 1e-15)) == [1, 1]


@pytest.mark.parametrize("target", [0.9, 0.6, 0.4])
def test_uniform_takes_the_same_fraction_of_all(target):
    kept = uniform([16, 64], [1, 4], wide_cost(), target)
    assert kept[1] - 4 < 4 * kept[0] <= kept[1] + 4
    assert target - 0.05 < wide_cost()(kept) / 1000 <= target


def wide_cost():
    return CostModel(1000, [LayerCost(macs=400.0, widths=(0,)), LayerCost(macs=600.0, widths=(1,))], [16, 64])
