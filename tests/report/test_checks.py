import numpy as np
import pytest
import torch

from ncapps.errors import InputError
from ncapps.report.checks import as_groups, as_point, as_scores


@pytest.mark.parametrize("values", [[1, 2, 3], np.float32([1, 2, 3]), torch.tensor([1.0, 2.0, 3.0]).bfloat16()])
def test_scores_of_any_kind_become_float64(values):
    scores = as_scores(values, "known")
    assert scores.dtype == np.float64
    assert scores.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((2, 3)), r"scores of 'known' must be one number an image, but have the shape \(2, 3\)"),
        (0.5, r"have the shape \(\)"),
        (["a", "b"], "one number an image"),
        ([1j], "one number an image"),
        ([0.0, np.nan, -np.inf], "scores of 'known' hold NaN or infinity in 2 of 3 images"),
    ],
)
def test_what_is_no_score_is_refused(values, words):
    with pytest.raises(InputError, match=words):
        as_scores(values, "known")


def test_an_empty_group_is_refused_only_where_it_is_needed():
    assert as_scores([], "noise").shape == (0,)
    with pytest.raises(InputError, match="group 'known' has no scores"):
        as_scores([], "known", needed=True)


def test_groups_keep_their_order_and_get_text_names():
    groups = as_groups({"z": [1], 5: [2, 3]})
    assert list(groups) == ["z", "5"]
    assert groups["5"].tolist() == [2.0, 3.0]


def test_groups_must_be_named():
    with pytest.raises(InputError, match="groups must map names to scores, but a list came"):
        as_groups([[1, 2]])
    with pytest.raises(InputError, match="scores of 'noise' hold NaN"):
        as_groups({"noise": [np.nan]})


@pytest.mark.parametrize("point", [(0.5, 0.9), [0.5, 0.9], np.float32([0.5, 0.9])])
def test_a_point_is_two_plain_floats(point):
    found = as_point(point, "a point")
    assert found == pytest.approx((0.5, 0.9))
    assert [type(value) for value in found] == [float, float]


@pytest.mark.parametrize("point", [(0.5,), (0.5, 0.9, 1.0), 0.5, None, ("a", "b")])
def test_what_is_no_pair(point):
    with pytest.raises(InputError, match="the dense network must be a pair"):
        as_point(point, "the dense network")


@pytest.mark.parametrize("point", [(50, 0.9), (0.5, 90), (0, 0.9), (0.5, -0.1), (np.nan, 0.5), (0.5, np.nan)])
def test_a_point_in_percent_is_noticed(point):
    with pytest.raises(InputError, match="are they in percent"):
        as_point(point, "a point")
