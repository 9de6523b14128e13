"""A recorded segment is the function between two tensors: with other inputs, and with parameters as they are then."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ncapps.compression.segment import SegmentRecorder

SCALE = nn.Parameter(torch.tensor([2.0, -1.0, 0.5]))


def norm(x):
    return nn.BatchNorm1d(3).eval()(x * SCALE)


BETWEEN = {
    "one function": F.gelu,
    "method": lambda x: x.relu(),
    "in place": lambda x: F.relu6(x.mul_(2.0), inplace=True),
    "several, with a parameter": lambda x: F.silu(norm(x)).transpose(0, 1).flatten(),
    "read twice": lambda x: x * torch.sigmoid(x) + x,
    "nothing": lambda x: x,
}


def record(function, start, *, after=lambda x: x):
    recorder = SegmentRecorder()
    with recorder, torch.no_grad():
        recorder.start("it", start)
        end = function(start)
        after(end.clone())
        segment = recorder.until("it", end)
    return segment


@pytest.mark.parametrize("name", BETWEEN)
@torch.no_grad()
def test_it_is_the_same_function(name):
    segment = record(BETWEEN[name], torch.randn(4, 3), after=lambda x: x + 100)
    other = torch.randn(7, 3)
    kept = other.clone()
    assert torch.equal(segment(other), BETWEEN[name](other.clone()))
    assert torch.equal(other, kept), "what is given is not worked on in place"


@torch.no_grad()
def test_parameters_count_as_they_are_then():
    scale = nn.Parameter(torch.ones(3))
    segment = record(lambda x: (x * scale).relu(), torch.randn(4, 3))
    scale.fill_(3.0)
    inputs = torch.randn(4, 3)
    assert torch.equal(segment(inputs), (3 * inputs).relu())


def test_gradients_go_through():
    segment = record(lambda x: x.relu_(), torch.randn(4, 3))
    inputs = torch.randn(4, 3, requires_grad=True)
    segment(inputs).sum().backward()
    assert torch.equal(inputs.grad, (inputs > 0).float())


def test_an_end_that_does_not_come_from_the_start_gives_none():
    recorder = SegmentRecorder()
    with recorder:
        recorder.start("it", torch.ones(3))
        assert recorder.until("it", torch.ones(3).relu()) is None


@torch.no_grad()
def test_one_start_has_several_ends_until_it_is_forgotten():
    recorder, start, inputs = SegmentRecorder(), torch.randn(4, 3), torch.randn(5, 3)
    with recorder:
        recorder.start("it", start)
        middle = start.relu()
        end = middle * 2 + 1
        first, second = recorder.until("it", middle), recorder.until("it", end)
        recorder.forget("it")
    assert torch.equal(first(inputs), inputs.relu())
    assert torch.equal(second(inputs), inputs.relu() * 2 + 1)
    with pytest.raises(KeyError):
        recorder.until("it", end)
