import numpy as np
import pytest
from ood_geometry import blobs, class_loop, close
from synthetic import LinearHead

from ncapps.errors import InputError
from ncapps.ood import Residual
from ncapps.ood.residual import residual_space
from ncapps.statistics import ClassStatistics

X, Y, HEAD, UNKNOWN = blobs()


def reference(T, u, dim, Q):
    vectors = np.linalg.svd(T - u, full_matrices=True)[2]
    return -np.array([np.linalg.norm(vectors[dim:] @ (row - u)) for row in Q])


@pytest.mark.parametrize("dim", [0, 3, 11])
def test_agrees_with_the_singular_vectors_of_the_images(dim):
    u = -np.linalg.pinv(HEAD.weight) @ HEAD.bias
    assert close(Residual(dim).fit(X, Y, HEAD).score_samples(UNKNOWN), reference(X, u, dim, UNKNOWN))


def test_the_origin_is_the_mean_where_asked_for_and_without_a_head():
    expected = reference(X, X.mean(axis=0), 3, UNKNOWN)
    assert close(Residual(3, origin="mean").fit(X, Y, HEAD).score_samples(UNKNOWN), expected)
    assert close(Residual(3).fit(X, Y).score_samples(UNKNOWN), expected)


def test_a_head_without_bias_puts_the_origin_at_zero():
    head = LinearHead(weight=HEAD.weight, bias=None)
    assert close(Residual(3).fit(X, Y, head).score_samples(UNKNOWN), reference(X, np.zeros(12), 3, UNKNOWN))


def test_rows_that_sum_to_zero_but_for_float32_rounding_do_not_throw_the_origin_far_off():
    weight = HEAD.weight - HEAD.weight.mean(axis=0)
    rough = LinearHead(weight=weight + 1e-8 * np.random.default_rng(0).standard_normal(weight.shape), bias=HEAD.bias)
    exact = LinearHead(weight=weight, bias=HEAD.bias)
    assert close(Residual().fit(X, Y, rough).learned_["origin"], Residual().fit(X, Y, exact).learned_["origin"], 1e-6)


@pytest.mark.parametrize(("width", "dim"), [(1, 0), (5, 2), (766, 383), (768, 512), (2048, 1000)])
def test_the_default_dimension_is_the_authors_rule(width, dim):
    random = np.random.default_rng(0)
    factor = random.standard_normal(width)
    statistics = ClassStatistics(
        classes=("a",),
        counts=np.array([5 * width]),
        means=np.zeros((1, width)),
        squares=np.array([float((factor**2).sum()) * width]),
        pooled=np.diag(factor**2),
    )
    assert residual_space(statistics, None, None, "mean")[1].shape == (width, width - dim)


@pytest.mark.parametrize("dim", [12, 100, -1, 2.5, True, "half"])
def test_a_dimension_that_leaves_nothing_is_refused(dim):
    with pytest.raises(InputError, match="below the feature width 12, or nothing is left to measure"):
        Residual(dim).fit(X, Y, HEAD)


def test_an_unknown_origin_is_refused():
    with pytest.raises(InputError, match="origin is 'head' or 'mean'"):
        Residual(origin="zero").fit(X)  # type: ignore[arg-type]


def test_collapse_leaves_all_that_lies_outside_the_class_means():
    # Five means span four dimensions about theirs; which two more would be principal is chance.
    means = class_loop(X, Y)[0]
    scores = Residual(6, origin="mean").fit(means[np.arange(200) % 5], Y).score_samples(UNKNOWN)
    assert close(scores, reference(means, means.mean(axis=0), 4, UNKNOWN))


def test_does_not_change_under_rotation_and_translation_and_scales_with_the_features():
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((12, 12)))[0]
    scores = Residual(origin="mean").fit(X).score_samples(UNKNOWN)
    assert close(Residual().fit(3 * X @ turn + 5).score_samples(3 * UNKNOWN @ turn + 5), 3 * scores)


def test_shards_and_batches_are_one_fit():
    whole = Residual().fit(X, Y, HEAD).score_samples(UNKNOWN)
    merged = Residual().fit(X[:70], Y[:70], HEAD).merge(Residual().fit(X[70:], Y[70:], HEAD))
    assert close(merged.score_samples(UNKNOWN), whole)
    parts = Residual().partial_fit(X[:70], Y[:70], HEAD).partial_fit(X[70:], Y[70:])
    assert close(parts.score_samples(UNKNOWN), whole)


def test_degenerate_features_score_finitely():
    for train in (X[:1], np.ones((5, 12)), np.zeros((3, 12))):
        scores = Residual().fit(train).score_samples(UNKNOWN)
        assert close(scores, -np.linalg.norm(UNKNOWN - train[0], axis=1))
    assert (Residual().fit(np.arange(4.0)[:, None]).score_samples([[9.0]]) == -7.5).all()


def test_takes_in_no_class():
    with pytest.raises(InputError, match="does not compare images with classes"):
        Residual().fit(X, Y).add_class("new", UNKNOWN)
