from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ncapps.errors import InputError
from ncapps.ood.linear_head import LinearHead
from ncapps.statistics import ClassStatistics


def test_a_linear_layer_is_read_off():
    layer = torch.nn.Linear(4, 3)
    head = LinearHead.of(layer, 4)
    X = np.random.default_rng(0).standard_normal((5, 4))
    assert head is not None
    assert np.allclose(head.logits(X), layer(torch.from_numpy(X).float()).detach().numpy(), atol=1e-5)


def test_without_bias_it_is_zero_and_without_a_head_there_is_none():
    head = LinearHead.of(SimpleNamespace(weight=np.ones((3, 4)), bias=None), 4)
    assert head is not None
    assert head.bias.tolist() == [0, 0, 0]
    assert LinearHead.of(None, 4) is None
    assert LinearHead.of(SimpleNamespace(weight=None, bias=None), 4) is None


def test_means_decide_like_the_nearest_class_mean():
    random = np.random.default_rng(1)
    X, y = (
        random.standard_normal((90, 5)) + np.repeat(3 * random.standard_normal((3, 5)), 30, axis=0),
        np.arange(90) // 30,
    )
    statistics = ClassStatistics.from_features(X, y)
    queries = 3 * random.standard_normal((200, 5))
    nearest = ((queries[:, None] - statistics.means) ** 2).sum(axis=2).argmin(axis=1)
    assert np.array_equal(LinearHead.from_means(statistics).logits(queries).argmax(axis=1), nearest)


def test_exactly_collapsed_or_coinciding_means_give_finite_logits():
    X = np.repeat(np.eye(3), 4, axis=0)
    logits = LinearHead.from_means(ClassStatistics.from_features(X, np.arange(12) // 4)).logits(X)
    assert np.isfinite(logits).all()
    assert np.array_equal(logits.argmax(axis=1), np.arange(12) // 4)
    same = LinearHead.from_means(ClassStatistics.from_features(np.ones((4, 3)), [0, 0, 1, 1]))
    assert (same.logits(X) == same.logits(X)[:, :1]).all()


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (object(), "a head has a weight .* but a object came"),
        (SimpleNamespace(weight=np.ones((3, 5)), bias=None), r"shape \(3, 5\), but features of width 4 need"),
        (SimpleNamespace(weight=np.ones((3, 4)), bias=np.ones(2)), r"3 rows, but its bias has the shape \(2,\)"),
        (SimpleNamespace(weight=np.full((3, 4), np.nan), bias=None), "NaN or infinity"),
    ],
)
def test_errors_name_the_cause(head, words):
    with pytest.raises(InputError, match=words):
        LinearHead.of(head, 4)
