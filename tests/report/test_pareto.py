import numpy as np
import pytest

from ncapps.errors import InputError
from ncapps.report import ParetoPoint, pareto_figure, plot_pareto


def point(name, cost, value, on_front=True):
    return ParetoPoint(name=name, cost=cost, value=value, low=value - 0.03, high=value + 0.03, on_front=on_front)


POINTS = [point("small", 2.0, 0.6), point("<big & slow>", 40.0, 0.9), point("beaten", 30.0, 0.5, on_front=False)]


def test_every_backbone_is_named_and_numbered_twice(drawn):
    words = drawn(plot_pareto(POINTS, "small")).words
    assert {"small", "<big & slow>", "beaten"} <= set(words)
    assert all(words.count(number) >= 2 for number in "13")
    assert words.index("<big & slow>") < words.index("small") < words.index("beaten")


def test_the_line_joins_the_front_alone():
    line = next(one for one in pareto_figure(POINTS).axes[0].lines if one.get_drawstyle() == "steps-post")
    assert line.get_xdata().tolist() == [2.0, 40.0]
    assert line.get_ydata().tolist() == [0.6, 0.9]


def test_the_intervals_lie_inside_the_picture():
    axes = pareto_figure([point("best", 1.0, 0.99), point("worst", 5.0, 0.01)]).axes[0]
    heights = np.concatenate([line.get_ydata() for line in axes.lines])
    assert heights.min() == 0
    assert heights.max() == 1
    assert axes.get_ylim()[0] < 0
    assert axes.get_ylim()[1] > 1


@pytest.mark.parametrize("count", [1, 2, 40])
def test_any_number_of_backbones(count, drawn):
    drawn(plot_pareto([point(f"{'long name ' * 6}{place}", 1.0 + place, 0.5) for place in range(count)], "nobody"))


def test_equal_points_give_equal_bytes():
    assert plot_pareto(POINTS, "small") == plot_pareto(list(POINTS), "small")


def test_bad_points_are_told():
    with pytest.raises(InputError, match="one backbone or more"):
        plot_pareto([])
    with pytest.raises(InputError, match="net has 3 and 71 .*is it in percent"):
        point("net", 3.0, 71.0)
    with pytest.raises(InputError, match="a cost above 0"):
        point("net", 0.0, 0.7)
