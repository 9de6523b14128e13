import numpy as np
import pytest
from ood_geometry import blobs, close, simplex
from synthetic import LinearHead

from ncapps.errors import InputError
from ncapps.ood import FDBD, NCI

X, Y, HEAD, UNKNOWN = blobs()


def reference(T, head, Q):
    scores, mean = [], T.mean(axis=0)
    for row in Q:
        logits = head.weight @ row + head.bias
        p = int(np.argmax(logits))
        others = [c for c in range(len(logits)) if not np.array_equal(head.weight[c], head.weight[p])]
        distances = [(logits[p] - logits[c]) / np.linalg.norm(head.weight[p] - head.weight[c]) for c in others]
        scores.append(np.mean(distances) / np.linalg.norm(row - mean) if others else 0.0)
    return np.array(scores)


def test_agrees_with_the_paper_written_out():
    assert close(FDBD().fit(X, Y, HEAD).score_samples(UNKNOWN), reference(X, HEAD, UNKNOWN))


def test_the_same_rows_of_the_head_have_no_boundary():
    weight = HEAD.weight[[0, 1, 2, 0, 0]]
    head = LinearHead(weight=weight, bias=np.zeros(5))
    assert close(FDBD().fit(X, Y, head).score_samples(UNKNOWN), reference(X, head, UNKNOWN))
    rounded = LinearHead(weight=weight * (1 + 1e-15 * np.arange(5))[:, None], bias=np.zeros(5))
    assert close(FDBD().fit(X, Y, rounded).score_samples(UNKNOWN), reference(X, head, UNKNOWN))
    alike = LinearHead(weight=HEAD.weight[[0] * 5], bias=np.arange(5.0))
    assert (FDBD().fit(X, Y, alike).score_samples(UNKNOWN) == 0).all()


@pytest.mark.parametrize("gap", [1e-2, 1e-4, 1e-6])
def test_near_rows_keep_their_distance(gap):
    # One far row keeps the others' common part in: the expanded square would give a gap of 1e-6 an error of 1e-4.
    weight = HEAD.weight[0] + gap * np.random.default_rng(0).standard_normal((5, 12))
    weight[4] = -HEAD.weight[0]
    head = LinearHead(weight=weight, bias=np.zeros(5))
    assert close(FDBD().fit(X, Y, head).score_samples(UNKNOWN), reference(X, head, UNKNOWN), 1e-12 / gap)


def test_an_image_at_the_mean_scores_zero():
    detector = FDBD().fit(X, Y, HEAD)
    assert detector.score_samples(detector.learned_["mean"][None])[0] == 0
    assert detector.score_samples(np.zeros((1, 12)))[0] == pytest.approx(reference(X, HEAD, np.zeros((1, 12)))[0])


@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_at_a_collapsed_simplex_it_is_nci_and_the_largest_cosine(offset):
    vertices = simplex()
    head = LinearHead(weight=2.5 * vertices, bias=-2.5 * vertices @ np.full(10, offset) + 0.7)
    train = np.repeat(vertices + offset, 4, axis=0)
    labels = np.repeat(np.arange(6), 4)
    queries = np.random.default_rng(0).standard_normal((50, 10)) + offset
    centered = queries - offset
    cosine = (centered @ vertices.T / np.linalg.norm(centered, axis=1, keepdims=True)).max(axis=1)
    assert close(NCI(0).fit(train, labels, head).score_samples(queries), 2.5 * cosine)
    # |w_p - w_c| = 2.5 sqrt(2 C / (C - 1)), and the C - 1 gaps add up to C times the largest product.
    factor = 6 / 5 / np.sqrt(12 / 5)
    assert close(FDBD().fit(train, labels, head).score_samples(queries), factor * cosine)


def test_does_not_change_when_the_head_is_scaled_or_all_is_turned():
    scores = FDBD().fit(X, Y, HEAD).score_samples(UNKNOWN)
    scaled = LinearHead(weight=7 * HEAD.weight, bias=7 * HEAD.bias)
    assert close(FDBD().fit(X, Y, scaled).score_samples(UNKNOWN), scores)
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((12, 12)))[0]
    turned = FDBD().fit(X @ turn, Y, LinearHead(weight=HEAD.weight @ turn, bias=HEAD.bias))
    assert close(turned.score_samples(UNKNOWN @ turn), scores)


def test_shards_and_batches_are_one_fit():
    whole = FDBD().fit(X, Y).score_samples(UNKNOWN)
    assert close(FDBD().fit(X[:70], Y[:70]).merge(FDBD().fit(X[70:], Y[70:])).score_samples(UNKNOWN), whole)
    assert close(FDBD().partial_fit(X[:70], Y[:70]).partial_fit(X[70:], Y[70:]).score_samples(UNKNOWN), whole)


def test_a_head_of_other_classes_names_its_rows_and_no_class_can_be_removed():
    ten = LinearHead(weight=np.vstack([HEAD.weight, -HEAD.weight]), bias=np.zeros(10))
    detector = FDBD().fit(X, Y, ten)
    assert set(detector.nearest_class(UNKNOWN)) <= set(range(10))
    assert close(detector.score_samples(UNKNOWN), reference(X, ten, UNKNOWN))
    with pytest.raises(InputError, match="does not compare images with classes"):
        detector.remove_class(0)


def test_degenerate_features_score_finitely():
    for train in (X[:1], np.ones((5, 12)), np.zeros((3, 12))):
        for head in (None, HEAD, LinearHead(weight=HEAD.weight[:1], bias=None)):
            scores = FDBD().fit(train, None, head).score_samples(np.vstack([UNKNOWN, train[:1]]))
            assert np.isfinite(scores).all()
