"""Laws of `measure_collapse`: it is the two-pass definition, whatever the order, the frame and the unit."""

import json

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from synthetic import LinearHead, make_collapsed

from ncapps.collapse import measure_collapse, measure_collapse_from_statistics
from ncapps.errors import InputError
from ncapps.simplex import SimplexETF
from ncapps.statistics import ClassStatistics

NEEDS_IMAGES = {"nc4_agreement", "nc4_feature_norm_spread"}


def agree(got, expected, rel=1e-9, floor=1e-12, skip=()):
    got, expected = dict(got), dict(expected)
    wrong = {}
    for name in expected.keys() - set(skip):
        if expected[name] is None or got[name] is None:
            if got[name] is not expected[name]:
                wrong[name] = (got[name], expected[name])
        elif not abs(got[name] - expected[name]) <= rel * abs(expected[name]) + floor:
            wrong[name] = (got[name], expected[name])
    assert not wrong


def shards(data, count, seed):
    """Cut into `count` random shards, empty ones and ones of a single image among them, in random order."""
    random = np.random.default_rng(seed)
    owner = random.integers(2, count, len(data.labels))
    owner[random.integers(len(owner))] = 0
    parts = [np.flatnonzero(owner == shard) for shard in random.permutation(count)]
    assert min(map(len, parts)) == 0
    assert 1 in map(len, parts)
    return [ClassStatistics.from_features(data.features[rows], data.labels[rows]) for rows in parts]


