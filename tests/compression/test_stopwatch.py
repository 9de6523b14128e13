"""Rounds by the seconds allowed, in turns, and without gradients."""

import torch
from torch import nn

from ncapps.compression.stopwatch import FEWEST, MOST, time_modules


class Noting(nn.Module):
    def __init__(self, log, name):
        super().__init__()
        self.log, self.name = log, name
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, x):
        out = x * self.weight
        self.log.append((self.name, out.requires_grad))
        return out


def test_arms_take_turns_and_keep_no_gradients():
    log = []
    found = time_modules([(Noting(log, name), torch.ones(2, 4)) for name in "ab"], seconds=1e-9)
    assert [len(one.times_ms) for one in found] == [FEWEST, FEWEST]
    assert {name for name, _ in log[:2]} == {"a", "b"}
    assert not any(graph for _, graph in log)


def test_more_seconds_give_more_rounds_up_to_a_bound():
    (found,) = time_modules([(Noting([], "a"), torch.ones(2, 4))], seconds=60)
    assert len(found.times_ms) == MOST
    assert min(found.times_ms) > 0
