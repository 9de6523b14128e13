"""The page of a compressed network: what it tells, its two pictures, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from compression_nets import TinyResNet, randomise_norms

from ncapps.compression import compress
from ncapps.compression.collapse_profile import DepthCollapse
from ncapps.compression.latency import Latency
from ncapps.errors import InputError
from ncapps.report import compression_page, depth_figure, plot_depth, plot_widths, widths_figure


@pytest.fixture(scope="module")
def small():
    model = randomise_norms(TinyResNet()).eval()
    images = torch.randn(40, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    labels = np.arange(40) % 5
    return compress(
        model, images[:30], labels[:30], macs=0.7, held_out=(images[30:], labels[30:]), front=(0.9,), views=1,
        progress=False,
    )  # fmt: skip


def times(milliseconds):
    return Latency(times_ms=tuple(milliseconds * np.linspace(1, 1.1, 5)))


def test_the_page_tells_cost_answers_widths_profile_and_time(small):
    latency = {1: {"before": times(4.0), "after & <small>": times(2.0)}}
    page = compression_page(small, name="tiny <net>", latency=latency, settings={"Seed": "7"}).render()
    report = small.report
    assert f"{report.macs_ratio:.1%} of the operations of tiny &lt;net&gt; are left" in page
    assert f"{report.drop:.2f} points" in page
    assert f"{report.held_out_accuracy_before:.1%} before, 10 new images" in page
    assert f"{report.macs_after:,}" in page
    assert "2 sizes were tried" in page
    assert page.count("<svg") == 3
    assert "after &amp; &lt;small&gt;" in page
    assert ">2.00</td>" in page
    assert ">Seed</th>" in page
    for one in report.collapse_profile:
        assert f">{one.layer}</td>" in page


def test_what_was_not_measured_is_not_told(small):
    report = replace(
        small.report, collapse_profile=None, drop=None, drop_interval=None, held_out_agreement=None,
        held_out_accuracy_before=None, held_out_accuracy_after=None, front=(replace(small.report.front[1], drop=None),),
    )  # fmt: skip
    page = compression_page(replace(small, report=report)).render()
    assert f"answers as before on {report.agreement:.1%} of the images that it was fitted on" in page
    assert page.count("<svg") == 2
    for absent in ("new images", "come apart", "95th percentile", "sizes were tried", "How it was made"):
        assert absent not in page, absent


def test_a_target_in_milliseconds_is_told_where_it_was_one(small):
    assert "Milliseconds a pass" not in compression_page(small).render()
    report = replace(small.report, latency_before_ms=12.345, latency_after_ms=6.789)
    page = compression_page(replace(small, report=report)).render()
    assert ">Milliseconds a pass</th>" in page
    assert "6.79" in page
    assert "12.3 before, in PyTorch" in page


def test_without_labels_agreement_is_told_instead_of_accuracy(small):
    report = replace(small.report, held_out_accuracy_before=None, held_out_accuracy_after=None)
    page = compression_page(replace(small, report=report)).render()
    assert "of the answers are others than before" in page
    assert "same answers, new images" in page
    assert "before pruning: 100.0%" in page


def test_equal_networks_give_equal_pages(small):
    assert compression_page(small).render() == compression_page(small).render()


def test_bars_are_the_channels_before_and_after(drawn):
    before, after = {"one": 8, "two": 16}, {"one": 3, "two": 16}
    bars = widths_figure(before, after).axes[0].patches
    assert [bar.get_height() for bar in bars] == [8, 16, 3, 16]
    words = drawn(plot_widths(before, after)).words
    assert {"one", "two", "3", "16", "taken out", "left"} <= set(words)


@pytest.mark.parametrize(("layers", "names"), [(64, 64), (65, 33), (200, 50)])
def test_names_of_many_layers_are_thinned_out(layers, names):
    before = {f"layer{i}": 9 for i in range(layers)}
    axes = widths_figure(before, dict.fromkeys(before, 4)).axes[0]
    assert len(axes.get_xticks()) == names
    assert not axes.texts


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, {}, "0 and 0 came"),
        ({"a": 4}, {"b": 4}, "of the same layers"),
        ({"a": 4}, {"a": 5}, "a has 4 channels before and 5 after; swapped"),
        ({"a": 4}, {"a": 0}, "0 after"),
    ],
)
def test_widths_that_do_not_fit_are_named(before, after, words):
    with pytest.raises(InputError, match=words):
        plot_widths(before, after)


def depth(accuracy, quotient, rank=2.0):
    return DepthCollapse(
        layer="x", channels=4, nc1=1.0, quotient=quotient, accuracy=accuracy, effective_rank=rank
    )  # fmt: skip


def test_each_panel_draws_its_measure_and_marks_the_depth(drawn):
    profile = [depth(0.2, 5.0, 1.5), depth(0.6, 2.0, 2.5), depth(0.9, 0.1, 3.0)]
    panels = depth_figure(profile, 1).axes
    drawn_values = [panel.lines[0].get_ydata().tolist() for panel in panels]
    assert drawn_values == [[0.2, 0.6, 0.9], [5.0, 2.0, 0.1], [1.5, 2.5, 3.0]]
    assert [panel.lines[1].get_xdata()[0] for panel in panels] == [2, 2, 2]
    assert panels[1].get_yscale() == "log"
    assert {"Nearest class mean", "Spread", "Effective rank"} <= set(drawn(plot_depth(profile)).words)


def test_full_collapse_and_one_depth_are_drawn(drawn):
    figure = depth_figure([depth(1.0, 0.0, 0.0)], 0)
    assert figure.axes[1].get_yscale() == "linear"
    drawn(plot_depth([depth(1.0, 0.0, 0.0)], 0))
    with pytest.raises(InputError, match="one depth or more"):
        plot_depth([])
    with pytest.raises(InputError, match="3 marked"):
        plot_depth([depth(1.0, 1.0)], 3)
