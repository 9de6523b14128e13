from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from ncapps.compression import project_head
from ncapps.errors import InputError


def head_of(classes, width, seed=0, scale=1.0):
    random = np.random.default_rng(seed)
    return SimpleNamespace(weight=scale * random.normal(size=(classes, width)), bias=random.normal(size=classes))


@given(st.integers(2, 12), st.integers(1, 30), st.integers(0, 99), st.sampled_from([1e-3, 1.0, 10.0]))
def test_softmax_is_the_same_for_any_input_to_float64_rounding(classes, width, seed, scale):
    head = head_of(classes, width, seed, scale)
    features = 10 * np.random.default_rng(seed + 1).normal(size=(40, width))
    projection = project_head(head)
    projected = projection.project(features)
    dense = features @ head.weight.T + head.bias
    assert projection.basis.shape[1] <= min(classes - 1, width)
    assert np.abs(softmax(projection.logits(projected), axis=1) - softmax(dense, axis=1)).max() < 1e-11
    shift = projection.logits(projected) - dense
    assert np.ptp(shift, axis=1).max() < 1e-10 * max(1.0, np.abs(dense).max())


def test_lengths_add_up_and_the_residual_is_what_the_head_is_blind_to():
    head = head_of(6, 20)
    features = np.random.default_rng(1).normal(size=(50, 20))
    projection = project_head(head)
    projected = projection.project(features)
    whole = np.square(features).sum(axis=1)
    assert np.allclose(np.square(projected.values).sum(axis=1) + projected.residual, whole)
    blind = np.linalg.svd(projection.basis.T)[2][5:]
    moved = projection.project(features + 100 * blind[0])
    assert np.allclose(softmax(projection.logits(moved), axis=1), softmax(projection.logits(projected), axis=1))
    assert moved.residual.min() > 100 > projected.residual.max()


def test_nearest_means_agree_where_the_rows_span_the_means():
    """NC3: with the centred means as rows, the residual adds the same to each distance."""
    random = np.random.default_rng(0)
    means = random.normal(size=(5, 16))
    projection = project_head(SimpleNamespace(weight=3 * (means - means.mean(axis=0)) + 7, bias=None))
    features = means[random.integers(0, 5, 200)] + random.normal(size=(200, 16))
    full = np.square(features[:, None] - means).sum(axis=2).argmin(axis=1)
    short_means, short = (projection.project(values).values for values in (means, features))
    assert np.array_equal(np.square(short[:, None] - short_means).sum(axis=2).argmin(axis=1), full)


def test_savings_by_hand():
    savings = project_head(head_of(10, 2048)).savings
    assert (savings.stored_before, savings.stored_after) == (2048, 10)
    assert (savings.parameters_before, savings.parameters_after) == (20_490, 100)
    assert savings.basis == 2048 * 9
    assert (savings.macs_before, savings.macs_after) == (20_480, 9 * 2058)


def test_a_head_of_lower_rank_needs_fewer_directions():
    head = head_of(6, 20)
    head.weight[3:] = head.weight[:3]
    assert project_head(head).basis.shape == (20, 2)
    head.weight[:] = head.weight[0]
    assert project_head(head).basis.shape == (20, 1), "one direction stays, unused"
    assert np.allclose(project_head(head).logits(project_head(head).project(np.ones((2, 20)))), head.bias)


def test_torch_in_torch_out():
    layer = torch.nn.Linear(12, 4)
    features = torch.randn(5, 12)
    projected = project_head(layer).project(features)
    assert isinstance(projected.residual, torch.Tensor)
    got = project_head(layer).logits(projected).softmax(dim=1)
    assert torch.allclose(got.float(), layer(features).softmax(dim=1), atol=1e-5)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (object(), "a object without one came; only an affine head"),
        (SimpleNamespace(weight=None, bias=None), "SimpleNamespace without one came"),
        (SimpleNamespace(weight=np.ones((1, 4))), r"the shape \(1, 4\) came"),
        (SimpleNamespace(weight=np.eye(3), bias=np.ones(2)), r"3 rows, but its bias has the shape \(2,\)"),
        (SimpleNamespace(weight=np.full((3, 3), np.nan)), "NaN or infinity"),
    ],
)
def test_mistakes_get_one_clear_line(head, words):
    with pytest.raises(InputError, match=words):
        project_head(head)


def test_features_of_another_width_are_refused():
    with pytest.raises(InputError, match="expecting 20 features"):
        project_head(head_of(6, 20)).project(np.ones((2, 19)))
