import threading

import numpy as np
import pytest
import torch
from blobs import blobs
from hypothesis import given, settings
from hypothesis import strategies as st

from ncapps.errors import InputError
from ncapps.fewshot import METRICS, PrototypeClassifier
from ncapps.statistics import ClassStatistics


@pytest.mark.parametrize("metric", METRICS)
def test_separated_classes_are_named_right(metric):
    X, y = blobs()
    classifier = PrototypeClassifier(metric=metric).fit(X[::2], y[::2])
    assert (classifier.predict(X[1::2]) == y[1::2]).all()
    assert classifier.score(X[1::2], y[1::2]) == 1.0


def test_euclidean_is_the_nearest_class_mean_written_out():
    X, y = blobs(spread=2.0)
    means = np.stack([X[y == name].mean(axis=0) for name in np.unique(y)])
    expected = np.unique(y)[[np.argmin([np.sum((x - mean) ** 2) for mean in means]) for x in X]]
    assert (PrototypeClassifier(metric="euclidean").fit(X, y).predict(X) == expected).all()


@pytest.mark.parametrize("metric", METRICS)
def test_removing_an_added_class_gives_the_state_before_bit_for_bit(metric):
    X, y = blobs()
    classifier = PrototypeClassifier(metric=metric).fit(X, y)
    state, scores = classifier.state_hash(), classifier.scores(X)
    rest = np.random.default_rng(1).standard_normal((5, 6))
    classifier.add_class("kiwi", rest).add_class("aardvark", rest + 1)
    assert classifier.classes_.tolist() == ["aardvark", *np.unique(y), "kiwi"]
    assert classifier.state_hash() != state
    classifier.remove_class("aardvark").remove_class("kiwi")
    assert classifier.state_hash() == state
    assert np.array_equal(classifier.scores(X), scores)


def test_adding_a_class_moves_no_other_score():
    X, y = blobs()
    classifier = PrototypeClassifier().fit(X, y)
    before, temperature = classifier.scores(X), classifier.temperature_
    classifier.add_class("zebra", X[:3] + 9)
    assert np.allclose(classifier.scores(X)[:, :4], before, rtol=1e-12)
    assert classifier.temperature_ == temperature


def test_order_of_adding_does_not_matter():
    X, y = blobs()
    a, b = X[:5] + 4, X[5:10] - 4
    one = PrototypeClassifier().fit(X, y).add_class("a", a).add_class("b", b)
    other = PrototypeClassifier().fit(X, y).add_class("b", b).add_class("a", a)
    assert one.state_hash() == other.state_hash()
    assert np.array_equal(one.scores(X), other.scores(X))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 79))
def test_partial_fit_in_two_parts_is_one_fit_of_the_prototypes(seed, cut):
    X, y = blobs(seed=seed)
    order = np.random.default_rng(seed).permutation(len(X))
    X, y = X[order], y[order]
    whole = PrototypeClassifier(temperature=1.0, knobs={}).fit(X, y)
    parts = PrototypeClassifier(temperature=1.0, knobs={})
    parts.partial_fit(X[:cut], y[:cut]).partial_fit(X[cut:], y[cut:])
    assert np.allclose(whole.prototypes_, parts.prototypes_, rtol=1e-10, atol=1e-12)
    assert np.allclose(whole.scores(X), parts.scores(X), rtol=1e-8, atol=1e-8)


def test_partial_fit_gives_an_added_class_more_images():
    X, y = blobs()
    more = np.random.default_rng(3).standard_normal((6, 6))
    classifier = PrototypeClassifier(metric="euclidean").fit(X, y).add_class("kiwi", more[:2])
    center = classifier.learned_["center"]
    classifier.partial_fit(more[2:], ["kiwi"] * 4)
    assert np.allclose(classifier.prototypes_[list(classifier.classes_).index("kiwi")], more.mean(axis=0))
    assert np.array_equal(classifier.learned_["center"], center)
    assert "kiwi" not in PrototypeClassifier().fit(X, y).classes_
    assert "kiwi" not in classifier.remove_class("kiwi").classes_


def test_a_fitted_class_can_be_removed_too():
    X, y = blobs()
    classifier = PrototypeClassifier().fit(X, y).remove_class("class 2")
    assert classifier.classes_.tolist() == ["class 0", "class 1", "class 3"]
    assert "class 2" not in classifier.predict(X)


