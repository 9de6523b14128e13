import numpy as np
import pytest
from ood_geometry import blobs, class_loop, close, mahalanobis, rmds

from ncapps.ood import RMDS, RMDSPlusPlus
from ncapps.prototypes import unit_rows

X, Y, HEAD, UNKNOWN = blobs()


def test_agrees_with_the_class_loop():
    assert close(RMDS().fit(X, Y).score_samples(UNKNOWN), rmds(X, Y, UNKNOWN))
    assert close(RMDSPlusPlus().fit(X, Y).score_samples(UNKNOWN), rmds(unit_rows(X), Y, unit_rows(UNKNOWN)))


@pytest.mark.parametrize("images", [8, 9, 12, 14])
def test_agrees_where_the_class_means_leave_the_span_of_the_deviations(images):
    few, y = X[:images], Y[:images]
    assert np.linalg.matrix_rank(class_loop(few, y)[1]) < 12
    assert close(RMDS().fit(few, y).score_samples(UNKNOWN), rmds(few, y, UNKNOWN), 1e-8)


def test_agrees_with_uneven_classes_and_more_classes_than_dimensions():
    X, y, _, unknown = blobs(classes=20, width=6, each=30)
    kept = np.arange(len(X)) % 20 <= np.arange(len(X)) // 20
    assert close(RMDS().fit(X[kept], y[kept]).score_samples(unknown), rmds(X[kept], y[kept], unknown))


def test_of_one_class_every_score_is_zero():
    scores = RMDS().fit(X).score_samples(UNKNOWN)
    assert np.abs(scores).max() <= 1e-10 * mahalanobis(UNKNOWN, X.mean(axis=0), class_loop(X, np.zeros(200))[1]).max()


def test_does_not_change_under_any_affine_map():
    random = np.random.default_rng(2)
    A = random.standard_normal((12, 12)) + 4 * np.eye(12)
    moved = RMDS().fit(X @ A + 7, Y).score_samples(UNKNOWN @ A + 7)
    assert close(moved, RMDS().fit(X, Y).score_samples(UNKNOWN), 1e-8)


@pytest.mark.parametrize("kind", [RMDS, RMDSPlusPlus])
def test_shards_and_batches_are_one_fit(kind):
    whole = kind().fit(X, Y).score_samples(UNKNOWN)
    merged = kind().fit(X[:70], Y[:70]).merge(kind().fit(X[70:], Y[70:]))
    assert close(merged.score_samples(UNKNOWN), whole)
    assert close(kind().partial_fit(X[:70], Y[:70]).partial_fit(X[70:], Y[70:]).score_samples(UNKNOWN), whole)


@pytest.mark.parametrize("kind", [RMDS, RMDSPlusPlus])
@pytest.mark.parametrize("images", [9, 200])
def test_growth_undoes_itself_and_leaves_the_background(kind, images):
    detector = kind().fit(X[:images], Y[:images])
    before = dict(detector.learned_.arrays)
    scores = detector.score_samples(UNKNOWN)
    detector.add_class("new", UNKNOWN[:3])
    assert detector.learned_["background"] is before["background"]
    assert detector.learned_["basis"] is before["basis"]
    assert np.array_equal(detector.learned_["whitened_means"][:-1], before["whitened_means"])
    assert (detector.score_samples(UNKNOWN) >= scores - 1e-9 * np.abs(scores)).all()
    detector.remove_class("new")
    assert all(np.array_equal(detector.learned_[name], before[name]) for name in before)
    assert np.array_equal(detector.score_samples(UNKNOWN), scores)


def test_nearest_class_is_that_of_the_mahalanobis_distance():
    means, within, _ = class_loop(X, Y)
    nearest = np.argmin([mahalanobis(UNKNOWN, mean, within) for mean in means], axis=0)
    names = np.array(sorted(set(Y)))
    assert RMDS().fit(X, Y).nearest_class(UNKNOWN).tolist() == names[nearest].tolist()


@pytest.mark.parametrize("spread", [0.0, 1e-9, 1e-4])
def test_collapsed_classes_are_ranked_by_distance_within_their_span(spread):
    means, codes = class_loop(X, Y)[0], np.arange(200) % 5
    train = means[codes] + spread * np.random.default_rng(1).standard_normal((200, 12))
    detector = RMDS().fit(train, Y)
    basis = np.linalg.svd(means - means.mean(axis=0))[2][:4]
    inside = (UNKNOWN - means.mean(axis=0)) @ basis.T
    squared = ((inside[:, None] - (means - means.mean(axis=0)) @ basis.T) ** 2).sum(axis=2).min(axis=1)
    scores = detector.score_samples(UNKNOWN)
    # At 1e-4 the deviations of 200 images are not quite the same in all directions.
    tolerance = 0.5 if spread == 1e-4 else 1e-6
    assert close(scores / scores.min(), squared / squared[scores.argmin()], tolerance)


def test_degenerate_features_score_finitely():
    for train, labels in [(X[:1], Y[:1]), (np.ones((5, 12)), Y[:5]), (np.zeros((3, 12)), Y[:3])]:
        for kind in (RMDS, RMDSPlusPlus):
            assert np.isfinite(kind().fit(train, labels).score_samples(np.vstack([UNKNOWN, np.zeros(12)]))).all()
