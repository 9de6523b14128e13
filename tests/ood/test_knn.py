"""`KNN` against the formula written out, whatever the order of the bank, and with classes in and out."""

import copy

import numpy as np
import pytest

from ncapps.errors import InputError
from ncapps.ood.knn import KNN
from ncapps.prototypes import unit_rows


def images(each=40, classes=4, width=9, seed=0):
    random = np.random.default_rng(seed)
    centers = 3 * np.random.default_rng(99).standard_normal((classes, width))
    X = np.repeat(centers, each, axis=0) + random.standard_normal((classes * each, width))
    return X, np.repeat([f"c{i}" for i in range(classes)], each)


def written_out(X, bank, k):
    bank = unit_rows(bank).astype(np.float32).astype(float)
    squared = ((unit_rows(X).astype(np.float32).astype(float)[:, None] - bank) ** 2).sum(axis=2)
    return -np.sort(squared, axis=1)[:, k - 1]


@pytest.mark.parametrize("index", ["flat", "hnsw"])
@pytest.mark.parametrize("k", [1, 7, 160])
def test_the_score_is_the_formula(k, index):
    X, y = images()
    queries, _ = images(seed=1)
    scores = KNN(k=k, index=index).fit(X, y).score_samples(queries)
    assert np.allclose(scores, written_out(queries, X, k), rtol=1e-12, atol=0)


def test_the_order_of_the_images_changes_nothing():
    X, y = images()
    queries, _ = images(seed=1)
    order = np.random.default_rng(2).permutation(len(X))
    one, other = KNN().fit(X, y), KNN().fit(X[order], y[order])
    assert np.array_equal(one.score_samples(queries), other.score_samples(queries))
    assert np.array_equal(one.nearest_class(queries), other.nearest_class(queries))


def test_length_changes_nothing():
    X, y = images()
    queries, _ = images(seed=1)
    assert np.array_equal(KNN().fit(8 * X, y).score_samples(queries / 4), KNN().fit(X, y).score_samples(queries))


def test_the_default_k_stays_within_a_class_and_a_large_one_is_the_farthest():
    X, y = images()
    queries, _ = images(seed=1)
    scores = {k: KNN(k=k).fit(X, y).score_samples(queries) for k in (None, 20, 160, 500)}
    assert np.array_equal(scores[None], scores[20])
    assert np.array_equal(scores[160], scores[500])
    many = np.random.default_rng(3).standard_normal((150, 4))
    assert np.array_equal(
        KNN().fit(many).score_samples(queries[:, :4]), KNN(k=50).fit(many).score_samples(queries[:, :4])
    )
    assert KNN().fit(X[:1], y[:1]).score_samples(X[:1]).tolist() == [0]


def test_the_nearest_class_is_that_of_the_nearest_image():
    X, y = images()
    queries, _ = images(seed=1)
    expected = y[(unit_rows(queries) @ unit_rows(X).T).argmax(axis=1)]
    assert KNN().fit(X, y).nearest_class(queries).tolist() == expected.tolist()
    assert len(set(expected)) == 4


def test_a_zero_vector_lies_at_one_from_all_images():
    X, y = images()
    assert KNN().fit(X, y).score_samples(np.zeros((2, 9))) == pytest.approx(-1, abs=1e-6)
    assert KNN(k=1).fit(np.zeros((3, 2))).score_samples(np.array([[0.0, 0.0], [3.0, 4.0]])) == pytest.approx([0, -1])


def test_a_removed_addition_leaves_nothing_bit_for_bit(tmp_path):
    X, y = images()
    queries, _ = images(seed=1)
    detector = KNN().fit(X, y)
    arrays, header = detector.state()
    before = detector.score_samples(queries)
    detector.add_class("aa", -X[:5]).add_class("kiwi", -X[-5:])
    detector.save(tmp_path / "d")
    loaded = KNN.load(tmp_path / "d")
    assert loaded.classes_ == detector.classes_ == ("aa", "c0", "c1", "c2", "c3", "kiwi")
    assert np.array_equal(loaded.score_samples(-queries), detector.score_samples(-queries))
    detector.remove_class("aa").remove_class("kiwi")
    after, header_after = detector.state()
    assert header_after == header
    assert all(np.array_equal(arrays[name], after[name]) for name in arrays)
    assert np.array_equal(detector.score_samples(queries), before)


