import numpy as np
import pytest
from blobs import blobs

from ncapps.benchmarks.generalized_few_shot import accuracies, draw_few_shot, name_asked
from ncapps.errors import InputError
from ncapps.fewshot import PrototypeClassifier


def test_no_image_stands_in_two_parts_and_the_seed_decides():
    _, y = blobs(classes=10, each=25)
    draw = draw_few_shot(y, shots=5, seed=3)
    assert (len(draw.base), len(draw.new)) == (6, 4)
    shots = np.concatenate(list(draw.shots.values()))
    parts = [set(draw.fitted), set(shots), set(draw.asked)]
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert set(y[draw.fitted]) == set(draw.base)
    assert set(y[shots]) == set(draw.new) == set(draw.shots)
    assert set(y[draw.asked]) == set(y)
    again, other = (draw_few_shot(y, shots=5, seed=seed) for seed in (3, 4))
    assert np.array_equal(again.asked, draw.asked)
    assert not np.array_equal(other.fitted, draw.fitted)


def test_every_class_counts_alike():
    named = np.array(["a", "a", "a", "b", "a", "c"])
    true = np.array(["a", "a", "a", "b", "b", "c"])
    found = accuracies(named, true, ("a", "b"))
    assert (found.base, found.new, found.overall) == (0.75, 1.0, pytest.approx(2.5 / 3))
    assert found.harmonic == pytest.approx(1.5 / 1.75)


def test_the_classifier_is_left_as_it_came():
    X, y = blobs(classes=6, each=20)
    draw = draw_few_shot(y, shots=5)
    classifier = PrototypeClassifier(metric="cosine").fit(X[draw.fitted], y[draw.fitted])
    before = classifier.state_hash()
    named, confidence = name_asked(classifier, X, draw, 5)
    assert classifier.state_hash() == before
    assert 0.9 < accuracies(named, y[draw.asked], draw.base).harmonic <= 1
    for name, rows in draw.shots.items():
        classifier.add_class(name, X[rows])
    assert named.tolist() == classifier.predict(X[draw.asked]).tolist()
    assert confidence == pytest.approx(classifier.predict_proba(X[draw.asked]).max(axis=1))


def test_errors_name_the_cause():
    with pytest.raises(InputError, match="make three, but the labels name 2"):
        draw_few_shot(np.array(["a", "b"] * 20), shots=5)
    with pytest.raises(InputError, match="make 6, but class 'c' has 5"):
        draw_few_shot(np.repeat(["a", "b", "c"], [20, 20, 5]), shots=5)
