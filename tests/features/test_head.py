import numpy as np
import pytest
import torch
from torch import nn

from ncapps.features.head import Head


def test_affine_heads_give_their_rows_in_float64():
    layer = nn.Linear(4, 3)
    head = Head(layer)
    x = torch.randn(5, 4)
    assert head.affine
    assert head.weight.dtype == np.float64
    assert np.allclose(x.numpy() @ head.weight.T + head.bias, head(x).detach().numpy(), atol=1e-6)


def test_a_head_without_bias_has_zeros():
    assert Head(nn.Linear(4, 3, bias=False)).bias.tolist() == [0.0, 0.0, 0.0]


def test_a_convolution_of_one_pixel_is_affine():
    head = Head(nn.Conv2d(4, 3, 1))
    assert head.weight.shape == (3, 4)
    assert head(np.zeros((2, 4), np.float32)).shape == (2, 3)


def test_an_mlp_is_callable_but_has_no_rows():
    head = Head(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))
    assert not head.affine
    assert head.weight is None
    assert head.bias is None
    assert head(torch.zeros(2, 4)).shape == (2, 3)


@pytest.mark.parametrize("split", [True, False])
def test_two_classifiers_are_averaged(split):
    one, two = nn.Linear(4, 3), nn.Linear(4, 3)
    x = torch.randn(5, 8 if split else 4)
    parts = (x[:, :4], x[:, 4:]) if split else (x, x)
    head = Head(one, two, split=split)
    expected = (one(parts[0]) + two(parts[1])) / 2
    assert torch.allclose(head(x), expected, atol=1e-6)
    assert np.allclose(x.numpy() @ head.weight.T + head.bias, expected.detach().numpy(), atol=1e-6)


def test_it_follows_a_model_that_is_trained_on():
    layer = nn.Linear(4, 3)
    head = Head(layer)
    with torch.no_grad():
        layer.weight.fill_(2.0)
    assert (head.weight == 2.0).all()
