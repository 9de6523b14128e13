"""Each importance by itself, on moments made by hand: which channel goes first, and why."""

import numpy as np
import pytest
import torch
from compression_moments import moments_of

from ncapps.compression.elimination import eliminate
from ncapps.compression.importance.fisher import rank_by_fisher
from ncapps.compression.importance.l1 import rank_by_l1
from ncapps.compression.importance.obs import rank_by_obs
from ncapps.compression.importance.random_order import rank_at_random
from ncapps.compression.importance.wanda import rank_by_wanda
from ncapps.errors import InputError

CHANNELS = 6


@pytest.fixture
def inputs():
    return np.random.default_rng(0).normal(size=(120, CHANNELS))


@pytest.fixture
def weight():
    return np.random.default_rng(1).normal(size=(CHANNELS, 3))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_l1_looks_at_the_weights_that_write_alone(inputs, weight, rng):
    written = torch.tensor([[3.0, -3.0], [1.0, 0.0], [0.0, -5.0], [2.0, 0.0], [-4.0, 0.0], [0.5, 0.0]])
    assert rank_by_l1(moments_of(inputs, weight, producer_weight=written), rng).order == (5, 1, 3, 4, 2)


def test_wanda_is_weight_times_root_mean_square(inputs, weight, rng):
    scale = np.array([1.0, 10.0, 0.1, 3.0, 0.3, 30.0])
    scaled = inputs * scale
    scores = np.abs(weight).sum(axis=1) * np.sqrt((scaled**2).mean(axis=0))
    expected = tuple(np.argsort(scores)[: CHANNELS - 1].tolist())
    assert rank_by_wanda(moments_of(scaled, weight), rng).order == expected
    # It does not change with the share of a channel's size that lies in its weight.
    assert rank_by_wanda(moments_of(inputs, weight * scale[:, None]), rng).order == expected


def test_wanda_adds_up_the_taps_of_a_channel(rng):
    inputs = np.ones((10, 4))
    weight = np.array([[1.0], [1.0], [1.8], [0.0]])
    width = moments_of(inputs[:, ::2], weight[::2]).width
    assert rank_by_wanda(moments_of(inputs, weight, width=width, taps=2), rng).order == (1,)


def test_fisher_drops_what_does_not_tell_classes_apart_first(inputs, weight, rng):
    labels = np.arange(len(inputs)) % 2
    distances = np.array([4.0, 0.0, 2.0, 8.0, 1.0, 16.0])
    activity = (inputs * 0.1 + labels[:, None] * distances).astype(np.float32)
    order = rank_by_fisher(moments_of(inputs, weight, activity=activity, labels=labels), rng).order
    assert order == (1, 4, 2, 0, 3)


def test_fisher_does_not_change_with_a_channels_unit_or_zero(inputs, weight, rng):
    labels = np.arange(len(inputs)) % 3
    activity = inputs + labels[:, None] * np.arange(CHANNELS)
    orders = {
        rank_by_fisher(moments_of(inputs, weight, activity=a.astype(np.float32), labels=labels), rng).order
        for a in (activity, activity * [1, 2, 3, 4, 5, 6] + 7)
    }
    assert len(orders) == 1


@pytest.mark.parametrize(("labels", "words"), [(None, "needs the labels"), (np.array(["a"] * 120), "are of 'a'")])
def test_fisher_needs_two_classes(inputs, weight, rng, labels, words):
    with pytest.raises(InputError, match=words):
        rank_by_fisher(moments_of(inputs, weight, labels=labels), rng)


def test_obs_is_the_greedy_elimination_and_sees_copies_that_wanda_does_not(inputs, weight, rng):
    inputs[:, 2] = inputs[:, 0] + 1e-3 * inputs[:, 2]
    weight[[0, 2]] *= 5
    moments = moments_of(inputs, weight)
    ranking = rank_by_obs(moments, rng)
    assert ranking.order == eliminate(moments).order
    assert ranking.order[0] in (0, 2)
    assert rank_by_wanda(moments, rng).order[0] not in (0, 2)


def test_random_repeats_with_its_generator_and_reaches_every_channel(inputs, weight):
    moments = moments_of(inputs, weight)
    orders = [rank_at_random(moments, np.random.default_rng(seed)).order for seed in (*range(40), 0)]
    assert orders[0] == orders[-1]
    assert {order[0] for order in orders} == set(range(CHANNELS))
