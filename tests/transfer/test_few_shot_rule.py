import numpy as np
import pytest

from ncapps.transfer.few_shot_rule import few_shot_rule


def test_few_shots_and_many_compete_on_equal_terms(clouds):
    features, codes = clouds(n_classes=30, per_class=40, width=20, within=1.0)
    known, new = codes < 20, codes >= 20
    shots = np.concatenate([np.flatnonzero(codes == code)[:2] for code in range(20, 30)])
    asked = np.concatenate([np.flatnonzero(codes == code)[30:] for code in range(30)])
    many = np.setdiff1d(np.flatnonzero(known), asked)
    named = few_shot_rule(features[many], codes[many], features[shots], codes[shots], features[asked])
    assert (named == codes[asked])[new[asked]].mean() > 0.6
    assert (named == codes[asked])[known[asked]].mean() > 0.8
    assert abs((named >= 20).mean() - 1 / 3) < 0.08


@pytest.mark.parametrize("width", [5, 12])
def test_collapsed_classes_are_named_right(width):
    points = np.random.default_rng(0).normal(size=(4, width))
    codes = np.repeat([0, 1, 2], 4)
    named = few_shot_rule(points[codes], codes, points[[3]], np.array([3]), points)
    assert named.tolist() == [0, 1, 2, 3]


def test_constant_features_do_not_crash():
    codes = np.repeat([0, 1], 3)
    assert few_shot_rule(np.ones((6, 2)), codes, np.ones((1, 2)), np.array([2]), np.ones((4, 2))).shape == (4,)


def test_length_and_place_of_all_features_do_not_matter(clouds):
    features, codes = clouds(within=1.0)
    known, shots = np.flatnonzero(codes < 4), np.flatnonzero(codes >= 4)[:6]
    named = [
        few_shot_rule(rows[known], codes[known], rows[shots], codes[shots], rows).tolist()
        for rows in (features, 1e3 * features + 50)
    ]
    assert named[0] == named[1]
