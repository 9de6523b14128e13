import numpy as np
import pytest
from head_data import activations

from ncapps.ood import ASHS, SCALE


def plain_score(x, head, kept):
    """The paper's steps, one image at a time; of equal activations the first ones are kept."""
    largest = np.argsort(-x, kind="stable")[:kept]
    pruned = np.zeros_like(x)
    pruned[largest] = x[largest]
    shaped = pruned * np.exp(x.sum() / pruned.sum())
    return np.log(np.exp(head.weight @ shaped + head.bias).sum())


@pytest.mark.parametrize(("percentile", "kept"), [(90, 4), (65, 14), (0, 40)])
def test_the_steps_written_out(percentile, kept):
    X, head = activations()
    # Mostly positive, so that no border falls on the zeros that a ReLU leaves.
    X = X + np.random.default_rng(3).uniform(-0.1, 0.5, X.shape)
    scores = ASHS(percentile).fit(X, head=head).score_samples(X)
    assert np.allclose(scores, [plain_score(x, head, kept) for x in X], rtol=1e-10)


def test_equal_activations_count_in_equal_part():
    X, head = activations(width=5)
    head.weight, head.bias = np.eye(5)[:2], np.zeros(2)
    # One of five is kept, here half of each of two: r = exp(4 / 2).
    scores = ASHS(80).fit(X, head=head).score_samples(np.array([[2.0, 2.0, 0, 0, 0]]))
    assert scores == pytest.approx(np.exp(2) + np.log(2))


@pytest.mark.parametrize("kind", [ASHS, SCALE])
def test_the_order_of_the_units_does_not_count(kind):
    X, head = activations()
    X[:, ::3] = 0.5
    order = np.random.default_rng(1).permutation(40)
    scores = kind().fit(X, head=head).score_samples(X)
    head.weight = head.weight[:, order]
    assert np.allclose(kind().fit(X[:, order], head=head).score_samples(X[:, order]), scores, rtol=1e-12)


@pytest.mark.parametrize("kind", [ASHS, SCALE])
def test_an_image_without_positive_activations_has_the_score_of_the_bias(kind):
    X, head = activations()
    scores = kind().fit(X, head=head).score_samples(np.stack([np.zeros(40), -X[0] - 1]))
    assert np.allclose(scores, np.log(np.exp(head.bias).sum()))
