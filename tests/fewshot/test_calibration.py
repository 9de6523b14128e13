import numpy as np
import pytest
from blobs import blobs

from ncapps import conformal, persist
from ncapps.benchmarks.coverage import share_in_band
from ncapps.errors import InputError
from ncapps.features import FeatureStore
from ncapps.fewshot import METRICS, PrototypeClassifier
from ncapps.fewshot.calibration import Calibrated
from ncapps.fewshot.state import KIND, pack

METRICS_IN_TIME = [name for name in METRICS if name != "ranpac"]


def fitted(metric="plda", spread=0.8, names=None):
    """Return a classifier, 300 held-out images of its classes, and 200 of classes that it has never seen."""
    X, y = blobs(classes=8, each=100, width=10, spread=spread)
    y = y if names is None else np.asarray(names)[np.unique(y, return_inverse=True)[1]]
    known = np.arange(len(X)) < 600
    seen = known & (np.arange(len(X)) % 2 == 0)
    classifier = PrototypeClassifier(metric=metric, knobs={}, temperature=1.0).fit(X[seen], y[seen])
    return classifier, X[known & ~seen], X[~known]


@pytest.mark.parametrize("metric", METRICS)
def test_the_rejection_lies_in_the_band_over_random_splits(metric):
    classifier, held_out, _ = fitted(metric)
    scores = classifier.score_samples(held_out)
    for rate in (0.05, 0.1):
        assert share_in_band(scores, 150, rate) >= 0.9


@pytest.mark.parametrize("metric", METRICS_IN_TIME)
def test_an_image_is_unknown_just_when_its_p_value_is_at_most_the_rate(metric):
    classifier, held_out, strange = fitted(metric)
    classifier.calibrate(held_out[::2])
    images = np.concatenate([held_out[1::2], strange])
    p_values, names = classifier.p_values(images), classifier.predict(images)
    assert np.array_equal(p_values, conformal.p_values(classifier.score_samples(images), classifier.calibrated_.scores))
    for rate in (0.02, 0.05, 0.3):
        answer = classifier.predict(images, reject_rate=rate)
        assert np.array_equal(answer == "unknown", p_values <= rate)
        assert np.array_equal(answer[p_values > rate], names[p_values > rate])


@pytest.mark.parametrize("metric", ["plda", "mahalanobis", "euclidean"])
def test_images_of_no_known_class_are_called_unknown(metric):
    classifier, held_out, strange = fitted(metric)
    answer = classifier.calibrate(held_out).predict(strange, reject_rate=0.05)
    assert np.mean(answer == "unknown") > 0.9


def test_the_mark_is_of_the_kind_of_the_names_and_never_one_of_them():
    classifier, held_out, strange = fitted()
    classifier.calibrate(held_out)
    assert "a longer mark than any name" in classifier.predict(
        strange, reject_rate=0.05, unknown="a longer mark than any name"
    )
    with pytest.raises(InputError, match="unknown='class 1' is the name of a class"):
        classifier.predict(strange, reject_rate=0.05, unknown="class 1")
    with pytest.raises(InputError, match="the classes are strings, but unknown=-1 came"):
        classifier.predict(strange, reject_rate=0.05, unknown=-1)
    numbered, held_out, strange = fitted(names=range(8))
    numbered.calibrate(held_out)
    assert set(numbered.predict(strange, reject_rate=0.05).tolist()) >= {-1}
    assert -7 in numbered.predict(strange, reject_rate=0.05, unknown=-7)


@pytest.mark.parametrize("metric", METRICS_IN_TIME)
def test_an_added_class_leaves_the_threshold_bit_for_bit_and_its_removal_the_state(metric):
    classifier, held_out, strange = fitted(metric)
    classifier.calibrate(held_out)
    state, scores, p_values = (
        classifier.state_hash(),
        classifier.calibrated_.scores.copy(),
        classifier.p_values(strange),
    )
    classifier.add_class("kiwi", strange[:5])
    assert np.array_equal(classifier.calibrated_.scores, scores)
    if metric != "ridge":
        # The weights of "ridge" move; elsewhere one more class can only make an image more at home.
        assert (classifier.p_values(strange) >= p_values).all()
    assert classifier.remainder("kiwi").exact
    assert classifier.remove_class("kiwi").state_hash() == state
    assert np.array_equal(classifier.p_values(strange), p_values)


