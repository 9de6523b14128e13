"""Moving the producer: the exact answer where the problem is linear, a smaller error where it is not."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ncapps.compression import refinement
from ncapps.compression.refinement import Pair, refine


def linear_pair(between, seed=0):
    """Five channels that should say what ten do."""
    generator = torch.Generator().manual_seed(seed)
    producer, consumer = nn.Linear(8, 5), nn.Linear(5, 4)
    wide = [torch.randn(shape, generator=generator) for shape in ((10, 8), (4, 10))]
    inputs = torch.randn(600, 8, generator=generator)
    with torch.no_grad():
        producer.weight.copy_(wide[0][:5])
        producer.bias.zero_()
    wanted = between(inputs @ wide[0].T) @ wide[1].T
    hidden = F.pad(between(inputs @ wide[0][:5].T), (0, 1), value=1.0)
    weight = torch.linalg.lstsq(hidden, wanted).solution.T
    return Pair(producer=producer, consumer=consumer, between=between, inputs=inputs, wanted=wanted, weight=weight)


def gram_of(columns):
    columns = F.pad(columns, (0, 1), value=1.0).double()
    return columns.T @ columns / len(columns)


@torch.no_grad()
def error_with(pair, step=None):
    raw = pair.producer(pair.inputs)
    if step is not None:
        raw = raw + refinement.apply(pair.producer, pair.inputs, step)
    return float((pair.wanted - pair.read(pair.between(raw))).square().sum())


@torch.no_grad()
def test_without_an_activation_it_is_the_least_squares_answer(monkeypatch):
    monkeypatch.setattr(refinement, "DAMPING", 0.0)
    pair = linear_pair(lambda x: x * 1.0)
    step = refine(pair, gram_of(pair.inputs), iterations=60)
    # Both sides of the bilinear problem: (inputs ⊗ weight) vec(step) = error.
    columns = F.pad(pair.inputs, (0, 1), value=1.0)
    error = pair.wanted - pair.read(pair.producer(pair.inputs))
    exact = torch.linalg.pinv(pair.weight[:, :-1].double()) @ error.T.double() @ torch.linalg.pinv(columns.T.double())
    assert (step.double() - exact).norm() < 1e-2 * exact.norm()


@pytest.mark.parametrize("between", [torch.relu, F.gelu, torch.tanh])
@torch.no_grad()
def test_the_error_falls(between):
    pair = linear_pair(between)
    step = refine(pair, gram_of(pair.inputs), iterations=5)
    assert error_with(pair, step) < 0.8 * error_with(pair)


@torch.no_grad()
def test_convolutions_with_stride_and_padding():
    generator = torch.Generator().manual_seed(1)
    producer, consumer = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 6, 3, padding=1)
    inputs = torch.randn(20, 3, 12, 12, generator=generator)
    for tensor in (*producer.parameters(), *consumer.parameters()):
        tensor.copy_(0.3 * torch.randn(tensor.shape, generator=generator))
    wanted = consumer(producer(inputs).relu())
    producer.weight.add_(0.05 * torch.randn(producer.weight.shape, generator=generator))
    weight = torch.cat([consumer.weight.flatten(1), consumer.bias[:, None]], dim=1)
    pair = Pair(producer=producer, consumer=consumer, between=torch.relu, inputs=inputs, wanted=wanted, weight=weight)
    assert torch.allclose(pair.read(inputs.new_ones(1, 4, 6, 6)), consumer(inputs.new_ones(1, 4, 6, 6)), atol=1e-5)
    columns = F.unfold(inputs, 3, stride=2, padding=1).transpose(1, 2).reshape(-1, 27)
    step = refine(pair, gram_of(columns), iterations=5)
    assert step.shape == (4, 28)
    assert error_with(pair, step) < 0.3 * error_with(pair)


@torch.no_grad()
def test_values_that_depend_on_one_another_are_left_alone():
    pair = linear_pair(lambda x: F.softmax(x, dim=1))
    assert refine(pair, gram_of(pair.inputs), iterations=3) is None
    pair = linear_pair(lambda x: x.cumsum(dim=1))
    assert refine(pair, gram_of(pair.inputs), iterations=3) is None


@torch.no_grad()
def test_nothing_is_moved_where_nothing_is_wrong():
    pair = linear_pair(torch.relu)
    right = Pair(**{**pair.__dict__, "wanted": pair.read(pair.between(pair.producer(pair.inputs)))})
    assert refine(right, gram_of(pair.inputs), iterations=3) is None
