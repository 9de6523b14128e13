"""Moving the producer: the exact answer where the problem is linear, a smaller error where it is not."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ncapps.compression import conjugate_gradients, refinement
from ncapps.compression.derivative import Link
from ncapps.compression.refinement import Pair, lowest_point, refine


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
    return Pair(
        producer=producer,
        consumer=consumer,
        between=(Link(segment=between),),
        inputs=inputs,
        wanted=wanted,
        weight=weight,
    )


def gram_of(columns):
    columns = F.pad(columns, (0, 1), value=1.0).double()
    return columns.T @ columns / len(columns)


@torch.no_grad()
def error_with(pair, step=None):
    raw = pair.producer(pair.inputs)
    if step is not None:
        raw = raw + refinement.apply(pair.producer, pair.inputs, step)
    return float((pair.wanted - pair.read(pair.follow(raw))).square().sum())


@torch.no_grad()
def test_without_an_activation_it_is_the_least_squares_answer(monkeypatch):
    monkeypatch.setattr(conjugate_gradients, "DAMPING", 0.0)
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
    pair = Pair(
        producer=producer,
        consumer=consumer,
        between=(Link(segment=torch.relu),),
        inputs=inputs,
        wanted=wanted,
        weight=weight,
    )
    assert torch.allclose(pair.read(inputs.new_ones(1, 4, 6, 6)), consumer(inputs.new_ones(1, 4, 6, 6)), atol=1e-5)
    columns = F.unfold(inputs, 3, stride=2, padding=1).transpose(1, 2).reshape(-1, 27)
    step = refine(pair, gram_of(columns), iterations=5)
    assert step.shape == (4, 28)
    assert error_with(pair, step) < 0.3 * error_with(pair)


@pytest.mark.parametrize("between", [lambda x: F.softmax(x, dim=1), lambda x: x.relu().cumsum(dim=1)])
@torch.no_grad()
def test_the_error_falls_where_values_depend_on_one_another(between):
    pair = linear_pair(between)
    step = refine(pair, gram_of(pair.inputs), iterations=5)
    assert error_with(pair, step) < 0.9 * error_with(pair)


def depthwise_pair(moved):
    """Point by point, depthwise, point by point again, as in an inverted residual; one of the first two is spoiled."""
    generator = torch.Generator().manual_seed(2)
    expand, depthwise = nn.Conv2d(3, 5, 1), nn.Conv2d(5, 5, 3, padding=1, groups=5)
    project = nn.Conv2d(5, 4, 1)
    for layer in (expand, depthwise, project):
        for tensor in layer.parameters():
            tensor.copy_(0.5 * torch.randn(tensor.shape, generator=generator))
    inputs = torch.randn(16, 3, 10, 10, generator=generator)
    wanted = project(depthwise(expand(inputs).clamp(0, 6)).clamp(0, 6))
    layer = {"expand": expand, "depthwise": depthwise}[moved]
    layer.weight.add_(0.1 * torch.randn(layer.weight.shape, generator=generator))
    reads = inputs if moved == "expand" else expand(inputs).clamp(0, 6)
    last = Link(segment=lambda x: x.clamp(0, 6))
    between = (Link(segment=lambda x: x.clamp(0, 6), layer=depthwise), last) if moved == "expand" else (last,)
    weight = torch.cat([project.weight.flatten(1), project.bias[:, None]], dim=1)
    return Pair(producer=layer, consumer=project, between=between, inputs=reads, wanted=wanted, weight=weight)


@pytest.mark.parametrize("moved", ["expand", "depthwise"])
@torch.no_grad()
def test_through_and_of_a_depthwise_convolution(moved):
    pair = depthwise_pair(moved)
    if moved == "expand":
        gram = gram_of(pair.inputs.permute(0, 2, 3, 1).reshape(-1, 3))
    else:
        taps = F.unfold(pair.inputs, 3, padding=1).reshape(16, 5, 9, -1)
        gram = torch.stack([gram_of(taps[:, c].transpose(1, 2).reshape(-1, 9)) for c in range(5)])
    step = refine(pair, gram, iterations=8)
    assert step.shape == (5, pair.producer.weight[0].numel() + 1)
    assert error_with(pair, step) < 0.2 * error_with(pair)


@torch.no_grad()
def test_nothing_is_moved_where_nothing_is_wrong():
    pair = linear_pair(torch.relu)
    right = Pair(**{**pair.__dict__, "wanted": pair.read(pair.follow(pair.producer(pair.inputs)))})
    assert refine(right, gram_of(pair.inputs), iterations=3) is None


@pytest.mark.parametrize(
    ("errors", "point"),
    [((1.0, 0.25, 0.0), 1.0), ((3.0, 1.0, 1.0), 0.75), ((1.0, 2.0, 4.0), 0.0), ((1.0, 1.5, 0.5), 1.0)],
)
def test_the_lowest_point_of_three(errors, point):
    assert lowest_point(*errors) == pytest.approx(point)
