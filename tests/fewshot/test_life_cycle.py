import numpy as np
import pytest
from blobs import blobs
from hypothesis import given, settings
from hypothesis import strategies as st

from ncapps.errors import InputError
from ncapps.fewshot import METRICS, PrototypeClassifier
from ncapps.fewshot.audit import digest


def fitted(metric="plda", **settings):
    X, y = blobs()
    return PrototypeClassifier(metric=metric, knobs={}, temperature=1.0, **settings).fit(X, y), X


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=12), st.sampled_from(sorted(METRICS)))
def test_any_history_of_additions_and_removals_ends_where_its_last_classes_say(history, metric):
    if metric == "ranpac":
        metric = "ridge"
    classifier, X = fitted(metric)
    images = {f"new {i}": X[3 * i : 3 * i + 3] + 2 + i for i in range(5)}
    present = set()
    for add, which in history:
        name = f"new {which}"
        if add and name not in present:
            classifier.add_class(name, images[name])
            present.add(name)
        elif not add and name in present:
            classifier.remove_class(name)
            present.remove(name)
    straight, _ = fitted(metric)
    for name in sorted(present, reverse=True):
        straight.add_class(name, images[name])
    assert classifier.state_hash() == straight.state_hash()
    assert np.array_equal(classifier.scores(X), straight.scores(X))


def test_every_change_leaves_an_entry_that_is_saved_with_the_model(tmp_path):
    classifier, X = fitted()
    classifier.add_class("kiwi", X[:5] + 3).rename_class("kiwi", "bird").remove_class("bird").remove_class("class 0")
    classifier.partial_fit(X[20:24], ["class 1"] * 4)
    told = [(entry.action, entry.classes, entry.images) for entry in classifier.audit_]
    assert told == [
        ("fit", ("class 0", "class 1", "class 2", "class 3"), 80),
        ("add", ("kiwi",), 5),
        ("rename", ("kiwi", "bird"), 5),
        ("remove", ("bird",), 5),
        ("remove", ("class 0",), 20),
        ("partial_fit", ("class 1",), 4),
    ]
    assert classifier.audit_[1].digest == classifier.audit_[3].digest == digest(X[:5] + 3)
    assert classifier.audit_[4].digest == ""
    assert all(entry.when.endswith("+00:00") for entry in classifier.audit_)
    classifier.save(tmp_path / "c")
    assert PrototypeClassifier.load(tmp_path / "c").audit_ == classifier.audit_


@pytest.mark.parametrize("name", ["class 1", "kiwi"])
def test_another_name_moves_no_score(name):
    classifier, X = fitted()
    classifier.add_class("kiwi", X[:5] + 3)
    before = dict(zip(classifier.classes_, classifier.scores(X).T, strict=True))
    after = classifier.rename_class(name, "apple")
    assert after.classes_.tolist() == sorted(["apple", *(set(before) - {name})])
    for new, column in zip(after.classes_, after.scores(X).T, strict=True):
        assert np.array_equal(column, before[name if new == "apple" else new])
    assert np.array_equal(after.rename_class("apple", name).scores(X), np.stack([*before.values()], axis=1))


def test_merged_added_classes_are_one_class_of_all_their_images():
    classifier, X = fitted()
    classifier.add_class("a", X[:3] + 3).add_class("b", X[3:8] + 3).merge_classes(["b", "a"], into="both")
    other, _ = fitted()
    other.add_class("both", np.concatenate([X[3:8], X[:3]]) + 3)
    assert classifier.classes_.tolist() == other.classes_.tolist()
    assert classifier.state_hash() == other.state_hash()
    assert (classifier.audit_[-1].classes, classifier.audit_[-1].images) == (("b", "a", "both"), 8)


@pytest.mark.parametrize("into", ["class 0", "class 1", "both"])
def test_merged_fitted_classes_have_the_mean_and_count_of_all_their_images(into):
    classifier, X = fitted("euclidean")
    classifier.merge_classes(["class 0", "class 1"], into=into)
    place = classifier.classes_.tolist().index(into)
    assert len(classifier.classes_) == 3
    assert np.allclose(classifier.prototypes_[place], X[:40].mean(axis=0))
    assert classifier.table_.counts[place] == 40


