"""What all detectors on a head share: whose head it is, what classes it names, and what is refused."""

import numpy as np
import pytest
from head_data import HEAD_ALONE, activations, labels

from ncapps.errors import InputError
from ncapps.ood import DETECTORS
from ncapps.ood.head_detector import HeldOutHeadDetector
from ncapps.statistics import ClassStatistics

HELD_OUT = [name for name in HEAD_ALONE if issubclass(DETECTORS[name], HeldOutHeadDetector)]


@pytest.mark.parametrize("name", HEAD_ALONE)
def test_a_head_without_bias_is_one_with_zeros(name):
    X, head = activations()
    head.bias = None
    without = DETECTORS[name]().fit(X, labels(60), head=head).score_samples(X)
    head.bias = np.zeros(7)
    assert np.array_equal(without, DETECTORS[name]().fit(X, labels(60), head=head).score_samples(X))


@pytest.mark.parametrize("name", HEAD_ALONE)
def test_the_nearest_class_is_the_one_that_the_head_predicts(name):
    X, head = activations()
    predicted = (X @ head.weight.T + head.bias).argmax(axis=1)
    named = np.array(list("gfedcba"))
    detector = DETECTORS[name]().fit(X, named[labels(60)], head=head)
    assert np.array_equal(detector.nearest_class(X), np.sort(named)[predicted])
    # Images of other classes than the head's: its rows are counted.
    other = DETECTORS[name]().fit(X, labels(60, 3), head=head)
    assert np.array_equal(other.nearest_class(X), predicted)


@pytest.mark.parametrize("name", HEAD_ALONE)
@pytest.mark.parametrize("kind", ["zero", "constant", "negative", "large", "one class", "one unit"])
def test_every_image_has_a_finite_score(name, kind):
    X, head = activations(classes=1 if kind == "one class" else 7, width=1 if kind == "one unit" else 40)
    odd = {
        "zero": np.zeros_like(X),
        "constant": np.ones_like(X),
        "negative": -X - 1,
        "large": 1e6 * X,
    }.get(kind, X)
    for fitted, scored in ((X, odd), (odd, X), (odd, odd)):
        for given in (head, None):
            detector = DETECTORS[name]().fit(fitted, labels(60), head=given)
            scores = detector.score_samples(scored)
            assert scores.shape == (60,)
            assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", HEAD_ALONE)
def test_settings_out_of_range_are_refused_at_fit(name):
    X, head = activations()
    for setting in DETECTORS[name]().get_params():
        for wrong in (-1, 1000 if setting == "percentile" else 0, "a", None):
            with pytest.raises(InputError, match=setting):
                DETECTORS[name](**{setting: wrong}).fit(X, head=head)


@pytest.mark.parametrize("name", HELD_OUT)
def test_held_out_images_take_the_place_of_the_fitted_ones(name):
    X, head = activations()
    other = activations(seed=5, scale=2.0)[0]
    both = DETECTORS[name]().fit(X, labels(60), head=head, X_val=other)
    assert np.array_equal(both.score_samples(X), DETECTORS[name]().fit(other, head=head).score_samples(X))
    assert not np.allclose(both.score_samples(X), DETECTORS[name]().fit(X, head=head).score_samples(X))
    with pytest.raises(InputError, match="the head and X is expecting 40 features"):
        DETECTORS[name]().fit(X, head=head, X_val=other[:, :3])


@pytest.mark.parametrize("name", HELD_OUT)
def test_without_a_head_the_class_means_serve_and_the_classes_keep_their_names(name):
    X, head = activations()
    detector = DETECTORS[name]().fit(X, np.array(list("abcdefg"))[labels(60)])
    assert detector.classes_ == tuple("abcdefg")
    assert np.ptp(detector.score_samples(X)) > 0


@pytest.mark.parametrize("name", HELD_OUT)
def test_statistics_are_refused_with_what_is_needed(name):
    X, _ = activations()
    with pytest.raises(InputError, match="single images, which statistics do not hold; call fit.X, y, head, X_val."):
        DETECTORS[name]().fit_statistics(ClassStatistics.from_features(X, labels(60)))
