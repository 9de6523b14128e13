from types import SimpleNamespace

import numpy as np
import pytest

from ncapps.errors import InputError
from ncapps.report import collapse_figure, plot_collapse


def lines(figure, panel):
    return [line for line in figure.axes[panel].lines if len(line.get_xdata()) > 1]


def test_all_six_panels_are_drawn(run, drawn):
    drawing = drawn(plot_collapse(run.history))
    assert {"Loss", "Accuracy", "NC1", "NC2", "NC3", "NC4"} <= set(drawing.words)
    assert "not measured" not in drawing.words


def test_equal_histories_give_equal_bytes(run):
    assert plot_collapse(run.history) == plot_collapse(list(run.history))


def test_gaps_are_bridged_and_what_was_never_measured_is_said():
    history = [
        SimpleNamespace(epoch=epoch, loss=1.0, val_accuracy=None if epoch == 2 else 0.5, nc1=float("nan"))
        for epoch in (1, 2, 3)
    ]
    figure = collapse_figure(history)
    assert lines(figure, 1)[0].get_xdata().tolist() == [1, 3]
    for panel in (2, 3, 4, 5):
        assert "not measured" in [text.get_text() for text in figure.axes[panel].texts]


def test_values_of_zero_do_not_break_a_logarithmic_axis(drawn):
    history = [SimpleNamespace(epoch=e, nc1=value, loss=0.0) for e, value in enumerate([1.0, 0.0, 0.1], 1)]
    figure = collapse_figure(history)
    assert lines(figure, 2)[0].get_ydata().tolist() == [1.0, 0.1]
    drawn(plot_collapse(history))


def test_one_epoch_and_constant_values_are_enough(drawn):
    drawn(plot_collapse([SimpleNamespace(epoch=1, loss=0.3, train_accuracy=1.0, nc1=0.2)]))


def test_accuracy_never_shows_more_than_all(run, drawn):
    assert not {"101%", "102%", "105%", "110%"} & set(drawn(plot_collapse(run.history)).words)


def test_the_plain_phase_is_shaded_only_where_it_is_known(run):
    def shades(figure):
        return sum(len(axes.patches) for axes in figure.axes)

    assert shades(collapse_figure(run.history, plain_from=9)) == 6
    assert shades(collapse_figure(run.history)) == 0
    assert shades(collapse_figure(run.history, plain_from=99)) == 0


def test_bad_histories_are_named():
    with pytest.raises(InputError, match="no epoch, so there are no curves"):
        plot_collapse([])
    with pytest.raises(InputError, match="needs its epoch as a number"):
        plot_collapse([SimpleNamespace(loss=1.0)])
    with pytest.raises(InputError, match="'nc1' must be numbers or None"):
        plot_collapse([SimpleNamespace(epoch=1, nc1="low")])


def test_numpy_numbers_are_welcome(drawn):
    drawn(plot_collapse([SimpleNamespace(epoch=np.int64(e), nc1=np.float32(0.1 * e)) for e in (1, 2)]))
