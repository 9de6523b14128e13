import numpy as np
import pytest
from ood_geometry import blobs, close
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from synthetic import LinearHead

from ncapps.errors import InputError
from ncapps.ood import NECO

X, Y, HEAD, UNKNOWN = blobs()


def original(T, dim, Q):
    """Return what the authors' code does for a ResNet."""
    scaler = StandardScaler().fit(T)
    pca = PCA(n_components=T.shape[1]).fit(scaler.transform(T))
    scaled = scaler.transform(Q)
    reduced = pca.transform(scaled)[:, :dim]
    return np.array([np.linalg.norm(r) / np.linalg.norm(s) for r, s in zip(reduced, scaled, strict=True)])


@pytest.mark.parametrize("dim", [1, 4, 11, 12])
def test_agrees_with_the_original_code(dim):
    assert np.abs(NECO(dim).fit(X, Y).score_samples(UNKNOWN) - original(X, dim, UNKNOWN)).max() < 1e-9


@pytest.mark.parametrize("rounding", [0.0, 3e-13])
def test_a_constant_feature_is_centred_only(rounding):
    train = np.hstack([X, 1000 + rounding * (np.arange(200) % 2)[:, None]])
    queries = np.hstack([UNKNOWN, np.linspace(999, 1001, 60)[:, None]])
    assert np.abs(NECO(4).fit(train, Y).score_samples(queries) - original(train, 4, queries)).max() < 1e-9


@pytest.mark.parametrize(("classes", "dim"), [(2, 1), (5, 4), (7, 6), (8, None), (40, None), (1, None)])
def test_the_default_dimension_is_what_class_means_span_or_90_percent_of_the_variance(classes, dim):
    random = np.random.default_rng(0)
    train = random.standard_normal((200, 12)) @ random.standard_normal((12, 12))
    variances = PCA().fit(StandardScaler().fit_transform(train)).explained_variance_ratio_
    dim = dim or int((np.cumsum(variances) < 0.9).sum()) + 1
    assert NECO().fit(train, np.arange(200) % classes).learned_["subspace"].shape[1] == dim


def test_directions_of_equal_variance_are_not_torn_apart():
    # 90 % of the variance would be 27 of 29 equal directions, any 27.
    vertices = np.eye(30) - 1 / 30
    scores = NECO().fit(vertices, np.arange(30)).score_samples(vertices)
    assert np.allclose(scores, 1, atol=1e-12)


def test_scores_lie_in_zero_to_one_and_the_mean_scores_zero():
    scores = NECO().fit(X, Y).score_samples(UNKNOWN)
    assert 0 < scores.min() < scores.max() <= 1 + 1e-12
    detector = NECO().fit(np.vstack([X, 2 - X]))
    assert detector.score_samples(detector.learned_["mean"][None])[0] == 0


def test_does_not_change_when_features_are_scaled_one_by_one_and_moved():
    scales = np.linspace(0.1, 9, 12)
    moved = NECO().fit(X * scales + 3, Y).score_samples(UNKNOWN * scales + 3)
    assert close(moved, NECO().fit(X, Y).score_samples(UNKNOWN))


def test_times_the_largest_logit_is_the_original_for_transformers():
    raised = LinearHead(weight=HEAD.weight, bias=HEAD.bias + 1000)
    top = (UNKNOWN @ raised.weight.T + raised.bias).max(axis=1)
    scores = NECO(4, times_max_logit=True).fit(X, Y, raised).score_samples(UNKNOWN)
    assert close(scores, original(X, 4, UNKNOWN) * top)


def test_a_negative_largest_logit_does_not_turn_the_order_round():
    lowered = LinearHead(weight=0 * HEAD.weight, bias=np.full(5, -2.0))
    ratio = NECO(4).fit(X, Y).score_samples(UNKNOWN)
    scores = NECO(4, times_max_logit=True).fit(X, Y, lowered).score_samples(UNKNOWN)
    assert (np.argsort(scores) == np.argsort(ratio)).all()
    assert close(scores, -2 * (2 - ratio))


def test_without_a_head_the_class_means_give_the_logit():
    assert np.isfinite(NECO(times_max_logit=True).fit(X, Y).score_samples(UNKNOWN)).all()


@pytest.mark.parametrize("dim", [0, 13, -1, 2.5, True, "many"])
def test_an_impossible_dimension_is_refused(dim):
    with pytest.raises(InputError, match=r"dim is 'auto' or one of 1\.\.12, the feature width, but"):
        NECO(dim).fit(X, Y)


def test_shards_and_batches_are_one_fit():
    whole = NECO().fit(X, Y).score_samples(UNKNOWN)
    assert close(NECO().fit(X[:70], Y[:70]).merge(NECO().fit(X[70:], Y[70:])).score_samples(UNKNOWN), whole)
    assert close(NECO().partial_fit(X[:70], Y[:70]).partial_fit(X[70:], Y[70:]).score_samples(UNKNOWN), whole)


def test_collapsed_classes_put_known_images_wholly_inside():
    means = np.array([X[name == Y].mean(axis=0) for name in sorted(set(Y))])
    detector = NECO().fit(means[np.arange(200) % 5], Y)
    assert close(detector.score_samples(means), np.ones(5))
    assert detector.score_samples(UNKNOWN).max() < 0.99


def test_degenerate_features_score_finitely():
    for train in (X[:1], np.ones((5, 12)), np.zeros((3, 12)), X[:3]):
        scores = NECO().fit(train).score_samples(np.vstack([UNKNOWN, np.zeros(12)]))
        assert ((scores >= 0) & (scores <= 1 + 1e-12)).all()


def test_one_class_of_two_columns_leaves_a_direction_to_compare_with():
    X = np.random.default_rng(0).normal(size=(200, 2)) @ np.array([[1.0, 0.4], [0.0, 1.0]])
    scores = NECO().fit(X).score_samples(X)
    assert scores.min() < 0.1 < 0.9 < scores.max()
