from __future__ import annotations

import pytest
import torch
from torch import nn

from ncapps.training.turned import keep_rows, with_turned


@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
def test_turned_images_follow_the_batch_as_classes_of_their_own(fraction):
    batch, targets = torch.randn(8, 3, 6, 6), torch.arange(8) % 5
    images, labels = with_turned(batch, targets, 5, fraction, torch.Generator().manual_seed(0))
    count = round(8 * fraction)
    assert len(images) == len(labels) == 8 + count
    assert torch.equal(images[:8], batch)
    assert torch.equal(labels[:8], targets)
    for row in range(count):
        quarters, own = divmod(int(labels[8 + row]), 5)
        assert own == targets[row]
        assert quarters in (1, 2, 3)
        assert torch.equal(torch.rot90(images[8 + row], -quarters, dims=(1, 2)), batch[row])


def test_all_three_turns_occur():
    _, labels = with_turned(torch.randn(60, 1, 4, 4), torch.zeros(60).long(), 1, 1.0, torch.Generator().manual_seed(0))
    assert set(labels[60:].tolist()) == {1, 2, 3}


@pytest.mark.parametrize("bias", [True, False])
def test_the_kept_rows_give_the_logits_they_gave(bias):
    linear = nn.Linear(5, 12, bias=bias)
    features = torch.randn(4, 5)
    expected = linear(features)[:, :3]
    keep_rows(linear, 3)
    torch.testing.assert_close(linear(features), expected)
    assert linear.out_features == 3
