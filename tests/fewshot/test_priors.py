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


def test_a_prior_follows_its_class():
    X, y = blobs(spread=2.5)
    names = {"class 1": 4.0, "class 2": 2.0}

    def fitted():
        return PrototypeClassifier(metric="euclidean", temperature=3.0, priors=names).fit(X, y)

    before = fitted().predict_proba(X)
    renamed = fitted().rename_class("class 1", "class 1b")
    assert np.array_equal(renamed.predict_proba(X), before)
    assert renamed.rename_class("class 1b", "class 1").state_hash() == fitted().state_hash()
    merged = fitted().merge_classes(["class 0", "class 1"], into="both")
    assert merged.priors == {"both": 5.0, "class 2": 2.0}
    assert merged.predict(X).shape == y.shape
    left = fitted().remove_class("class 1")
    assert left.priors == {"class 2": 2.0}
    assert np.allclose(left.predict_proba(X) * (1 - before[:, [1]]), np.delete(before, 1, axis=1))
    assert names == {"class 1": 4.0, "class 2": 2.0}


def test_errors_name_the_cause():
    names = np.array(["a", "b"])
    with pytest.raises(InputError, match=r"'kiwi' is not known; the classes are 'a', 'b'; priors name it: add it"):
        log_priors({"kiwi": 2.0}, names)
    with pytest.raises(InputError, match="prior of class 'a' must be above 0, but 0 came"):
        log_priors({"a": 0}, names)