@pytest.mark.parametrize("within", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize(("n_classes", "width"), [(2, 3), (8, 12), (7, 6), (12, 5)])
def test_one_pass_agrees_with_the_two_pass_reference(n_classes, width, offset, within):
    data = make_points(n_classes, width, within, offset)
    expected = reference.collapse(data.features, data.labels, data.head.weight, data.head.bias)
    report = measure_collapse(data.features, data.labels, data.head)
    assert expected.keys() == report.as_dict().keys()
    agree(report.as_dict(), expected, floor=1e-11 if offset else 1e-12)


def make_points(n_classes, width, within, offset):
    """As `make_collapsed`, but with more classes than dimensions allowed."""
    if n_classes <= width:
        return make_collapsed(n_classes, width, within=within, offset=offset)
    wide = make_collapsed(n_classes, n_classes, within=within, offset=0.0)
    weight = wide.head.weight[:, :width]
    return type(wide)(
        features=wide.features[:, :width] + offset,
        labels=wide.labels,
        head=LinearHead(weight=weight, bias=wide.head.bias - offset * weight.sum(axis=1)),
    )


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_shards_in_random_order_agree_with_the_reference(offset, seed):
    data = make_collapsed(offset=offset, seed=seed)
    expected = reference.collapse(data.features, data.labels, data.head.weight, data.head.bias)
    stats = sum(shards(data, 100, seed))
    whole = measure_collapse(data.features, data.labels, data.head, statistics=stats)
    agree(whole.as_dict(), expected, floor=1e-10 if offset else 1e-12)
    agree(measure_collapse_from_statistics(stats, data.head).as_dict(), expected, floor=1e-10, skip=NEEDS_IMAGES)


def test_float32_features_are_measured_as_exactly_as_their_digits_allow():
    data = make_collapsed(within=1e-2)
    features = data.features.astype(np.float32)
    agree(
        measure_collapse(features, data.labels, data.head).as_dict(),
        reference.collapse(features, data.labels, data.head.weight, data.head.bias),
    )


def test_a_perfect_simplex_is_fully_collapsed():
    points = 3.0 * SimplexETF.construct(6, 9, seed=1).vertices + 5.0
    bias = -5.0 * points.sum(axis=1)
    head = LinearHead(weight=points - 5.0, bias=bias - bias.mean())
    labels = np.repeat(np.arange(6), 4)
    report = measure_collapse(points[labels], labels, head)
    assert (report.nc1, report.nc1_quotient, report.within_variance, report.cdnv) == (0.0, 0.0, 0.0, 0.0)
    assert report.nc4_agreement == 1.0
    names = "nc2_equinorm nc2_equiangularity nc2_cosine_spread etf_error etf_distance nc3 nc3_product nc3_cosine"
    for name in [*names.split(), "nc4_feature_norm_spread", "nc4_weight_norm_spread"]:
        assert getattr(report, name) == pytest.approx(0.0, abs=1e-12), name
    # Of all pairs of simplex vertices the squared distance is 2 K / (K - 1).
    assert report.uniformity_log == pytest.approx(-0.5 * np.log(2 * 6 / 5), abs=1e-12)
    assert report.uniformity_riesz == pytest.approx(np.sqrt(5 / 12), abs=1e-12)


def test_nc4_counts_the_bias():
    data = make_collapsed()
    assert measure_collapse(data.features, data.labels, data.head).nc4_agreement == 1.0
    bias = data.head.bias.copy()
    bias[3] += 1e3
    skewed = measure_collapse(data.features, data.labels, LinearHead(weight=data.head.weight, bias=bias))
    assert skewed.nc4_agreement == pytest.approx(np.mean(data.labels == 3))


def test_a_missing_bias_is_zero():
    data = make_collapsed()
    zero = LinearHead(weight=data.head.weight, bias=np.zeros(8))
    none = LinearHead(weight=data.head.weight, bias=None)
    assert measure_collapse(data.features, data.labels, none) == measure_collapse(data.features, data.labels, zero)


def test_without_a_head_its_measures_are_none(collapsed):
    report = measure_collapse(collapsed.features, collapsed.labels)
    assert {name for name, value in report.as_dict().items() if value is None} == {
        "nc3",
        "nc3_product",
        "nc3_cosine",
        "nc3_uniformity",
        "nc4_agreement",
        "nc4_weight_norm_spread",
    }


def test_from_statistics_lacks_only_what_needs_images(collapsed):
    full = measure_collapse(collapsed.features, collapsed.labels, collapsed.head).as_dict()
    stats = ClassStatistics.from_features(collapsed.features, collapsed.labels)
    part = measure_collapse_from_statistics(stats, collapsed.head).as_dict()
    assert {name for name, value in part.items() if value is None} == NEEDS_IMAGES
    agree(part, full, rel=0, floor=0, skip=NEEDS_IMAGES)


@given(seed=st.integers(0, 10**6))
def test_order_of_images_does_not_matter(seed):
    data = make_collapsed(within=1e-2)
    order = np.random.default_rng(seed).permutation(len(data.labels))
    agree(
        measure_collapse(data.features[order], data.labels[order], data.head).as_dict(),
        measure_collapse(data.features, data.labels, data.head).as_dict(),
    )


@given(seed=st.integers(0, 10**6))
def test_names_of_classes_do_not_matter(seed):
    data = make_collapsed(within=1e-2)
    renamed = np.random.default_rng(seed).permutation(8)
    names = np.array([f"n{10 * name}" for name in range(8)])
    order = np.argsort(names[renamed])
    head = LinearHead(weight=data.head.weight[order], bias=data.head.bias[order])
    agree(
        measure_collapse(data.features, names[renamed][data.labels], head).as_dict(),
        measure_collapse(data.features, data.labels, data.head).as_dict(),
    )


@given(seed=st.integers(0, 10**6), shift=st.floats(-50, 50))
def test_rotation_and_translation_do_not_matter(seed, shift):
    data = make_collapsed(within=1e-2)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((12, 12)))[0]
    weight = data.head.weight @ turn
    head = LinearHead(weight=weight, bias=data.head.bias - shift * weight.sum(axis=1))
    agree(
        measure_collapse(data.features @ turn + shift, data.labels, head).as_dict(),
        measure_collapse(data.features, data.labels, data.head).as_dict(),
    )


@given(scale=st.floats(1e-6, 1e6))
def test_scale_changes_only_the_measures_that_carry_a_unit(scale):
    data = make_collapsed(within=1e-2)
    expected = measure_collapse(data.features, data.labels, data.head).as_dict()
    head = LinearHead(weight=data.head.weight / scale, bias=data.head.bias)
    got = measure_collapse(data.features * scale, data.labels, head).as_dict()
    got["within_variance"] /= scale**2
    agree(got, expected)


