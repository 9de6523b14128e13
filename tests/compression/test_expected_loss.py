"""Losses as the repair is expected to leave them: never less than promised, but where layers are moved together."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps.compression import compress
from ncapps.compression.calibration import gather
from ncapps.compression.expected_loss import TOGETHER, after_repair, unseen_ratio
from ncapps.compression.passes import plan_passes
from ncapps.compression.preparation import prepare
from ncapps.compression.repair import fan_ins

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
    # Rows of a normal distribution: 1 - p/n of the true loss inside and 1 / (1 - p/n) of it outside, n of all rows.
    moments = ready.moments[0]
    removed = range(moments.width.channels // 2)
    rows = 10 * len(moments.gram)
    left = (moments.width.channels - len(removed)) * moments.taps + 1
    share = left / (2 * rows)
    found = unseen_ratio(moments, moments_of(moments, rows, 0), moments_of(moments, rows, 1), removed)
    assert found == pytest.approx((1 + share) / (1 - share), rel=0.05)


def test_nothing_removed_is_lost_nowhere(ready):
    moments = ready.moments[0]
    assert unseen_ratio(moments, moments.gram, moments.gram, ()) == pytest.approx(1.0, abs=1e-6)


def test_losses_of_layers_that_are_moved_together_are_halved_and_the_others_grow(ready):
    rankings = ready.rank("obs", 0)
    passes = plan_passes(ready.probe, ready.calibration, views=1, seed=0, inputs=fan_ins(ready.dense, ready.dense))
    together = {branch.layer for one in passes if one.plentiful for branch in one.branches}
    for moments, before, after in zip(ready.moments, rankings, after_repair(ready, rankings), strict=True):
        assert after.order == before.order
        assert np.all(np.diff(after.losses) >= 0)
        if moments.width.consumer in together:
            assert np.array_equal(after.losses, TOGETHER * before.losses)
        else:
            assert np.all(after.losses >= before.losses)


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
