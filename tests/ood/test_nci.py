import numpy as np
import pytest
from ood_geometry import blobs, close
from synthetic import LinearHead

from ncapps.errors import InputError
from ncapps.ood import NCI

X, Y, HEAD, UNKNOWN = blobs()


def reference(T, head, alpha, Q):
    scores, mean = [], T.mean(axis=0)
    for row in Q:
        predicted = np.argmax(head.weight @ row + head.bias)
        scores.append(head.weight[predicted] @ (row - mean) / np.linalg.norm(row - mean) + alpha * np.abs(row).sum())
    return np.array(scores)


@pytest.mark.parametrize("alpha", [0.0, 1e-4, 0.3])
def test_agrees_with_the_paper_written_out(alpha):
    assert close(NCI(alpha).fit(X, Y, HEAD).score_samples(UNKNOWN), reference(X, HEAD, alpha, UNKNOWN))


def test_the_default_is_the_official_one():
    assert close(NCI().fit(X, Y, HEAD).score_samples(UNKNOWN), reference(X, HEAD, 1e-4, UNKNOWN))


def test_the_bias_and_the_mean_decide_the_class_where_features_lie_far_off():
    moved = LinearHead(weight=HEAD.weight, bias=HEAD.bias - 1e4 * HEAD.weight.sum(axis=1))
    far = NCI(0).fit(X + 1e4, Y, moved)
    assert close(far.score_samples(UNKNOWN + 1e4), NCI(0).fit(X, Y, HEAD).score_samples(UNKNOWN), 1e-9)


def test_does_not_change_under_rotation():
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((12, 12)))[0]
    turned = NCI(0).fit(X @ turn, Y, LinearHead(weight=HEAD.weight @ turn, bias=HEAD.bias))
    assert close(turned.score_samples(UNKNOWN @ turn), NCI(0).fit(X, Y, HEAD).score_samples(UNKNOWN))


def test_an_image_at_the_mean_points_to_no_class():
    detector = NCI(0.5).fit(X, Y, HEAD)
    mean = detector.learned_["mean"][None]
    assert detector.score_samples(mean)[0] == pytest.approx(0.5 * np.abs(mean).sum())
    assert NCI(0.5).fit(X, Y, HEAD).score_samples(np.zeros((1, 12)))[0] == pytest.approx(
        reference(X, HEAD, 0.5, np.zeros((1, 12)))[0]
    )


@pytest.mark.parametrize("alpha", [-1e-4, np.nan, np.inf])
def test_an_impossible_alpha_is_refused(alpha):
    with pytest.raises(InputError, match="alpha must be a number in \\[0, inf\\)"):
        NCI(alpha).fit(X, Y, HEAD)


def test_shards_and_batches_are_one_fit():
    whole = NCI().fit(X, Y, HEAD).score_samples(UNKNOWN)
    merged = NCI().fit(X[:70], Y[:70], HEAD).merge(NCI().fit(X[70:], Y[70:], HEAD))
    assert close(merged.score_samples(UNKNOWN), whole)
    parts = NCI().partial_fit(X[:70], Y[:70], HEAD).partial_fit(X[70:], Y[70:])
    assert close(parts.score_samples(UNKNOWN), whole)


def test_a_head_of_other_classes_names_its_rows_and_no_class_can_be_added():
    ten = LinearHead(weight=np.vstack([HEAD.weight, -HEAD.weight]), bias=np.zeros(10))
    detector = NCI().fit(X, Y, ten)
    assert set(detector.nearest_class(UNKNOWN)) <= set(range(10))
    assert close(detector.score_samples(UNKNOWN), reference(X, ten, 1e-4, UNKNOWN))
    with pytest.raises(InputError, match="does not compare images with classes"):
        detector.add_class("new", UNKNOWN)


def test_degenerate_features_score_finitely():
    for train in (X[:1], np.ones((5, 12)), np.zeros((3, 12))):
        for head in (None, HEAD):
            assert np.isfinite(NCI().fit(train, None, head).score_samples(np.vstack([UNKNOWN, train[:1]]))).all()
