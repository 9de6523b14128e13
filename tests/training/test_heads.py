from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ncapps.errors import InputError
from ncapps.training.heads import ClassMeansHead, SimplexHead, make_head


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return nn.Linear(6, 4)


def test_the_simplex_head_is_a_simplex_and_never_moves(linear):
    head = SimplexHead(linear)
    cosines = head.rows @ head.rows.T
    expected = torch.full((4, 4), -1 / 3).fill_diagonal_(1.0)
    torch.testing.assert_close(cosines, expected)
    assert not any(parameter.requires_grad for parameter in head.parameters())
    assert not linear.bias.any()


def test_running_means_are_plain_means_first_and_then_forget(linear):
    head = ClassMeansHead(linear, scale=1.0)
    features = F.normalize(torch.randn(3, 6), dim=1)
    for row in features:
        head.observe(5 * row[None], torch.tensor([2]))
    torch.testing.assert_close(head.rows[2], features.mean(0))
    assert not head.rows[[0, 1, 3]].any()
    direction = F.normalize(torch.ones(1, 6), dim=1)
    for _ in range(100):
        head.observe(direction, torch.tensor([2]))
    torch.testing.assert_close(head.rows[2], direction[0], atol=1e-3, rtol=0)


def test_a_batch_moves_only_its_own_classes_and_by_its_mean(linear):
    head = ClassMeansHead(linear, scale=1.0)
    features = torch.randn(5, 6)
    head.observe(features, torch.tensor([0, 0, 1, 1, 1]))
    unit = F.normalize(features, dim=1)
    torch.testing.assert_close(head.rows[0], unit[:2].mean(0))
    torch.testing.assert_close(head.rows[1], unit[2:].mean(0))
    assert not head.rows[2:].any()


@pytest.mark.parametrize("kind", ["learned", "etf", "class_means"])
def test_with_a_scale_logits_are_scaled_cosines_and_settle_keeps_them_at_that_feature_length(linear, kind):
    head = make_head(linear, kind, scale=8.0, seed=0)
    features = torch.randn(20, 6)
    head.observe(features, torch.arange(20) % 4)
    logits = head(features)
    assert float(logits.detach().abs().max()) <= 8.0 + 1e-5
    torch.testing.assert_close(head(3 * features), logits)
    length = 2.5
    head.settle(length)
    torch.testing.assert_close(linear(length * F.normalize(features, dim=1)), logits)
    assert torch.equal(linear(features).argmax(1), logits.argmax(1))


def test_without_a_scale_the_learned_head_is_the_linear_layer(linear):
    features = torch.randn(5, 6)
    head = make_head(linear, "learned", scale=None, seed=0)
    before = linear.weight.clone()
    head.settle(3.0)
    torch.testing.assert_close(head(features), linear(features))
    assert torch.equal(linear.weight, before)


def test_class_means_without_a_scale_are_refused(linear):
    with pytest.raises(InputError, match="feature_scale"):
        make_head(linear, "class_means", scale=None, seed=0)
