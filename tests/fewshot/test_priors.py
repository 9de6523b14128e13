import numpy as np
import pytest
from blobs import blobs

from ncapps.errors import InputError
from ncapps.fewshot import PrototypeClassifier
from ncapps.fewshot.priors import log_priors


def test_priors_multiply_the_odds():
    X, y = blobs(spread=2.5)
    plain = PrototypeClassifier(metric="euclidean", temperature=3.0).fit(X, y)
    tilted = PrototypeClassifier(metric="euclidean", temperature=3.0, priors={"class 1": 4.0}).fit(X, y)
    one, two = plain.predict_proba(X), tilted.predict_proba(X)
    assert np.allclose(two[:, 1] / two[:, 0], 4 * one[:, 1] / one[:, 0])
    assert np.allclose(two[:, 2] / two[:, 0], one[:, 2] / one[:, 0])
    assert (tilted.predict(X) == tilted.classes_[two.argmax(axis=1)]).all()
    assert np.array_equal(plain.scores(X), tilted.scores(X))


def test_priors_may_name_an_added_class_and_survive_a_file(tmp_path):
    X, y = blobs()
    classifier = PrototypeClassifier(metric="euclidean", priors={"kiwi": 0.5, "class 0": 2.0}).fit(X, y)
    classifier.add_class("kiwi", X[:4] + 1).save(tmp_path / "c")
    loaded = PrototypeClassifier.load(tmp_path / "c")
    assert loaded.priors == classifier.priors
    assert np.array_equal(loaded.predict_proba(X), classifier.predict_proba(X))


def test_integer_names_are_integers_again(tmp_path):
    X, y = blobs()
    classifier = PrototypeClassifier(metric="cosine", priors={3: 2.0}).fit(X, np.repeat([1, 2, 3, 9], 20))
    classifier.save(tmp_path / "c")
    assert PrototypeClassifier.load(tmp_path / "c").priors == {3: 2.0}


def test_errors_name_the_cause():
    names = np.array(["a", "b"])
    with pytest.raises(InputError, match="'kiwi' is not known"):
        log_priors({"kiwi": 2.0}, names)
    with pytest.raises(InputError, match="prior of class 'a' must be above 0, but 0 came"):
        log_priors({"a": 0}, names)
