import numpy as np
import pytest

from ncapps.ood.shaping import kept_count, sharpening


@pytest.mark.parametrize(
    ("width", "percentile", "kept"),
    # 12.5 and 4.5 round to the even 12 and 4, as numpy's and Python's round do.
    [(512, 90, 51), (512, 85, 77), (2048, 90, 205), (25, 50, 13), (5, 90, 1), (1, 90, 1), (4, 99, 1), (8, 0, 8)],
)
def test_how_many_are_kept(width, percentile, kept):
    assert kept_count(width, percentile) == kept


def test_the_factor_is_the_exponential_of_the_ratio():
    assert np.allclose(sharpening(np.array([3.0, 1.0, -2.0]), np.array([2.0, 1.0, 4.0])), np.exp([1.5, 1.0, -0.5]))


def test_without_a_positive_sum_the_factor_is_zero_its_limit():
    assert sharpening(np.array([0.0, -3.0, -3.0]), np.array([0.0, -1.0, 0.0])).tolist() == [0.0, 0.0, 0.0]
    assert sharpening(np.array([-3.0]), np.array([1e-3])) == pytest.approx(0.0, abs=1e-300)


def test_no_factor_is_infinite():
    assert sharpening(np.array([2048.0]), np.array([1.0])) == np.exp(500.0)
