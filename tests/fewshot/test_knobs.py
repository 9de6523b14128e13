import numpy as np
import pytest

from ncapps.errors import InputError
from ncapps.fewshot import PrototypeClassifier
from ncapps.fewshot.hidden_classes import SHOTS, rehearse
from ncapps.fewshot.knobs import _Lead, _nearest_of_the_best, choose_knobs
from ncapps.fewshot.metrics import metric_named


def world(classes=9, each=16, width=12, seed=0, spread=1.0):
    random = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), each)
    return 2 * random.standard_normal((classes, width))[y] + spread * random.standard_normal((len(y), width)), y


@pytest.mark.parametrize("name", ["plda", "teen", "ridge", "mahalanobis"])
def test_the_choice_comes_from_the_grid_and_from_the_seed(name):
    X, y = world()
    metric = metric_named(name)
    one, same = (choose_knobs(metric, rehearse(metric, X, y, 3)) for _ in range(2))
    assert one.knobs == same.knobs
    assert all(one.knobs[knob] in grid for knob, grid in metric.knobs.items())
    assert set(one.knobs) == set(metric.names())
    assert 0 < one.harmonic_mean <= 1
    for scores, codes in zip(one.scores, one.codes, strict=True):
        assert scores.shape == (len(codes), 9)
        assert codes.max() == 8


def test_knobs_never_see_the_classes_that_are_added_later():
    X, y = world()
    classifier = PrototypeClassifier().fit(X, y)
    knobs, temperature = dict(classifier.knobs_), classifier.temperature_
    classifier.add_class(99, X[:5] + 9)
    assert (classifier.knobs_, classifier.temperature_) == (knobs, temperature)


def test_given_knobs_are_kept_and_strange_ones_refused():
    X, y = world()
    classifier = PrototypeClassifier(knobs={"within_shrinkage": 0.25}).fit(X, y)
    assert classifier.knobs_ == {"within_shrinkage": 0.25, "between_shrinkage": 0.9}
    with pytest.raises(InputError, match="'plda' has no knob 'alpha'; its knobs: within_shrinkage, between_shrinkage"):
        PrototypeClassifier(knobs={"alpha": 1.0}).fit(X, y)
    with pytest.raises(InputError, match="'cosine' has no knob 'alpha'; its knobs: none"):
        PrototypeClassifier(metric="cosine", knobs={"alpha": 1.0}).fit(X, y)
    with pytest.raises(InputError, match="a mapping from name to number, or 'auto', but 'best' came"):
        PrototypeClassifier(knobs="best").fit(X, y)


def test_too_few_classes_leave_the_defaults():
    X, y = world(classes=2)
    classifier = PrototypeClassifier().fit(X, y)
    assert classifier.knobs_ == metric_named("plda").defaults
    assert choose_knobs(metric_named("plda"), rehearse(metric_named("plda"), X, y)) is None


def test_the_harmonic_mean_of_an_offset_is_the_one_counted_by_hand():
    random = np.random.default_rng(0)
    old, new, codes = random.standard_normal((3, 50, 4)), random.standard_normal((3, 50, 2)), np.arange(50) % 6
    offsets = np.array([-0.5, 0.0, 0.8])
    found = _Lead.of(old, new, codes).harmonic_means(offsets)
    for offset, mean in zip(offsets, found, strict=True):
        each = []
        for draw in range(3):
            named = np.hstack([old[draw], new[draw] + offset]).argmax(axis=1)
            right = [np.mean(named[codes == c] == c) for c in range(6)]
            a, b = np.mean(right[:4]), np.mean(right[4:])
            each.append(2 * a * b / (a + b))
        assert mean == pytest.approx(np.mean(each))


def test_within_a_standard_error_the_defaults_win_and_beyond_it_the_data():
    noisy = np.array([[0.5, 0.9], [0.9, 0.5], [0.5, 0.9], [0.88, 0.5]])
    assert _nearest_of_the_best(noisy, np.array([0.0, 1.0])) == 0
    assert _nearest_of_the_best(noisy, np.array([1.0, 0.0])) == 1
    clear = np.array([[0.5, 0.7], [0.52, 0.71], [0.49, 0.7], [0.5, 0.72]])
    assert _nearest_of_the_best(clear, np.array([0.0, 9.0])) == 1


def test_more_shots_make_hidden_classes_easier():
    X, y = world(spread=2.0)
    metric = metric_named("euclidean")
    assert SHOTS == (1, 5)
    one = next(rehearse(metric, X, y))
    center = one.shot_means[1].mean(axis=0)
    single, several = (np.linalg.norm(means - center, axis=2).mean() for means in one.shot_means)
    assert several < single


@pytest.mark.parametrize("metric", ["plda", "mahalanobis", "teen", "ridge"])
def test_the_order_of_the_rows_chooses_nothing(metric):
    X, y = world()
    shuffled = np.random.default_rng(5).permutation(len(X))
    one = PrototypeClassifier(metric=metric).fit(X, y)
    other = PrototypeClassifier(metric=metric).fit(X[shuffled], y[shuffled])
    assert one.knobs_ == other.knobs_
    assert one.temperature_ == other.temperature_
