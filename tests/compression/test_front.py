"""The smallest network within a bound, and the front that comes with it."""

import numpy as np
import pytest
import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps.compression import compress, compress_front, load_compressed
from ncapps.compression.front import GENTLEST, smallest_within
from ncapps.compression.result import Compressed, CompressionReport, FrontPoint
from ncapps.errors import InputError


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(96, 3, 4, 4, generator=generator)
    return nn.functional.interpolate(coarse, size=16, mode="bilinear")


@pytest.fixture(scope="module")
def model():
    return randomise_norms(TinyResNet()).eval()


def builder(drop_of, log):
    def build(fraction):
        log.append(fraction)
        drop = drop_of(fraction)
        own = FrontPoint(macs_ratio=fraction, params_ratio=fraction, agreement=1.0, drop=drop, chosen=True)
        report = CompressionReport(
            macs_before=1000,
            macs_after=round(1000 * fraction),
            params_before=1,
            params_after=1,
            widths_before={},
            widths_after={},
            agreement=1.0,
            held_out_agreement=None,
            held_out_accuracy_before=None,
            held_out_accuracy_after=None,
            images=1,
            seconds=0.0,
            held_out_images=100,
            drop=drop,
            front=(own,),
        )
        return Compressed(model=nn.Identity(), plan=None, report=report, dense_shapes={})

    return build


@pytest.mark.parametrize("bound", [0.5, 2.0, 5.0])
def test_bisection_comes_near_the_boundary_from_the_safe_side(bound):
    log = []
    found = smallest_within(builder(lambda f: 10 * (1 - f), log), bound, "macs", None, 0.2)
    boundary = 1 - bound / 10
    assert found.report.macs_ratio >= boundary - 0.001
    assert found.report.drop <= bound
    assert found.report.macs_ratio - boundary < 0.06
    assert [point.chosen for point in found.report.front].count(True) == 1
    assert sorted(log, reverse=True) == [point.macs_ratio for point in found.report.front]


def test_a_target_within_the_bound_is_taken_as_it_is():
    log = []
    found = smallest_within(builder(lambda f: 0.0, log), 1.0, "macs", 0.5, 0.2)
    assert (log, found.report.macs_ratio) == ([0.5], 0.5)


def test_a_target_beyond_the_bound_rolls_back():
    found = smallest_within(builder(lambda f: 10 * (1 - f), []), 2.0, "macs", 0.5, 0.2)
    assert 0.8 <= found.report.macs_ratio < 0.86
    assert min(point.macs_ratio for point in found.report.front) == 0.5


def test_a_bound_that_cannot_be_kept_is_one_clear_line():
    log = []
    with pytest.raises(InputError, match=r"max_drop=1 cannot be kept: even with macs=0\.97 9\.00 points are lost"):
        smallest_within(builder(lambda f: 9.0, log), 1.0, "macs", None, 0.2)
    assert max(log) == GENTLEST
    with pytest.raises(InputError, match=r"even with 0\.97 of the time of the layers that can be cut 9\.00 points"):
        smallest_within(builder(lambda f: 9.0, []), 1.0, "latency", 0.4, 0.2)


def test_compress_keeps_the_bound_or_says_so(model, images):
    labels = model(images).argmax(dim=1)
    small = compress(model, images, macs=0.3, max_drop=4.0, held_out=(images, labels), progress=False)
    assert small.report.drop <= 4.0
    low, high = small.report.drop_interval
    assert low <= small.report.drop <= high
    assert len(small.report.front) == 1 or small.report.macs_ratio > 0.3


def test_max_drop_needs_held_out_images(model, images):
    with pytest.raises(InputError, match="held-out images; pass held_out"):
        compress(model, images, max_drop=1.0, progress=False)


def test_parameters_as_a_target(model, images):
    small = compress(model, images, params=0.6, progress=False)
    assert 0.57 < small.report.params_ratio <= 0.6
    with pytest.raises(InputError, match="two targets"):
        compress(model, images, params=0.6, macs=0.5, progress=False)
    with pytest.raises(InputError, match="params=0.01 is out of reach"):
        compress(model, images, params=0.01, progress=False)


def test_the_front_is_what_compress_gives_one_by_one(model, images, tmp_path):
    front = compress_front(model, images, macs=(0.8, 0.5), progress=False)
    alone = compress(model, images, macs=0.5, progress=False)
    assert front[1].plan == alone.plan
    assert torch.equal(front[1].model(images), alone.model(images))
    ratios = [point.macs_ratio for point in front[0].report.front]
    assert ratios == sorted(ratios, reverse=True)
    assert [[point.chosen for point in network.report.front] for network in front] == [[True, False], [False, True]]
    assert np.isfinite(front[0].report.seconds)
    front[0].save(tmp_path / "small.safetensors")
    assert load_compressed(tmp_path / "small.safetensors", TinyResNet()).report == front[0].report
