import numpy as np
import pytest
from ood_geometry import blobs, class_loop, close, mahalanobis, mds

from ncapps.errors import InputError
from ncapps.ood import MDS, MDSPlusPlus
from ncapps.prototypes import unit_rows
from ncapps.statistics import ClassStatistics

X, Y, HEAD, UNKNOWN = blobs()


def rotation(width, seed=3):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))[0]


def test_agrees_with_the_class_loop():
    assert close(MDS().fit(X, Y).score_samples(UNKNOWN), mds(X, Y, UNKNOWN))
    assert close(MDSPlusPlus().fit(X, Y).score_samples(UNKNOWN), mds(unit_rows(X), Y, unit_rows(UNKNOWN)))


def test_does_not_change_under_any_affine_map():
    A = rotation(12) @ np.diag(np.linspace(0.5, 3, 12)) @ rotation(12, 4)
    moved = MDS().fit(X @ A + 7, Y).score_samples(UNKNOWN @ A + 7)
    assert close(moved, MDS().fit(X, Y).score_samples(UNKNOWN), 1e-9)


def test_unit_length_makes_the_scale_of_an_image_irrelevant():
    detector = MDSPlusPlus().fit(X, Y)
    assert close(detector.score_samples(5 * UNKNOWN), detector.score_samples(UNKNOWN))
    assert not close(MDS().fit(X, Y).score_samples(5 * UNKNOWN), MDS().fit(X, Y).score_samples(UNKNOWN), 0.1)


def test_a_class_mean_scores_zero_and_is_nearest_to_its_class():
    means = class_loop(X, Y)[0]
    detector = MDS().fit(X, Y)
    assert np.allclose(detector.score_samples(means), 0, atol=1e-20)
    assert detector.nearest_class(means).tolist() == list(detector.classes_)
    means = class_loop(unit_rows(X), Y)[0]
    assert MDSPlusPlus().fit(X, Y).nearest_class(means).tolist() == list(detector.classes_)


@pytest.mark.parametrize("kind", [MDS, MDSPlusPlus])
def test_shards_and_batches_are_one_fit(kind):
    whole = kind().fit(X, Y).score_samples(UNKNOWN)
    merged = kind().fit(X[:70], Y[:70]).merge(kind().fit(X[70:], Y[70:]))
    assert close(merged.score_samples(UNKNOWN), whole)
    assert close(kind().partial_fit(X[:70], Y[:70]).partial_fit(X[70:], Y[70:]).score_samples(UNKNOWN), whole)


@pytest.mark.parametrize("kind", [MDS, MDSPlusPlus])
def test_growth_undoes_itself_and_moves_no_other_class(kind):
    detector = kind().fit(X, Y)
    before = {name: array.copy() for name, array in detector.learned_.arrays.items()}
    detector.add_class("b", UNKNOWN[:3])
    row = detector.classes_.index("b")
    kept = np.arange(len(detector.classes_)) != row
    after = detector.learned_.arrays
    for name in before:
        assert np.array_equal(after[name][kept] if name in kind.per_class else after[name], before[name])
    centre = detector._prepare(UNKNOWN[:3]).mean(axis=0, keepdims=True)
    assert detector.nearest_class(centre).tolist() == ["b"]
    detector.remove_class("b")
    assert detector.classes_ == kind().fit(X, Y).classes_
    assert all(np.array_equal(detector.learned_[name], before[name]) for name in before)


def test_a_removed_class_is_no_longer_near():
    detector = MDS().fit(X, Y).remove_class("c002")
    means, within, _ = class_loop(X, Y)
    rest = np.max([-mahalanobis(UNKNOWN, mean, within) for mean in np.delete(means, 2, axis=0)], axis=0)
    assert close(detector.score_samples(UNKNOWN), rest)


