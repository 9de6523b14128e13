import numpy as np
import pytest
from ood_geometry import blobs, class_loop, close
from synthetic import LinearHead

from ncapps.errors import InputError
from ncapps.ood import SHE

X, Y, HEAD, UNKNOWN = blobs(spread=4.0)
NAMES = np.array(sorted(set(Y)))


def predictions(Q):
    return (Q @ HEAD.weight.T + HEAD.bias).argmax(axis=1)


def test_takes_the_mean_of_the_correctly_classified_images():
    right = NAMES[predictions(X)] == Y
    assert 0.3 < right.mean() < 0.99
    patterns = np.array([X[right & (Y == name)].mean(axis=0) for name in NAMES])
    expected = np.array([row @ patterns[code] for row, code in zip(UNKNOWN, predictions(UNKNOWN), strict=True)])
    detector = SHE().fit(X, Y, HEAD)
    assert close(detector.score_samples(UNKNOWN), expected)
    assert detector.nearest_class(UNKNOWN).tolist() == NAMES[predictions(UNKNOWN)].tolist()


def nearest_mean_scores(means, Q):
    chosen = ((Q[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    return np.einsum("ij,ij->i", Q, means[chosen])


def test_without_a_head_or_with_one_of_other_classes_the_nearest_mean_predicts():
    expected = nearest_mean_scores(class_loop(X, Y)[0], UNKNOWN)
    other = LinearHead(weight=np.vstack([HEAD.weight] * 2), bias=np.zeros(10))
    assert close(SHE().fit(X, Y).score_samples(UNKNOWN), expected)
    assert close(SHE().fit(X, Y, other).score_samples(UNKNOWN), expected)


def test_a_head_in_another_order_is_noticed():
    X, y, head, _ = blobs()
    swapped = LinearHead(weight=np.roll(head.weight, 1, axis=0), bias=head.bias)
    with pytest.raises(InputError, match="no image of 5 of 5 classes correctly, the first is 'c000'; are its rows in"):
        SHE().fit(X, y, swapped)


def test_scores_scale_with_images_and_do_not_change_under_rotation():
    head = LinearHead(weight=HEAD.weight, bias=None)
    detector = SHE().fit(X, Y, head)
    assert close(detector.score_samples(3 * UNKNOWN), 3 * detector.score_samples(UNKNOWN))
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((12, 12)))[0]
    turned = SHE().fit(X @ turn, Y, LinearHead(weight=HEAD.weight @ turn, bias=HEAD.bias))
    assert close(turned.score_samples(UNKNOWN @ turn), SHE().fit(X, Y, HEAD).score_samples(UNKNOWN))


def test_shards_and_batches_are_one_fit():
    whole = SHE().fit(X, Y, HEAD).score_samples(UNKNOWN)
    merged = SHE().fit(X[:70], Y[:70], HEAD).merge(SHE().fit(X[70:], Y[70:], HEAD))
    assert close(merged.score_samples(UNKNOWN), whole)
    # Batches are taken as they come, as by a fit without a head.
    parts = SHE().partial_fit(X[:70], Y[:70]).partial_fit(X[70:], Y[70:])
    assert close(parts.score_samples(UNKNOWN), SHE().fit(X, Y).score_samples(UNKNOWN))


@pytest.mark.parametrize("head", [None, HEAD])
def test_growth_undoes_itself_and_an_added_class_competes(head):
    detector = SHE().fit(X, Y, head)
    before, scores = dict(detector.learned_.arrays), detector.score_samples(UNKNOWN)
    detector.add_class("b", UNKNOWN[:4])
    rivals = UNKNOWN @ UNKNOWN[:4].mean(axis=0)
    assert close(detector.score_samples(UNKNOWN), np.maximum(scores, rivals))
    assert ((detector.nearest_class(UNKNOWN) == "b") == (rivals > scores)).all()
    assert (rivals > scores).any()
    detector.remove_class("b")
    assert all(np.array_equal(detector.learned_[name], before[name]) for name in before)


def test_the_last_fitted_class_stays_whatever_was_added():
    detector = SHE().fit(X, Y, HEAD).add_class("x", UNKNOWN[:4])
    for name in NAMES.tolist()[1:]:
        detector.remove_class(name)
    with pytest.raises(InputError, match="is the last one that was fitted"):
        detector.remove_class(NAMES.tolist()[0])


def test_an_added_class_is_kept_by_save_and_load(tmp_path):
    detector = SHE().fit(X, Y, HEAD).add_class("x", UNKNOWN[:4])
    detector.save(tmp_path / "she")
    assert np.array_equal(SHE.load(tmp_path / "she").score_samples(UNKNOWN), detector.score_samples(UNKNOWN))


def test_degenerate_features_score_finitely():
    assert (SHE().fit(X, Y, HEAD).score_samples(np.zeros((2, 12))) == 0).all()
    for train in (X[:1], np.ones((5, 12)), np.zeros((3, 12))):
        assert close(SHE().fit(train).score_samples(UNKNOWN), UNKNOWN @ train[0])
