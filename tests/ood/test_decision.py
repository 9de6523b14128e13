import numpy as np
import pytest

from ncapps import conformal
from ncapps.errors import InputError
from ncapps.ood.decision import Decision


def grouped(seed=0, n=600):
    random = np.random.default_rng(seed)
    members = random.integers(0, 3, n)
    return random.standard_normal(n) + 2.0 * members, members


def test_one_threshold_is_that_of_the_conformal_rule():
    scores, _ = grouped()
    decision = Decision.calibrated(scores, 0.05)
    assert decision.offset == conformal.threshold(scores, 0.05)
    assert np.array_equal(decision.p_values(scores), conformal.p_values(scores, scores))


def test_each_class_has_the_p_values_of_its_own_images():
    scores, members = grouped()
    names = np.array(["ape", "bee", "cow"])
    decision = Decision.calibrated(scores, 0.05, names[members].tolist())
    fresh, kinds = grouped(seed=1)
    found = decision.p_values(fresh, ("ape", "bee", "cow"), kinds)
    for group in range(3):
        own = conformal.p_values(fresh[kinds == group], scores[members == group])
        assert np.array_equal(found[kinds == group], own)
        assert decision.offsets[group] == conformal.threshold(scores[members == group], 0.05)
    refused = fresh < decision.offsets_of(("ape", "bee", "cow"), kinds)
    assert np.array_equal(refused, found <= 0.05)
    # One threshold for all would refuse nearly nothing of the class that scores highest.
    assert abs(refused[kinds == 2].mean() - 0.05) < 0.05 < refused[kinds == 0].mean() + 0.05


def test_a_class_without_calibration_images_shares_the_common_threshold():
    scores, members = grouped()
    decision = Decision.calibrated(scores, 0.05, np.array(["ape", "bee", "cow"])[members].tolist())
    classes = ("ape", "bee", "cow", "kiwi")
    rows = np.full(5, 3)
    assert np.array_equal(decision.offsets_of(classes, rows), np.full(5, decision.offset))
    assert np.array_equal(decision.p_values(scores[:5], classes, rows), conformal.p_values(scores[:5], scores))


def test_ties_between_groups_and_scores_are_counted_once():
    scores = np.array([1.0, 1.0, 2.0, 2.0, 1.0, 3.0])
    decision = Decision.calibrated(scores, 0.4, list("aabbab"))
    found = decision.p_values(np.array([1.0, 1.0, 2.0, 9.0, 0.0]), ("a", "b"), np.array([0, 1, 1, 0, 1]))
    assert found.tolist() == [1.0, 0.25, 0.75, 1.0, 0.25]


def test_another_rate_keeps_groups_and_scores():
    scores, members = grouped()
    names = np.array(["ape", "bee", "cow"])[members].tolist()
    moved = Decision.calibrated(scores, 0.05, names).at_rate(0.2)
    fresh = Decision.calibrated(scores, 0.2, names)
    assert moved.groups == fresh.groups
    assert np.array_equal(moved.offsets, fresh.offsets)
    assert np.array_equal(moved.members, fresh.members)


def test_a_class_with_too_few_images_is_named():
    with pytest.raises(
        InputError, match="class 'b' has 3 calibration image.* needs 19; calibrate with per_class=False"
    ):
        Decision.calibrated(np.arange(43.0), 0.05, ["a"] * 40 + ["b"] * 3)