def test_fewer_images_than_dimensions_measure_in_the_span_alone():
    few, y = X[:9], Y[:9]
    assert close(MDS().fit(few, y).score_samples(UNKNOWN), mds(few, y, UNKNOWN), 1e-9)


def test_constant_features_do_not_count():
    padded, unknown = np.hstack([X, np.full((len(X), 2), 3.7)]), np.hstack([UNKNOWN, np.full((60, 2), 99.0)])
    assert close(MDS().fit(padded, Y).score_samples(unknown), MDS().fit(X, Y).score_samples(UNKNOWN), 1e-9)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("spread", [0.0, 1e-9])
def test_collapsed_classes_are_compared_by_euclidean_distance_not_by_rounding(spread, offset):
    # A whitening fitted to rounding gives random scores (pytorch-ood#81).
    means = class_loop(X, Y)[0] + offset
    codes = np.arange(200) % 5
    train = means[codes] + spread * np.random.default_rng(1).standard_normal((200, 12))
    detector = MDS().fit(train, Y)
    queries = UNKNOWN + offset
    squared = ((queries[:, None] - means) ** 2).sum(axis=2).min(axis=1)
    scores = detector.score_samples(queries)
    assert close(scores / scores[0], squared / squared[0], 1e-8)
    assert detector.nearest_class(means).tolist() == list(detector.classes_)


def test_float32_rounding_of_a_dead_direction_is_not_whitened():
    random = np.random.default_rng(0)
    known = X.copy()
    known[:, 0] = 50.0 + 1e-6 * random.standard_normal(len(X))
    fresh, lit = X[:30].copy(), X[:30].copy()
    fresh[:, 0], lit[:, 0] = 50.0, 50.1
    detector = MDS().fit(known, Y)
    # Whitened, the lit direction would be worth 1e10.
    assert close(detector.score_samples(lit), detector.score_samples(fresh), 1e-3)


def test_nearly_collapsed_classes_keep_their_distances():
    # Expanded squares of means 1e5 deviations apart would leave six digits.
    means, codes = class_loop(X, Y)[0], np.arange(200) % 5
    noise = np.random.default_rng(1).standard_normal((400, 12))
    train, fresh = means[codes] + 1e-5 * noise[:200], means[codes] + 1e-5 * noise[200:]
    assert close(MDS().fit(train, Y).score_samples(fresh), mds(train, Y, fresh), 1e-8)


def test_one_class_and_a_class_of_one_image():
    assert close(MDS().fit(X).score_samples(UNKNOWN), mds(X, np.zeros(len(X)), UNKNOWN))
    y = np.concatenate([["alone"], Y[1:]])
    assert close(MDS().fit(X, y).score_samples(UNKNOWN), mds(X, y, UNKNOWN))
    single = MDS().fit(X[:1])
    far = ((UNKNOWN - X[0]) ** 2).sum(axis=1)
    assert close(single.score_samples(UNKNOWN) / single.score_samples(UNKNOWN)[0], far / far[0])


@pytest.mark.parametrize("kind", [MDS, MDSPlusPlus])
def test_zero_vectors_and_zero_training_images_score_finitely(kind):
    assert np.isfinite(kind().fit(X, Y).score_samples(np.zeros((2, 12)))).all()
    assert kind().fit(np.zeros((4, 12))).score_samples(np.zeros((1, 12)))[0] == 0
    assert kind().fit(np.zeros((4, 12))).score_samples(UNKNOWN[:1])[0] < 0


def test_not_a_number_is_refused():
    bad = UNKNOWN.copy()
    bad[3, 1] = np.nan
    with pytest.raises(InputError, match="the first is row 3"):
        MDS().fit(X, Y).score_samples(bad)
    with pytest.raises(InputError, match="the first is row 3"):
        MDS().fit(bad)


def test_statistics_of_other_lengths_are_refused():
    with pytest.raises(InputError, match="divided by their length"):
        MDSPlusPlus().fit_statistics(ClassStatistics.from_features(X, Y))
