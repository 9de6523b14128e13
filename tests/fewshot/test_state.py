import numpy as np
import pytest
from blobs import blobs

from ncapps import persist
from ncapps.errors import InputError
from ncapps.fewshot import METRICS, PrototypeClassifier
from ncapps.fewshot.state import KIND, VERSION, pack, state_hash, unpack


def fitted(metric="plda", **settings):
    X, y = blobs()
    return PrototypeClassifier(metric=metric, knobs={}, temperature=1.0, **settings).fit(X, y), X


@pytest.mark.parametrize("metric", METRICS)
def test_a_restored_classifier_answers_bit_for_bit(metric):
    classifier, X = fitted(metric)
    classifier.add_class("kiwi", X[:5] + 3).remove_class("class 1")
    again = unpack(PrototypeClassifier, *pack(classifier))
    assert np.array_equal(again.scores(X), classifier.scores(X))
    assert (again.get_params(), again.knobs_, again.audit_) == (
        classifier.get_params(),
        classifier.knobs_,
        classifier.audit_,
    )
    assert state_hash(again) == state_hash(classifier)


def test_the_hash_sees_all_that_answers_depend_on_and_not_the_audit_trail():
    classifier, X = fitted()
    before = state_hash(classifier)
    classifier.audit_ = ()
    assert state_hash(classifier) == before
    hashes = {before}
    for change in ("temperature_", "knobs_", "learned_", "frame_", "priors"):
        one, _ = fitted()
        value = {"temperature_": 2.0, "knobs_": {}, "frame_": {}, "priors": {"class 0": 2.0}}.get(change)
        setattr(one, change, {**one.learned_, "rest": one.learned_["rest"] + 1e-9} if value is None else value)
        hashes.add(state_hash(one))
    assert len(hashes) == 6


def test_a_file_of_the_first_version_or_with_a_hole_is_refused(tmp_path):
    classifier, _ = fitted()
    arrays, header = pack(classifier)
    persist.save(tmp_path / "old", KIND, 1, arrays, header)
    with pytest.raises(InputError, match="version"):
        PrototypeClassifier.load(tmp_path / "old")
    del header["fitted_knobs"]
    persist.save(tmp_path / "hole", KIND, VERSION, arrays, header)
    with pytest.raises(InputError, match="lacks 'fitted_knobs'; is the file damaged"):
        PrototypeClassifier.load(tmp_path / "hole")
