import numpy as np
import pytest

from ncapps.fewshot.hidden_classes import rehearse
from ncapps.fewshot.metrics import metric_named


def tagged(classes, each):
    """Features that tell class and image, so that each row's way can be followed."""
    y = np.repeat(np.arange(classes), each)
    return np.stack([y, np.arange(len(y))], axis=1).astype(float), y


@pytest.mark.parametrize(("classes", "each"), [(3, 8), (4, 60), (10, 30), (40, 12)])
def test_no_image_is_both_fitted_or_a_shot_and_asked_about(classes, each):
    X, y = tagged(classes, each)
    hidden_ever = set()
    for one in rehearse(metric_named("euclidean"), X, y, 1):
        visible = len(one.statistics.classes)
        fitted = one.statistics.means[:, 0]
        hidden = one.shot_means[0][0, :, 0]
        assert np.allclose(fitted, fitted.round())
        assert not set(fitted) & set(hidden)
        hidden_ever |= set(hidden)
        own = np.concatenate([fitted, hidden])
        assert np.array_equal(own[one.codes], one.images[:, 0])
        # A draw of one shot is one image, and none of them is asked about.
        assert not set(one.shot_means[0][:, :, 1].ravel()) & set(one.images[:, 1])
        assert np.allclose(one.shot_means[1][:, :, 0], hidden)
        assert one.statistics.counts.min() >= 1
        assert visible >= 2
        assert len(hidden) >= 1
    assert len(hidden_ever) >= min(classes, 6)


def test_many_classes_and_images_are_thinned():
    X, y = tagged(150, 130)
    one = next(iter(rehearse(metric_named("euclidean"), X, y)))
    assert len(one.statistics.classes) + one.shot_means[0].shape[1] == 100
    assert one.statistics.counts.max() <= 100
    assert np.bincount(one.codes).max() <= 20


def test_two_classes_or_few_images_give_no_round():
    assert not list(rehearse(metric_named("euclidean"), *tagged(2, 50)))
    assert not list(rehearse(metric_named("euclidean"), *tagged(9, 7)))


def test_classes_of_few_images_are_left_out_not_in_the_way():
    X, y = tagged(5, 20)
    keep = (y < 4) | (np.arange(len(y)) >= 98)
    for one in rehearse(metric_named("euclidean"), X[keep], y[keep]):
        assert 4 not in one.statistics.means[:, 0]
