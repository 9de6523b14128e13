"""The derivative is that of finite differences, and pulling is the adjoint of pushing."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ncapps.compression.derivative import ChainDerivative, Derivative, Link

DEPTHWISE = nn.Conv2d(3, 3, 3, stride=2, padding=1, groups=3)
NORM = nn.BatchNorm2d(3).eval()
SEGMENTS = {
    "activation": F.gelu,
    "norm and activation, in place": lambda x: F.relu6(NORM(x), inplace=True),
    "depthwise": lambda x: F.hardtanh(DEPTHWISE(F.softplus(NORM(x))), 0.0, 6.0),
    "softmax": lambda x: torch.softmax(x, dim=1),
}


@pytest.mark.parametrize("name", SEGMENTS)
@torch.no_grad()
def test_it_is_the_derivative(name):
    segment, generator = SEGMENTS[name], torch.Generator().manual_seed(0)
    start, change = (torch.randn(4, 3, 6, 6, generator=generator) for _ in range(2))
    derivative = Derivative(lambda x: segment(x.clone()), start)
    assert torch.allclose(derivative.end, segment(start.clone()))
    assert (derivative.slopes is None) == (name in ("depthwise", "softmax"))
    step = 1e-2
    ends = [segment(start + sign * step * change) for sign in (1, -1)]
    pushed = derivative.push(change)
    near = (ends[0] - ends[1]) / (2 * step)
    # Few values lie at a kink.
    assert ((pushed - near).abs() < 1e-2).float().mean() > 0.97
    gradient = torch.randn(derivative.end.shape, generator=generator)
    assert torch.allclose((pushed * gradient).sum(), (change * derivative.pull(gradient)).sum(), rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_a_chain_is_the_derivative_of_the_whole():
    generator = torch.Generator().manual_seed(1)
    start, change = (torch.randn(4, 3, 6, 6, generator=generator) for _ in range(2))
    links = (Link(segment=F.softplus, layer=DEPTHWISE), Link(segment=torch.tanh))
    chain, whole = ChainDerivative(links, start), Derivative(lambda x: torch.tanh(DEPTHWISE(F.softplus(x))), start)
    assert chain.slopes is None
    assert torch.allclose(chain.end, whole.end)
    assert torch.allclose(chain.push(change), whole.push(change), atol=1e-5)
    gradient = torch.randn(chain.end.shape, generator=generator)
    assert torch.allclose(chain.pull(gradient), whole.pull(gradient), atol=1e-5)
    assert ChainDerivative((Link(segment=torch.tanh),), start).slopes is not None
