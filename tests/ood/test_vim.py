import numpy as np
import pytest
from ood_geometry import blobs, class_loop, close
from scipy.special import logsumexp
from synthetic import LinearHead

from ncapps.errors import InputError
from ncapps.ood import Residual, ViM
from ncapps.statistics import ClassStatistics

X, Y, HEAD, UNKNOWN = blobs()


def reference(T, head, u, dim, Q):
    bias = 0 if head.bias is None else head.bias
    null = np.linalg.eigh((T - u).T @ (T - u) / len(T))[1][:, : T.shape[1] - dim]
    alpha = (T @ head.weight.T + bias).max(axis=1).mean() / np.linalg.norm((T - u) @ null, axis=1).mean()
    return logsumexp(Q @ head.weight.T + bias, axis=1) - alpha * np.linalg.norm((Q - u) @ null, axis=1)


@pytest.mark.parametrize("dim", [1, 4, 11])
def test_agrees_with_the_paper_written_out(dim):
    u = -np.linalg.pinv(HEAD.weight) @ HEAD.bias
    assert close(ViM(dim).fit(X, Y, HEAD).score_samples(UNKNOWN), reference(X, HEAD, u, dim, UNKNOWN))
    expected = reference(X, HEAD, X.mean(axis=0), dim, UNKNOWN)
    assert close(ViM(dim, origin="mean").fit(X, Y, HEAD).score_samples(UNKNOWN), expected)


def test_a_head_without_bias_puts_the_origin_at_zero():
    head = LinearHead(weight=HEAD.weight, bias=None)
    assert close(ViM(4).fit(X, Y, head).score_samples(UNKNOWN), reference(X, head, np.zeros(12), 4, UNKNOWN))


def test_statistics_are_refused_in_one_line():
    with pytest.raises(InputError, match=r"call fit\(X, y, head\), or take Residual"):
        ViM().fit_statistics(ClassStatistics.from_features(X, Y), HEAD)


@pytest.mark.parametrize("dim", [12, 1000, -1])
def test_a_dimension_that_leaves_nothing_is_refused(dim):
    with pytest.raises(InputError, match="below the feature width 12"):
        ViM(dim).fit(X, Y, HEAD)


def test_negative_logits_do_not_reward_a_residual():
    lowered = LinearHead(weight=HEAD.weight, bias=HEAD.bias - 500)
    detector = ViM(origin="mean").fit(X, Y, lowered)
    null = detector.learned_["scaled_null_space"][:, 0]
    away = X[:20] + np.outer(np.full(20, 50.0), null / np.linalg.norm(null))
    # What the step moves the logits by is taken out.
    gain = logsumexp(lowered.weight @ away.T, axis=0) - logsumexp(lowered.weight @ X[:20].T, axis=0)
    assert (detector.score_samples(away) - gain < detector.score_samples(X[:20])).all()


def test_collapsed_classes_have_a_finite_scale():
    means = class_loop(X, Y)[0]
    train = means[np.arange(200) % 5]
    detector = ViM(6, origin="mean").fit(train, Y, HEAD)
    u, top = means.mean(axis=0), (means @ HEAD.weight.T + HEAD.bias).max(axis=1).mean()
    span = np.linalg.svd(means - u)[2][:4]
    rest = np.linalg.norm((UNKNOWN - u) - (UNKNOWN - u) @ span.T @ span, axis=1)
    alpha = top / np.linalg.norm(means - u, axis=1).mean()
    expected = logsumexp(UNKNOWN @ HEAD.weight.T + HEAD.bias, axis=1) - alpha * rest
    assert close(detector.score_samples(UNKNOWN), expected)


def test_of_one_class_without_a_head_the_residual_is_left():
    assert close(ViM().fit(X).score_samples(UNKNOWN), Residual().fit(X).score_samples(UNKNOWN))


def test_a_head_of_other_classes_names_its_rows():
    six = LinearHead(weight=np.vstack([HEAD.weight] * 2), bias=np.arange(10.0))
    assert set(ViM().fit(X, Y, six).nearest_class(UNKNOWN)) <= set(range(10))
    assert set(ViM().fit(X, Y, HEAD).nearest_class(X)) <= set(Y)


def test_does_not_change_under_rotation():
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((12, 12)))[0]
    turned = ViM().fit(X @ turn, Y, LinearHead(weight=HEAD.weight @ turn, bias=HEAD.bias))
    assert close(turned.score_samples(UNKNOWN @ turn), ViM().fit(X, Y, HEAD).score_samples(UNKNOWN))


def test_degenerate_features_score_finitely():
    for train in (X[:1], np.ones((5, 12)), np.zeros((3, 12))):
        for head in (None, HEAD):
            assert np.isfinite(ViM().fit(train, None, head).score_samples(np.vstack([UNKNOWN, np.zeros(12)]))).all()