def test_integer_labels_with_gaps_stay_integers():
    X, y = blobs()
    codes = np.array([7, -3, 40, 1000])[np.unique(y, return_inverse=True)[1]]
    classifier = PrototypeClassifier().fit(X, codes)
    assert classifier.classes_.tolist() == [-3, 7, 40, 1000]
    assert (classifier.predict(X) == codes).all()


def test_probabilities_add_up_and_their_temperature_is_fitted_on_left_out_images():
    X, y = blobs(spread=2.5)
    classifier = PrototypeClassifier(metric="euclidean").fit(X, y)
    probabilities = classifier.predict_proba(X)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert (probabilities.argmax(1) == classifier.scores(X).argmax(1)).all()
    cold = PrototypeClassifier(metric="euclidean", temperature=1e-3).fit(X, y).predict_proba(X)
    assert cold.max(axis=1).mean() > probabilities.max(axis=1).mean()


def test_statistics_alone_suffice():
    X, y = blobs()
    settings = {"metric": "mahalanobis", "temperature": 0.1, "knobs": {}}
    from_images = PrototypeClassifier(**settings).fit(X, y)
    from_sums = PrototypeClassifier(**settings).fit_statistics(ClassStatistics.from_features(X, y))
    assert np.array_equal(from_images.scores(X), from_sums.scores(X))
    assert PrototypeClassifier(metric="euclidean").fit_statistics(ClassStatistics.from_features(X, y)).temperature_ > 0


def test_one_image_is_scored_as_in_a_batch():
    X, y = blobs()
    classifier = PrototypeClassifier().fit(X, y)
    assert np.allclose(classifier.scores(X)[3], classifier.scores(X[3:4])[0], atol=1e-12)


def test_save_and_load_keep_every_bit(tmp_path):
    X, y = blobs()
    classifier = PrototypeClassifier(metric="euclidean").fit(X, y).add_class("kiwi", X[:5] + 3)
    classifier.save(tmp_path / "c.safetensors")
    loaded = PrototypeClassifier.load(tmp_path / "c.safetensors")
    assert loaded.state_hash() == classifier.state_hash()
    assert np.array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    assert loaded.get_params() == classifier.get_params()
    assert loaded.remove_class("kiwi").state_hash() == classifier.remove_class("kiwi").state_hash()


def test_tensors_in_tensors_out():
    X, y = blobs()
    classifier = PrototypeClassifier().fit(torch.from_numpy(X), y)
    assert isinstance(classifier.predict_proba(torch.from_numpy(X)), torch.Tensor)
    assert isinstance(classifier.predict(torch.from_numpy(X)), np.ndarray)


def test_errors_name_the_cause():
    X, y = blobs()
    classifier = PrototypeClassifier().fit(X, y)
    with pytest.raises(InputError, match="is there already"):
        classifier.add_class("class 1", X[:5])
    with pytest.raises(InputError, match="came without an image"):
        classifier.add_class("kiwi", X[:0])
    with pytest.raises(InputError, match="mixed type"):
        classifier.add_class(8, X[:5])
    with pytest.raises(InputError, match="is not known; the classes are"):
        classifier.remove_class("kiwi")
    with pytest.raises(InputError, match="X has 5 features, but PrototypeClassifier is expecting 6"):
        classifier.predict(X[:, :5])
    with pytest.raises(InputError, match="NaN or infinity in 1 of 2 rows, the first is row 1"):
        classifier.predict(np.stack([X[0], X[0] * np.nan]))
    with pytest.raises(
        InputError, match="metric 'manhattan' is not known; choose one of plda, mahalanobis, euclidean, cosine"
    ):
        PrototypeClassifier(metric="manhattan").fit(X, y)
    with pytest.raises(InputError, match="temperature must be above 0, or 'auto', but -1.0 came"):
        PrototypeClassifier(temperature=-1.0).fit(X, y)
    with pytest.raises(InputError, match="is the last one"):
        PrototypeClassifier().fit(X[:20], y[:20]).remove_class("class 0")
    with pytest.raises(InputError, match="1 image\\(s\\) or more are needed, but 0 came"):
        PrototypeClassifier().fit(X[:0], y[:0])


@pytest.mark.parametrize("metric", METRICS)
def test_the_frozen_centre_survives_a_file(metric, tmp_path):
    X, y = blobs()
    classifier = PrototypeClassifier(metric=metric).fit(X, y).remove_class("class 2")
    classifier.save(tmp_path / "c")
    loaded = PrototypeClassifier.load(tmp_path / "c")
    assert np.array_equal(loaded.scores(X), classifier.scores(X))
    assert loaded.state_hash() == classifier.state_hash()


