"""Counting the readers of a tensor."""

import torch
from torch import nn

from ncapps.compression.readers import ReaderCount


def test_layers_operators_and_both_arguments_of_one_operation_count():
    norm = nn.BatchNorm2d(2).eval()
    with ReaderCount() as readers:
        values, other = torch.randn(2, 2, 3, 3), torch.randn(2, 2, 3, 3)
        readers.follow(values)
        norm(values)
        values.add(values)
        torch.cat([other, values])
        other.relu()
    assert readers[values] == 3
    assert readers[other] == 0


def test_questions_and_pauses_do_not_count():
    with ReaderCount() as readers:
        values = torch.randn(2, 3)
        readers.follow(values)
        assert values.shape == (2, 3)
        assert values.numel() == 6
        assert values.dtype == torch.float32
        with readers.paused():
            values.sum()
    values.sum()
    assert readers[values] == 0
