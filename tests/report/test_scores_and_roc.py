import numpy as np
import pytest

from ncapps.errors import InputError
from ncapps.report import plot_roc, plot_scores, roc_figure, scores_figure


def test_each_group_is_named_with_the_share_refused(drawn):
    words = drawn(plot_scores({"known": [1.0, 2, 3, -1], "cats & <dogs>": [-3.0, -2, 4]}, 0.0)).words
    assert "threshold: 25.0% of known fall below it (false alarms)" in words
    assert "cats & <dogs>" in words
    assert any("66.7%" in word for word in words)


def test_an_empty_unknown_group_is_said(drawn):
    assert "no images" in drawn(plot_scores({"known": [1.0, 2], "noise": []}, 0.0)).words
    assert "noise: no images" in drawn(plot_roc([1.0, 2], {"noise": []})).words


def test_known_images_alone_and_equal_scores_are_enough(drawn):
    drawn(plot_scores({"known": [1.0]}, 1.0))
    drawn(plot_scores({"known": [0.0] * 5, "noise": [0.0] * 5}, 0.0))
    drawn(plot_roc([1.0, 2], {}))


def test_a_group_far_away_does_not_squeeze_the_others():
    random = np.random.default_rng(0)
    groups = {"known": random.normal(0, 1, 200), "near": random.normal(-4, 1, 200), "far": np.full(50, -1e5)}
    left, right = scores_figure(groups, -2.0).axes[0].get_xlim()
    assert -60 < left < -6
    assert right < 6


def test_every_score_is_counted_also_those_out_of_sight():
    far = scores_figure({"known": [0.0, 1, 2], "near": [-2.0, -3], "far": [-1e6] * 7}, -1.0).axes[2]
    assert max(patch.get_xy()[:, 1].max() for patch in far.patches) == 7


@pytest.mark.parametrize("sign", [1, -1])
def test_auroc_is_that_of_known_over_unknown(sign, drawn):
    words = drawn(plot_roc(sign * np.arange(1.0, 9), {"noise": -sign * np.arange(1.0, 9)})).words
    assert ("noise: AUROC 1.000" if sign > 0 else "noise: AUROC 0.000") in words


def test_ties_count_half(drawn):
    assert "noise: AUROC 0.500" in drawn(plot_roc([1.0] * 4, {"noise": [1.0] * 6})).words


def test_the_curve_runs_from_nothing_refused_to_all():
    curve = roc_figure([3.0, 1, 2], {"noise": [0.0, 1.5]}).axes[0].lines[-1]
    assert (curve.get_xdata()[0], curve.get_ydata()[0]) == (0, 0)
    assert (curve.get_xdata()[-1], curve.get_ydata()[-1]) == (1, 1)


def test_equal_scores_give_equal_bytes():
    groups = {"known": [1.0, 2, 3], "noise": [0.0, 1]}
    assert plot_scores(groups, 0.5) == plot_scores(dict(groups), 0.5)
    assert plot_roc([1.0, 2], {"noise": [0.5]}) == plot_roc([1.0, 2], {"noise": [0.5]})


def test_one_group_has_one_colour_in_both_figures():
    groups = {"a": np.arange(4.0), "b": np.arange(3.0)}
    bars = [axes.patches[0].get_facecolor()[:3] for axes in scores_figure({"known": [5.0, 6], **groups}, 4.0).axes[1:]]
    from matplotlib.colors import to_rgb

    assert [to_rgb(line.get_color()) for line in roc_figure([5.0, 6], groups).axes[0].lines[1:]] == bars


@pytest.mark.parametrize(
    ("groups", "threshold", "words"),
    [
        ({}, 0.0, "no group of scores came"),
        ({"known": []}, 0.0, "group 'known' has no scores"),
        ({"known": [1.0, np.nan]}, 0.0, "'known' hold NaN or infinity in 1 of 2 images"),
        ({"known": [[1.0]]}, 0.0, "must be one number an image"),
        ({"known": ["high"]}, 0.0, "must be one number an image"),
        ({"known": [1.0]}, float("nan"), "threshold must be a finite number"),
        ([1.0, 2.0], 0.0, "must map names to scores, but a list came"),
    ],
)
def test_bad_input_is_named(groups, threshold, words):
    with pytest.raises(InputError, match=words):
        plot_scores(groups, threshold)


def test_roc_needs_known_images():
    with pytest.raises(InputError, match="known images are needed"):
        plot_roc([], {"noise": [1.0]})
