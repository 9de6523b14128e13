"""The collapse profile: its measures against plain formulas, the layers it looks at, and its way into the report."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps import measure_collapse
from ncapps.compression import compress, load_compressed
from ncapps.compression.collapse_profile import (
    PooledInputs,
    depths,
    effective_depth,
    effective_rank,
    profile_collapse,
)
from ncapps.compression.probe import probe
from ncapps.compression.widths import find_inner_widths


def blobs(images, channels, classes, spread, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    return rng.normal(size=(classes, channels))[labels] + spread * rng.normal(size=(images, channels)), labels


def test_the_measures_are_those_of_measure_collapse_and_the_plain_formulas():
    values, labels = blobs(60, 8, 4, 0.8)
    (found,) = profile_collapse({"one": values}, labels)
    report = measure_collapse(values, labels)
    assert (found.nc1, found.quotient) == pytest.approx((report.nc1, report.nc1_quotient))
    right = 0
    for i in range(60):
        others = np.arange(60) != i
        means = [values[others & (labels == k)].mean(axis=0) for k in range(4)]
        right += np.argmin([np.sum((values[i] - mean) ** 2) for mean in means]) == labels[i]
    assert 0 < right < 60
    assert found.accuracy == right / 60
    assert 1 < found.effective_rank <= 3


def test_turning_moving_and_padding_the_features_change_nothing():
    values, labels = blobs(24, 6, 3, 0.7)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(200, 6)))[0]
    names = np.asarray(["b", "a", "c"])[labels]
    (narrow,), (wide,) = (profile_collapse({"x": v}, names) for v in (values, values @ turn.T + 5))
    assert wide.channels == 200
    for name in ("nc1", "quotient", "accuracy", "effective_rank"):
        assert getattr(wide, name) == pytest.approx(getattr(narrow, name), rel=1e-9), name


def test_classes_of_one_image_are_left_out_and_two_classes_are_needed():
    values, labels = blobs(20, 5, 4, 0.5)
    odd = np.vstack([values, np.full((1, 5), 100.0)])
    assert profile_collapse({"x": odd}, [*labels, 9]) == profile_collapse({"x": values}, labels)
    assert profile_collapse({"x": values[:4]}, np.arange(4)) is None
    assert profile_collapse({}, labels) is None


def test_collapsed_classes_and_coinciding_ones():
    labels = np.arange(12) % 3
    (point,) = profile_collapse({"x": np.eye(3)[labels]}, labels)
    assert (point.nc1, point.accuracy, point.effective_rank) == pytest.approx((0, 1, 2), abs=1e-9)
    (same,) = profile_collapse({"x": np.ones((12, 3))}, labels)
    assert (same.nc1, same.effective_rank) == (0, 0)
    assert effective_rank(np.diag([1.0, 1, 1, 0])) == pytest.approx(3)


def test_the_effective_depth_is_the_first_within_a_point():
    values, labels = blobs(20, 5, 2, 0.1)
    (one,) = profile_collapse({"x": values}, labels)
    profile = [replace(one, accuracy=share) for share in (0.3, 0.985, 0.9, 0.99)]
    assert effective_depth(profile) == 1
    assert effective_depth(profile, points=0) == 3


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("resnet50", "layer1.0.conv1", "fc"),
        ("vit_tiny_patch16_224", "blocks.0.mlp.fc1", "head"),
    ],
)
def test_streams_are_looked_at_where_blocks_begin(name, first, last):
    size = {"img_size": 32} if name.startswith("vit") else {}
    model = timm.create_model(name, num_classes=4, **size).eval()
    example = torch.randn(2, 3, 32, 32)
    found = depths(probe(model, example, find_inner_widths(model, example)))
    assert (found[0], found[-1]) == (first, last)
    # One for each block and one for the classifier: nothing inside a block.
    assert len(found) == {"resnet50": 16, "vit_tiny_patch16_224": 12}[name] + 1


def test_plain_networks_are_looked_at_before_each_width():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(6, 2),
    ).eval()  # fmt: skip
    example = torch.randn(2, 3, 12, 12)
    assert depths(probe(model, example, find_inner_widths(model, example))) == ["0", "2", "7"]


def test_pooling_is_over_the_places_whatever_the_layout():
    model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
    tokens = torch.randn(4, 7, 7, 3)
    pooled = PooledInputs()
    with pooled.gathering(model, ["0", "1"]), torch.no_grad():
        model(tokens[:3])
        model(tokens[3:])
    assert pooled.values["0"] == pytest.approx(tokens.mean(dim=(1, 2)).numpy(), abs=1e-6)
    assert pooled.values["1"].shape == (4, 5)
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.fixture(scope="module")
def small():
    model = randomise_norms(TinyResNet()).eval()
    images = torch.randn(30, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    settings = {"macs": 0.7, "views": 1, "progress": False}
    return model, images, compress(model, images, np.arange(30) % 3, front=(0.9, 0.001), **settings), settings


def test_compress_reports_the_dense_networks_features(small):
    model, images, found, settings = small
    profile = found.report.collapse_profile
    assert [one.layer for one in profile] == ["blocks.0.conv1", "blocks.1.conv1", "blocks.2.conv1", "head"]
    with torch.no_grad():
        features = model.blocks(model.bn(model.stem(images)).relu()).mean((2, 3)).numpy()
    (expected,) = profile_collapse({"head": features}, np.arange(30) % 3)
    last = profile[-1]
    assert (last.nc1, last.accuracy, last.channels) == (pytest.approx(expected.nc1, rel=1e-4), expected.accuracy, 16)
    assert compress(model, images, **settings).report.collapse_profile is None


def test_the_front_has_what_is_within_reach_and_the_target_is_chosen(small):
    front = small[2].report.front
    assert len(front) == 2
    assert [point.chosen for point in front] == [False, True]
    assert front[0].macs_ratio > 0.8


def test_the_file_holds_the_profile(small, tmp_path):
    small[2].save(tmp_path / "small.safetensors")
    assert load_compressed(tmp_path / "small.safetensors", TinyResNet()).report == small[2].report