def test_uniform_duality_scales_with_the_head(collapsed):
    doubled = LinearHead(weight=2 * collapsed.head.weight, bias=2 * collapsed.head.bias)
    once = measure_collapse(collapsed.features, collapsed.labels, collapsed.head)
    twice = measure_collapse(collapsed.features, collapsed.labels, doubled)
    assert twice.nc3_uniformity == pytest.approx(4 * once.nc3_uniformity)
    assert twice.nc3 == pytest.approx(once.nc3)
    assert twice.nc4_agreement == once.nc4_agreement


def test_wider_classes_are_less_collapsed():
    reports = [
        measure_collapse(data.features, data.labels)
        for data in (make_collapsed(within=within) for within in (1e-3, 1e-2, 1e-1))
    ]
    for name in ("nc1", "nc1_quotient", "cdnv", "within_variance"):
        low, middle, high = (getattr(report, name) for report in reports)
        assert low < middle / 50 < high / 2500, name


def test_classes_that_coincide_are_not_called_collapsed():
    features = np.random.default_rng(0).standard_normal((10, 4))
    report = measure_collapse(np.concatenate([features, features]), [0] * 10 + [1] * 10)
    assert report.nc1 == float("inf")
    assert report.cdnv == float("inf")
    assert report.etf_distance == 1.0
    flat = measure_collapse(np.ones((6, 4)), [0, 0, 1, 1, 2, 2])
    assert flat.etf_distance == 1.0
    assert flat.within_variance == 0.0


def test_a_report_prints_and_becomes_json(collapsed):
    report = measure_collapse(collapsed.features, collapsed.labels)
    assert "nc2_equiangularity" in str(report)
    assert "nc3" not in str(report)
    assert json.loads(json.dumps(report.as_dict()))["n_classes"] == 8


def test_one_class_is_refused():
    with pytest.raises(InputError, match="two or more are needed, but 1 came; does the folder hold one sub-folder"):
        measure_collapse(np.eye(3), [1, 1, 1])
    with pytest.raises(InputError, match="two or more are needed, but 0 came"):
        measure_collapse_from_statistics(ClassStatistics.empty(3))


@pytest.mark.parametrize("shape", [(7, 12), (8, 11), (8,)])
def test_a_head_of_another_shape_is_refused(collapsed, shape):
    head = LinearHead(weight=np.ones(shape), bias=None)
    with pytest.raises(
        InputError, match=r"head's weight has the shape .* 8 classes and 12 columns; do the labels hold"
    ):
        measure_collapse(collapsed.features, collapsed.labels, head)


def test_a_bias_of_another_shape_or_a_diverged_head_is_refused(collapsed):
    short = LinearHead(weight=collapsed.head.weight, bias=np.zeros(1))
    with pytest.raises(InputError, match=r"8 rows, but a bias of shape \(1,\)"):
        measure_collapse(collapsed.features, collapsed.labels, short)
    burst = LinearHead(weight=collapsed.head.weight * np.nan, bias=None)
    with pytest.raises(InputError, match="head holds NaN or infinity; did its training diverge"):
        measure_collapse(collapsed.features, collapsed.labels, burst)


def test_statistics_of_other_features_are_refused(collapsed):
    stats = ClassStatistics.from_features(collapsed.features, collapsed.labels)
    with pytest.raises(InputError, match="X has 5 features, but the statistics object is expecting 12"):
        measure_collapse(collapsed.features[:, :5], collapsed.labels, statistics=stats)
    with pytest.raises(InputError, match="statistics of .* images came with"):
        measure_collapse(collapsed.features[:9], collapsed.labels[:9], statistics=stats)


def test_labels_of_another_number_are_refused(collapsed):
    with pytest.raises(InputError, match="came with 3 labels; one label an image is expected"):
        measure_collapse(collapsed.features, [0, 1, 2])
