import numpy as np
import pytest

from ncapps.errors import InputError
from ncapps.report import confusion_figure, plot_confusion, plot_tradeoff, tradeoff_figure


@pytest.mark.parametrize("classes", [2, 12, 20, 21, 41, 100])
def test_confusion_of_any_size(classes, drawn):
    matrix = np.diag(np.full(classes, 777))
    words = drawn(plot_confusion(matrix, range(classes), "A & <B>")).words
    assert "A & <B>" in words
    assert words.count("777") == (classes if classes <= 20 else 0)
    assert ("1" in words) == (classes <= 40)


def test_colours_are_shares_of_the_row_and_an_empty_row_is_white():
    shares = confusion_figure([[3, 1], [0, 0]], "ab", "").axes[0].images[0].get_array()
    np.testing.assert_array_equal(shares, [[0.75, 0.25], [0, 0]])


def test_equal_matrices_give_equal_bytes():
    assert plot_confusion([[3, 1], [0, 2]], "ab") == plot_confusion(np.array([[3, 1], [0, 2.0]]), ["a", "b"])


@pytest.mark.parametrize(
    ("matrix", "names", "words"),
    [
        ([[1, 2]], "ab", "must be square"),
        ([[1]], "a", "two classes or more"),
        ([[1, -1], [0, 1]], "ab", "counts of images, 0 or more"),
        ([[1, np.nan], [0, 1]], "ab", "counts of images, 0 or more"),
        ([[0.5, 0.5], [0, 1]], "ab", "was it normalised"),
        ([[1, 0], [0, 1]], "abc", "2 classes came with 3 names"),
    ],
)
def test_bad_matrices_are_named(matrix, names, words):
    with pytest.raises(InputError, match=words):
        plot_confusion(matrix, names)


def test_the_chosen_and_the_dense_model_are_told(drawn):
    words = drawn(plot_tradeoff([(0.25, 0.8), (0.75, 0.97)], (0.5, 0.961), (1.0, 0.98))).words
    assert {"chosen: 96.1%", "before pruning: 98.0%"} <= set(words)


def test_points_are_joined_in_the_order_of_work():
    line = tradeoff_figure([(0.7, 0.9), (0.2, 0.5)], (0.5, 0.8), None).axes[0].lines[0]
    assert line.get_xdata().tolist() == [0.2, 0.5, 0.7]


def test_one_point_and_equal_accuracies_are_enough(drawn):
    drawn(plot_tradeoff([(0.5, 1.0)], None, None))
    drawn(plot_tradeoff([(0.5, 0.9), (0.6, 0.9)], (0.5, 0.9), (1.0, 0.9)))


@pytest.mark.parametrize(
    ("points", "chosen", "words"),
    [
        ([], None, "no point came"),
        ([(0.5, 97.0)], None, "are they in percent"),
        ([(0.0, 0.9)], None, "share of MACs above 0"),
        ([(0.5, float("nan"))], None, "accuracy in"),
        ([0.5], None, r"must be a pair \(share of MACs, accuracy\)"),
        ([(0.5, 0.9)], (50, 0.9), "are they in percent"),
    ],
)
def test_bad_points_are_named(points, chosen, words):
    with pytest.raises(InputError, match=words):
        plot_tradeoff(points, chosen, None)