def test_an_added_class_can_be_merged_into_a_fitted_one():
    classifier, X = fitted("euclidean")
    classifier.add_class("kiwi", X[:5] + 3).merge_classes(["kiwi", "class 2"], into="class 2")
    place = classifier.classes_.tolist().index("class 2")
    assert np.allclose(classifier.prototypes_[place], np.concatenate([X[40:60], X[:5] + 3]).mean(axis=0))
    assert classifier.added_ == {}


def test_what_is_left_of_a_class_is_told():
    classifier, X = fitted()
    classifier.add_class("kiwi", X[:5] + 3)
    assert classifier.remainder("kiwi").exact
    left = classifier.remainder("class 1")
    assert (left.exact, left.images, "within-class scatter" in left.where) == (False, 20, True)


def test_a_change_that_is_refused_changes_nothing():
    classifier, X = fitted()
    classifier.add_class("kiwi", X[:5] + 3)
    before, audit = classifier.state_hash(), classifier.audit_
    for change, reason in (
        (lambda: classifier.rename_class("kiwi", "class 1"), "merge_classes makes one class of two"),
        (lambda: classifier.rename_class("pear", "plum"), "is not known"),
        (lambda: classifier.rename_class("kiwi", 7), "mixed type"),
        (lambda: classifier.merge_classes(["kiwi"], into="kiwi"), "two classes or more, but 1 came"),
        (lambda: classifier.merge_classes(["kiwi", "class 1"], into="class 2"), "is there already"),
        (lambda: classifier.merge_classes(["kiwi", "pear"], into="kiwi"), "is not known"),
        (lambda: classifier.remainder("pear"), "is not known"),
    ):
        with pytest.raises(InputError, match=reason):
            change()
    assert (classifier.state_hash(), classifier.audit_) == (before, audit)


@pytest.mark.parametrize("metric", ["plda", "mahalanobis"])
def test_images_that_come_after_fitted_classes_went_do_not_widen_the_others(metric, tmp_path):
    X, y = blobs(classes=12)
    classifier = PrototypeClassifier(metric=metric, knobs={}, temperature=1.0).fit(X, y)
    covariance = classifier.statistics_.within_covariance
    for name in sorted(set(y.tolist()))[2:]:
        classifier.remove_class(name)
    classifier.save(tmp_path / "c")
    for one in (classifier, PrototypeClassifier.load(tmp_path / "c")):
        few = one.prototypes_[[0]] / np.linalg.norm(one.prototypes_[[0]]) if metric == "plda" else one.prototypes_[[0]]
        one.partial_fit(few, [one.classes_[0]])
        assert np.trace(one.statistics_.within_covariance) == pytest.approx(np.trace(covariance), rel=0.1)
        assert one.statistics_.total == 41


def test_the_order_in_which_fitted_classes_go_leaves_no_trace():
    one, X = fitted()
    other, _ = fitted()
    one.remove_class("class 0").remove_class("class 2").partial_fit(X[20:22], ["class 1"] * 2)
    other.remove_class("class 2").remove_class("class 0").partial_fit(X[20:22], ["class 1"] * 2)
    assert one.state_hash() == other.state_hash()


def test_the_trail_has_a_digest_of_each_class(tmp_path):
    X, y = blobs(classes=4, each=12)
    classifier = PrototypeClassifier(metric="cosine").fit(X, y).partial_fit(X[:14] + 1, y[:14])
    classifier.add_class("late", X[:5] + 3)
    fit, more, add = classifier.audit_
    assert fit.class_digests == tuple(digest(X[y == name]) for name in fit.classes)
    assert more.class_digests == (digest(X[:12] + 1), digest(X[12:14] + 1))
    assert add.class_digests == (add.digest,)
    classifier.save(tmp_path / "c")
    assert PrototypeClassifier.load(tmp_path / "c").audit_ == classifier.audit_
