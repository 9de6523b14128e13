import numpy as np
import pytest

from ncapps.errors import InputError
from ncapps.ood import ETFDetector
from ncapps.simplex import SimplexETF


def collapsed(classes=5, width=8, each=10, spread=1e-3, seed=0):
    random = np.random.default_rng(seed)
    simplex = SimplexETF.construct(classes, width, seed).vertices
    X = 7 * np.repeat(simplex, each, axis=0) + 2 + spread * random.standard_normal((classes * each, width))
    return X, np.repeat(np.arange(classes), each)


def test_the_score_is_the_distance_to_the_nearest_vertex_written_out():
    X, y = collapsed(spread=0.5)
    detector = ETFDetector(vertices="means").fit(X, y)
    means = np.stack([X[y == c].mean(axis=0) for c in range(5)])
    scale = np.sqrt(np.mean(np.sum((means - means.mean(axis=0)) ** 2, axis=1)))
    queries = np.random.default_rng(1).standard_normal((40, 8)) * 5
    expected = [-min(np.linalg.norm(q - mean) for mean in means) / scale for q in queries]
    assert np.allclose(detector.score_samples(queries), expected, rtol=1e-12)


def test_on_a_perfect_simplex_all_sources_of_vertices_agree():
    X, y = collapsed(spread=0.0)
    queries = np.random.default_rng(2).standard_normal((30, 8))
    scores = [ETFDetector(vertices=v).fit(X, y).score_samples(queries) for v in ("auto", "means", "simplex")]
    assert np.allclose(scores[0], scores[1])
    assert np.allclose(scores[1], scores[2])


def test_auto_leaves_the_simplex_where_the_means_are_none():
    centers = np.diag([9.0, 3.0, 1.0, 1.0, 0.0, 0.0])[:4]
    noise = 0.1 * np.random.default_rng(3).standard_normal((40, 6))
    X, y = np.repeat(centers, 10, axis=0) + noise, np.arange(40) // 10
    means = np.stack([X[y == c].mean(axis=0) for c in range(4)])
    assert np.allclose(ETFDetector().fit(X, y).vertices_, means)
    assert not np.allclose(ETFDetector(vertices="simplex").fit(X, y).vertices_, means)


def test_more_classes_than_a_simplex_can_hold():
    X, y = np.random.default_rng(4).standard_normal((60, 3)), np.arange(60) // 10
    assert np.isfinite(ETFDetector().fit(X, y).score_samples(X)).all()
    with pytest.raises(InputError, match="6 classes have no regular simplex in 3 dimensions"):
        ETFDetector(vertices="simplex").fit(X, y)


def test_rotation_translation_and_scale_change_nothing():
    X, y = collapsed(spread=0.3)
    queries = np.random.default_rng(5).standard_normal((30, 8)) * 4
    turn = np.linalg.qr(np.random.default_rng(6).standard_normal((8, 8)))[0]
    moved = ETFDetector().fit(3 * X @ turn + 11, y).score_samples(3 * queries @ turn + 11)
    assert np.allclose(ETFDetector().fit(X, y).score_samples(queries), moved, rtol=1e-9)


def test_adding_and_removing_a_class_is_undone_exactly(tmp_path):
    X, y = collapsed()
    detector = ETFDetector().fit(X, y)
    queries = np.random.default_rng(7).standard_normal((30, 8)) * 4
    before, offset = detector.score_samples(queries), detector.offset_
    kiwi = queries[:5] + 20
    detector.add_class(9, kiwi)
    assert detector.score_samples(kiwi.mean(axis=0, keepdims=True))[0] == pytest.approx(0)
    assert detector.offset_ == offset
    detector.save(tmp_path / "d")
    assert ETFDetector.load(tmp_path / "d").classes_ == (0, 1, 2, 3, 4, 9)
    detector.remove_class(9)
    assert np.array_equal(detector.score_samples(queries), before)


def test_collapsed_distances_are_exact_though_the_index_holds_float32():
    X, y = collapsed(spread=1e-6)
    scores = ETFDetector(vertices="means").fit(X + 1000, y).score_samples(X + 1000)
    means = np.stack([X[y == c].mean(axis=0) for c in range(5)])
    assert np.allclose(-7 * scores, np.linalg.norm(X - means[y], axis=1), rtol=1e-4)


@pytest.mark.parametrize("X", [np.ones((4, 3)), np.zeros((1, 3))], ids=["constant features", "one image"])
def test_degenerate_features_have_a_defined_answer(X):
    scores = ETFDetector().fit(X).score_samples(np.array([[5.0, 0, 0], X[0]]))
    assert scores[1] == 0
    assert scores[0] < 0


def test_errors_name_the_cause():
    X, y = collapsed()
    detector = ETFDetector().fit(X, y)
    with pytest.raises(InputError, match="vertices 'rows' is not known; choose one of auto, means, simplex"):
        ETFDetector(vertices="rows").fit(X, y)
    with pytest.raises(InputError, match="class 3 is there already"):
        detector.add_class(3, X[:5])
    with pytest.raises(InputError, match="class 7 is not known"):
        detector.remove_class(7)
    with pytest.raises(InputError, match="is the last one"):
        ETFDetector().fit(X[:10]).remove_class(0)
    with pytest.raises(InputError, match="1 image\\(s\\) or more are needed, but 0 came"):
        detector.add_class(8, X[:0])


def test_means_that_coincide_up_to_rounding_span_no_simplex():
    X = 100 + np.random.default_rng(8).standard_normal((40, 3))
    X = np.concatenate([X, X[::-1]])
    scores = ETFDetector().fit(X, np.repeat([0, 1], 40)).score_samples(X)
    assert -10 < scores.min() < scores.max() <= 0