def test_an_added_class_counts_by_the_middle_of_its_own_images():
    X, y = images()
    detector = KNN(k=20).fit(X[y != "c2"], y[y != "c2"])
    kiwis, others = X[y == "c2"][:5], X[y == "c2"][5:]
    base = detector.score_samples(others)
    detector.add_class("c2", kiwis)
    own = np.sort(((unit_rows(others)[:, None] - unit_rows(kiwis)) ** 2).sum(axis=2), axis=1)[:, 2]
    assert np.allclose(detector.score_samples(others), np.maximum(base, -own), rtol=1e-9)
    assert np.mean(detector.nearest_class(others) == "c2") > 0.9
    assert np.mean(detector.nearest_class(X[y == "c3"]) == "c3") > 0.9
    assert detector.score_samples(others).mean() > base.mean() + 0.2


def test_removing_a_fitted_class_is_fitting_without_it():
    X, y = images()
    queries, _ = images(seed=1)
    removed = KNN(k=9).fit(X, y).add_class("kiwi", -X[:5]).remove_class("c1")
    fitted = KNN(k=9).fit(X[y != "c1"], y[y != "c1"]).add_class("kiwi", -X[:5])
    assert np.allclose(removed.score_samples(queries), fitted.score_samples(queries), rtol=1e-12)
    assert removed.nearest_class(queries).tolist() == fitted.nearest_class(queries).tolist()
    assert removed.classes_ == ("c0", "c2", "c3", "kiwi")


def test_the_bank_is_held_once_and_read_back_without_building(monkeypatch, tmp_path):
    X, y = images(each=300, width=32)
    detector = KNN().fit(X, y)
    assert np.shares_memory(detector.index_.vectors, detector.learned_["index"])
    held = sum(array.nbytes for array in detector.learned_.arrays.values())
    assert held < 4 * X.size + 1000
    detector.save(tmp_path / "d")
    monkeypatch.setattr("ncapps.ood.neighbor_index.NeighborIndex.build", None)
    loaded = KNN.load(tmp_path / "d")
    assert np.array_equal(loaded.score_samples(X), detector.score_samples(X))
    assert np.array_equal(copy.deepcopy(loaded).score_samples(X), detector.score_samples(X))


def test_the_first_threshold_scores_no_more_than_a_thousand_images(monkeypatch):
    X, y = images(each=400)
    seen, score = [], KNN._score
    monkeypatch.setattr(KNN, "_score", lambda self, learned, X: seen.append(len(X)) or score(self, learned, X))
    detector = KNN().fit(X, y)
    assert sum(seen) == 1000
    assert np.mean(detector.predict(X) == -1) == pytest.approx(0.05, abs=0.02)


def test_collapsed_images_keep_their_order():
    direction = np.eye(16)[:1]
    offsets = np.zeros((101, 16))
    offsets[:, 1] = np.arange(101) * 1e-5
    detector = KNN(k=1).fit(direction + np.eye(16)[2] * 1e-6)
    scores = detector.score_samples(direction + offsets)
    assert (np.diff(scores) < 0).all()


def test_errors_name_the_cause():
    X, y = images()
    with pytest.raises(InputError, match="k must be a whole number in \\[1, inf\\), but 0 came"):
        KNN(k=0).fit(X, y)
    with pytest.raises(InputError, match="index 'tree' is not known"):
        KNN(index="tree").fit(X, y)
    with pytest.raises(InputError, match="NaN or infinity"):
        KNN().fit(X, y).score_samples(np.full((1, 9), np.nan))
    with pytest.raises(InputError, match="class 'c1' is there already"):
        KNN().fit(X, y).add_class("c1", X)
