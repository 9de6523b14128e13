"""Passes: every layer once and in order, widths whole, more images for smaller layers, and never too much memory."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ncapps.compression.calibration import Calibration
from ncapps.compression.passes import plan_passes
from ncapps.compression.probe import Branch, Probe
from ncapps.compression.widths import InnerWidth


def branch(name):
    return Branch(layer=name, norm=None, joins=False)


def probe_of(values, pairs):
    """Layers of these sizes; pairs (i, j) are widths written by layer i and read by layer j."""
    widths = tuple(InnerWidth(producer=str(i), coupled=(), consumer=str(j), channels=4) for i, j in pairs)
    return Probe(
        widths=widths,
        branches=tuple(branch(width.consumer) for width in widths),
        producers=tuple(branch(width.producer) for width in widths),
        depthwise=(),
        layer_macs={},
        classifier=None,
        values={str(i): value for i, value in enumerate(values)},
    )


def images(count):
    return Calibration(images=torch.arange(count).float().reshape(-1, 1, 1, 1), labels=None, batch_size=8)


@given(
    st.lists(st.integers(1, 1000), min_size=4, max_size=12), st.integers(1, 30), st.integers(1, 4), st.integers(1, 9999)
)
def test_every_layer_once_in_order_and_within_memory(values, count, views, most):
    pairs = [(i, i + 1) for i in range(0, len(values) - 1, 2)]
    passes = plan_passes(probe_of(values, pairs), images(count), views=views, seed=0, most_values=most)
    names = [int(one.layer) for found in passes for one in found.branches]
    assert names == sorted({i for pair in pairs for i in pair})
    for found in passes:
        own = {int(one.layer) for one in found.branches}
        assert all((i in own) == (j in own) for i, j in pairs), "a width is never split"
        largest = max(values[i] for i in own)
        assert len(found.images) <= max(2, most // largest)
        assert len(found.images) % found.views == 0
        assert len(found.images) <= views * count


def test_small_layers_see_all_views_and_large_ones_few_images():
    probe = probe_of([100, 100, 10, 10], [(0, 1), (2, 3)])
    early, late = plan_passes(probe, images(20), views=3, seed=0, most_values=1000)
    assert (len(early.images), early.views) == (10, 1)
    assert (len(late.images), late.views) == (60, 3)
    assert torch.equal(early.images.images, images(20).images[:10])


@pytest.mark.parametrize("second", [60, 100, 300])
def test_passes_of_about_the_same_size_are_one(second):
    passes = plan_passes(
        probe_of([100, 100, second, second], [(0, 1), (2, 3)]), images(40), views=1, seed=0, most_values=1000
    )
    assert len(passes) == 1
    assert len(passes[0].images) == 1000 // max(100, second)


def test_layers_with_many_inputs_and_few_positions_see_more_views(monkeypatch):
    monkeypatch.setattr("ncapps.compression.passes.ROWS_PER_INPUT", 10)
    probe = probe_of([400, 400, 16, 16], [(0, 1), (2, 3)])
    # Ten images: 1,000 positions for 9 inputs, and 40 for 16.
    inputs = {"0": (9, 4), "1": (9, 4), "2": (16, 4), "3": (16, 4)}
    early, late = plan_passes(probe, images(10), views=8, seed=0, inputs=inputs)
    assert (early.views, late.views) == (1, 4)
    assert [one.views for one in plan_passes(probe, images(10), views=3, seed=0, inputs=inputs)] == [1, 3]


def test_layers_that_need_little_take_nothing_from_those_before_them(monkeypatch):
    monkeypatch.setattr("ncapps.compression.passes.ROWS_PER_INPUT", 10)
    # As in a transformer: every second width needs one view, the others four.
    probe = probe_of([16] * 8, [(0, 1), (2, 3), (4, 5), (6, 7)])
    inputs = {str(i): (4 if i // 2 % 2 == 0 else 16, 4) for i in range(8)}
    passes = plan_passes(probe, images(10), views=8, seed=0, inputs=inputs)
    assert [(one.views, len(one.branches)) for one in passes] == [(1, 2), (4, 6)]