def test_a_class_that_was_there_when_it_was_calibrated_leaves_that_behind():
    classifier, held_out, strange = fitted()
    classifier.add_class("kiwi", strange[:5]).calibrate(held_out)
    left = classifier.remainder("kiwi")
    assert (left.exact, left.where) == (False, ("calibration of the threshold",))
    assert "calibration of the threshold" in classifier.remainder("class 1").where
    classifier.calibrate_temperature(held_out[:50], ["class 0"] * 50)
    assert classifier.remainder("kiwi").where == ("calibration of the threshold", "calibration of the temperature")
    assert classifier.rename_class("kiwi", "bird").remainder("bird").where == classifier.calibrated_.parts_with("bird")
    assert not classifier.remainder("bird").exact


def test_what_moves_the_known_classes_clears_the_threshold():
    for change in (
        lambda one, X: one.partial_fit(X[:2], ["class 1", "class 2"]),
        lambda one, X: one.merge_classes(["class 1", "class 2"], into="class 1"),
    ):
        classifier, held_out, _ = fitted()
        classifier.calibrate(held_out)
        change(classifier, held_out)
        with pytest.raises(InputError, match="the threshold is not set; call calibrate"):
            classifier.p_values(held_out)
    with pytest.raises(InputError, match="the threshold is not set; call calibrate"):
        fitted()[0].predict(held_out, reject_rate=0.05)


def test_it_is_saved_and_hashed_and_older_files_have_none(tmp_path):
    classifier, held_out, strange = fitted()
    before = classifier.state_hash()
    classifier.add_class("kiwi", strange[:5]).calibrate(held_out)
    classifier.save(tmp_path / "new")
    loaded = PrototypeClassifier.load(tmp_path / "new")
    assert loaded.state_hash() == classifier.state_hash() != before
    assert np.array_equal(loaded.p_values(strange), classifier.p_values(strange))
    assert loaded.remainder("kiwi") == classifier.remainder("kiwi")
    arrays, header = pack(classifier)
    del arrays["calibrated.scores"], header["calibrated_with"]
    persist.save(tmp_path / "old", KIND, 2, arrays, header)
    old = PrototypeClassifier.load(tmp_path / "old")
    assert np.array_equal(old.scores(strange), classifier.scores(strange))
    assert len(old.calibrated_.scores) == 0


def test_too_few_images_for_the_rate_are_refused():
    classifier, held_out, _ = fitted()
    classifier.calibrate(held_out[:10])
    with pytest.raises(InputError, match="10 calibration images can't hold a false-alarm rate of 0.05"):
        classifier.predict(held_out, reject_rate=0.05)
    with pytest.raises(InputError, match="1 image\\(s\\) or more"):
        classifier.calibrate(held_out[:0])


def test_a_renamed_class_is_told_of_under_its_new_name():
    one = Calibrated(threshold_classes=("a", "c"), temperature_classes=("a",)).renamed("a", "d")
    assert (one.threshold_classes, one.temperature_classes) == (("c", "d"), ("d",))
    assert one.parts_with("a") == ()


def test_rows_on_disk_go_with_the_class_on_request(tmp_path):
    from test_erase import filled

    store, values = filled(tmp_path)
    assert isinstance(store, FeatureStore)
    classifier = PrototypeClassifier(metric="euclidean", knobs={}, temperature=1.0).fit(
        values.astype(float), ["cat", "dog"] * 5
    )
    classifier.remove_class("cat", store=store)
    assert [(entry.action, entry.images) for entry in classifier.audit_[1:]] == [("remove", 5), ("erase", 3)]
    assert "cat" not in store.read().labels
    with pytest.raises(InputError, match="is the last one"):
        classifier.remove_class("dog", store=store)
    assert "dog" in store.read().labels
