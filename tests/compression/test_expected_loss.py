"""Losses as the repair is expected to leave them: never less than measured, except where layers are moved together."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps.compression import compress
from ncapps.compression.calibration import gather
from ncapps.compression.expected_loss import TOGETHER, after_repair, unseen_ratio
from ncapps.compression.preparation import prepare

IMAGES = torch.randn(40, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def ready():
    model = randomise_norms(TinyResNet()).eval()
    return prepare(model, gather(IMAGES, None, limit=40, batch_size=16, seed=0), time_limit=60, progress=False)


def moments_of(moments, rows, seed):
    """Return second moments of so many random rows of the size of some moments."""
    columns = torch.randn(rows, len(moments.gram), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    columns[:, -1] = 1.0
    return columns.T @ columns / rows


def test_the_fewer_the_rows_the_larger_the_loss_on_other_images(ready):
    moments = ready.moments[0]
    inputs = len(moments.gram)
    few, many = (
        unseen_ratio(moments, moments_of(moments, n, 0), moments_of(moments, n, 1), range(moments.width.channels // 2))
        for n in (3 * inputs, 100 * inputs)
    )
    assert 1.0 <= many < 1.1 < few


def test_the_ratio_is_that_of_least_squares_on_random_rows(ready):
    # To first order 1 - p/n of the true loss inside and 1 + p/n of it outside, n the rows of both halves.
    moments = ready.moments[0]
    removed = range(moments.width.channels // 2)
    rows = 10 * len(moments.gram)
    left = (moments.width.channels - len(removed)) * moments.taps + 1
    share = left / (2 * rows)
    found = unseen_ratio(moments, moments_of(moments, rows, 0), moments_of(moments, rows, 1), removed)
    assert found == pytest.approx((1 + share) / (1 - share), rel=0.05)


def test_the_ratio_is_1_where_both_halves_say_the_same_or_nothing_is_lost(ready):
    moments = ready.moments[0]
    assert unseen_ratio(moments, moments.gram, moments.gram, [0, 1]) == pytest.approx(1.0, abs=1e-6)
    still = replace(moments, weight=0 * moments.weight)
    assert unseen_ratio(still, moments_of(moments, 99, 0), moments_of(moments, 99, 1), [0]) == 1.0


@pytest.mark.parametrize(("count", "side", "together"), [(40, 16, False), (300, 32, True)])
def test_losses_of_layers_that_are_moved_together_are_halved_and_others_grow(count, side, together):
    images = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))
    model = randomise_norms(TinyResNet()).eval()
    ready = prepare(model, gather(images, None, limit=count, batch_size=64, seed=0), time_limit=60, progress=False)
    rankings = ready.rank("obs", 0)
    for before, after in zip(rankings, after_repair(ready, rankings), strict=True):
        assert after.order == before.order
        assert np.all(np.diff(after.losses) >= 0)
        if together:
            assert np.array_equal(after.losses, TOGETHER * before.losses)
        else:
            assert np.all(after.losses >= before.losses)
            assert after.losses[-1] > before.losses[-1]


def test_one_image_alone_has_no_halves_and_changes_nothing(ready):
    rankings = ready.rank("obs", 0)
    alone = replace(ready, calibration=replace(ready.calibration, images=IMAGES[:1], labels=None))
    assert after_repair(alone, rankings) == tuple(rankings)


@pytest.mark.parametrize("streams", [False, True])
def test_a_network_is_compressed_to_the_same_cost(streams):
    model = randomise_norms(TinyResNet()).eval()
    small = compress(model, IMAGES, macs=0.6, allocation="repaired", streams=streams, views=1, progress=False)
    assert 0.5 < small.report.macs_ratio <= 0.6
    assert isinstance(small.model, nn.Module)
    with torch.no_grad():
        assert torch.isfinite(small.model(IMAGES)).all()
