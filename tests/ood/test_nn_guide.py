"""`NNGuide` against the formula written out; its bank is drawn evenly, however the images are sorted."""

import types

import numpy as np
import pytest

from ncapps.errors import InputError
from ncapps.ood import nn_guide
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.nn_guide import NNGuide
from ncapps.statistics import ClassStatistics


def images(each=60, classes=4, width=7, seed=0):
    random = np.random.default_rng(seed)
    centers = 3 * np.random.default_rng(99).standard_normal((classes, width))
    X = np.repeat(centers, each, axis=0) + random.standard_normal((classes * each, width))
    return X, np.repeat([f"c{i}" for i in range(classes)], each)


def written_out(X, bank, head, k):
    def energy(x):
        return np.log(np.exp(head.weight @ x + head.bias).sum())

    scaled = [energy(row) * row / np.linalg.norm(row) for row in bank]
    scores = []
    for x in X:
        likeness = sorted((row @ x / np.linalg.norm(x) for row in scaled), reverse=True)
        scores.append(energy(x) * np.mean(likeness[:k]))
    return np.array(scores)


@pytest.mark.parametrize("k", [1, 20, 240])
def test_the_score_is_the_formula(k):
    X, y = images()
    queries, _ = images(seed=1)
    random = np.random.default_rng(2)
    head = types.SimpleNamespace(weight=random.standard_normal((3, 7)), bias=random.standard_normal(3))
    scores = NNGuide(k=k).fit(X, y, head=head).score_samples(queries)
    assert np.allclose(scores, written_out(queries, X, head, k), rtol=1e-10)
    means = LinearHead.from_means(ClassStatistics.from_features(X, y))
    assert np.allclose(NNGuide(k=k).fit(X, y).score_samples(queries), written_out(queries, X, means, k), rtol=1e-10)


def test_the_default_k_is_a_tenth_of_a_small_bank_and_a_large_one_is_all_of_it():
    X, y = images()
    scores = {k: NNGuide(k=k).fit(X, y).score_samples(X) for k in (None, 24, 240, 999)}
    assert np.array_equal(scores[None], scores[24])
    assert np.array_equal(scores[240], scores[999])
    many, labels = images(each=500)
    assert np.array_equal(
        NNGuide().fit(many, labels).score_samples(X), NNGuide(k=100).fit(many, labels).score_samples(X)
    )


@pytest.mark.parametrize("sizes", [[500] * 4, [900, 600, 450, 3], [1, 1, 1997, 1]])
def test_the_bank_is_drawn_evenly_from_a_sorted_list(sizes):
    labels = np.repeat(np.arange(4), sizes)
    rows = nn_guide._balanced(labels, 1000, seed=0)
    assert len(set(rows.tolist())) == 1000
    drawn = np.bincount(labels[rows], minlength=4)
    full = drawn == sizes
    assert (drawn[full] <= drawn[~full].min(initial=1000)).all()
    assert np.ptp(drawn[~full]) <= 1 if (~full).any() else True
    assert not np.array_equal(rows, nn_guide._balanced(labels, 1000, seed=1))
    assert np.array_equal(rows, nn_guide._balanced(labels, 1000, seed=0))
    # Not the first ones of each class.
    assert np.median(rows[labels[rows] == 2] - np.flatnonzero(labels == 2)[0]) > 0.35 * sizes[2]


def test_alpha_is_the_share_but_the_bank_never_falls_below_a_thousand():
    X, y = np.random.default_rng(0).standard_normal((4000, 3)), np.arange(4000) // 400
    sizes = [len(NNGuide(alpha=alpha).fit(X, y).learned_["bank"]) for alpha in (0.01, 0.4, 1)]
    assert sizes == [1000, 1600, 4000]
    assert len(NNGuide().fit(X[:30], y[:30]).learned_["bank"]) == 30


def test_the_seed_draws_the_bank():
    X, y = images(each=500)
    scores = [NNGuide(seed=seed).fit(X, y).score_samples(X[:20]) for seed in (0, 0, 1)]
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def test_a_zero_vector_scores_zero():
    X, y = images()
    X[3] = 0
    scores = NNGuide().fit(X, y).score_samples(X)
    assert np.isfinite(scores).all()
    assert scores[3] == 0


def test_a_single_class_leaves_the_likeness():
    X = images(classes=1)[0]
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    expected = np.sort(unit @ unit.T, axis=1)[:, -6:].mean(axis=1)
    assert np.allclose(NNGuide().fit(X).score_samples(X), expected)


def test_the_nearest_class_is_that_of_the_largest_logit():
    X, y = images()
    assert np.mean(NNGuide().fit(X, y).nearest_class(X) == y) > 0.95


def test_errors_name_the_cause():
    X, y = images()
    with pytest.raises(InputError, match="k must be a whole number in \\[1, inf\\), but -1 came"):
        NNGuide(k=-1).fit(X, y)
    for alpha in (0, 1.5, float("nan")):
        with pytest.raises(InputError, match="alpha must be a number in \\(0, 1\\]"):
            NNGuide(alpha=alpha).fit(X, y)
    with pytest.raises(InputError, match="none can be added or removed"):
        NNGuide().fit(X, y).add_class("kiwi", X[:5])
    with pytest.raises(InputError, match="NaN or infinity"):
        NNGuide().fit(X, y).score_samples(np.full((1, 7), np.nan))