def test_single_images_do_not_set_the_temperature():
    X, y = blobs(spread=2.5)
    more, names = np.concatenate([X, X[:3] + 9]), [*y, "one", "two", "three"]
    alone = PrototypeClassifier().fit(X[::20], y[::20])
    assert alone.temperature_ == PrototypeClassifier().fit_statistics(alone.statistics_).temperature_
    with_single, without = PrototypeClassifier().fit(more, names), PrototypeClassifier().fit(X, y)
    assert with_single.temperature_ == pytest.approx(without.temperature_, rel=0.2)


def test_a_reader_never_sees_half_a_class():
    X, y = blobs()
    classifier = PrototypeClassifier().fit(X, y)
    few, stop, failed = X[:3] + 50, threading.Event(), []

    def read():
        while not stop.is_set():
            try:
                failed.extend(set(classifier.predict(X[-20:]).tolist()) - {"class 3"})
                failed.extend(set(classifier.predict_batch(X[-20:], transductive="bd_cspn").tolist()) - {"class 3"})
                classifier.add_class("kiwi", few - 99, dry_run=True)
            except (ValueError, IndexError) as error:
                failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(300):
        classifier.add_class("aardvark", few).remove_class("aardvark")
    stop.set()
    reader.join()
    assert not failed


@pytest.mark.parametrize("metric", ["plda", "mahalanobis"])
def test_a_reader_never_mixes_two_geometries(metric):
    X, y = blobs()
    classifier = PrototypeClassifier(metric=metric, knobs={}, temperature=1.0).fit(X, y)
    # What a reader does, with a change of another thread in the midst of it.
    table, before = classifier.table_, classifier.scores(X[:5])
    classifier.partial_fit(9 * X[:8], y[:8])
    assert np.array_equal(classifier._scores(X[:5], table), before)
    assert not np.array_equal(classifier.scores(X[:5]), before)


def test_a_temperature_from_held_out_images_has_the_least_loss_there():
    X, y = blobs(spread=2.5)
    classifier = PrototypeClassifier(metric="euclidean").fit(X[::2], y[::2]).calibrate_temperature(X[1::2], y[1::2])

    def loss(temperature):
        one = PrototypeClassifier(metric="euclidean", temperature=temperature).fit(X[::2], y[::2])
        probabilities = one.predict_proba(X[1::2])
        return -np.log(probabilities[np.arange(len(X) // 2), np.searchsorted(one.classes_, y[1::2])]).mean()

    best = classifier.temperature_
    assert loss(best) <= min(loss(0.7 * best), loss(1.4 * best))
    with pytest.raises(InputError, match="class 'kiwi' is not known"):
        classifier.calibrate_temperature(X[:1], ["kiwi"])
    with pytest.raises(InputError, match="must be above 0, or 'auto', but 'hot' came"):
        PrototypeClassifier(temperature="hot").fit(X, y)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shots", [1, 5])
def test_adding_a_class_hardly_costs_the_known_ones_on_wide_features_that_are_not_collapsed(metric, shots):
    random = np.random.default_rng(0)
    centers, width = 0.35 * random.standard_normal((6, 600)), 600

    def draw(name, count):
        return centers[name] + random.standard_normal((count, width))

    classifier = PrototypeClassifier(metric=metric).fit(
        np.concatenate([draw(c, 60) for c in range(5)]), np.repeat(np.arange(5), 60)
    )
    X, y = np.concatenate([draw(c, 100) for c in range(5)]), np.repeat(np.arange(5), 100)
    before = classifier.score(X, y)
    classifier.add_class(5, draw(5, shots))
    assert before > 0.9
    assert classifier.score(X, y) > before - 0.05


def test_an_added_class_leaves_the_odds_among_the_others():
    X, y = blobs(classes=8, each=30)
    classifier = PrototypeClassifier().fit(X, y)
    assert classifier.spread_ > 0
    before = classifier.predict_proba(X)
    classifier.add_class("zz", X[:5] + 1)
    after = classifier.predict_proba(X)[:, :-1]
    assert np.log(after / after[:, :1]) == pytest.approx(np.log(before / before[:, :1]), abs=1e-8)
    assert PrototypeClassifier(temperature=2.0).fit(X, y).spread_ == 0
