"""Visits show the network's own values, and what is overwritten there goes on."""

import pytest
import torch
from compression_nets import TinyResNet, randomise_norms

from ncapps.compression.probe import Branch
from ncapps.compression.visits import visiting

IMAGES = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
TAIL = Branch(layer="blocks.0.conv2", norm="blocks.0.bn2", joins=True)
INSIDE = Branch(layer="blocks.0.conv1", norm="blocks.0.bn1", joins=False)


@pytest.fixture
def model():
    return randomise_norms(TinyResNet(blocks=1, channels=8)).eval()


def visits_of(model, branches):
    seen = []
    with visiting(model, branches) as run:
        output = run(IMAGES, seen.append)
    return seen, output


@torch.no_grad()
def test_they_are_the_networks_own_values_in_the_order_in_which_they_come(model):
    block = model.blocks[0]
    stream = model.bn(model.stem(IMAGES)).relu()
    inside = block.bn1(block.conv1(stream))
    (first, second), output = visits_of(model, [TAIL, INSIDE])
    assert (first.branch, second.branch) == (INSIDE, TAIL)
    assert torch.equal(output, model(IMAGES))
    assert torch.allclose(first.inputs, stream, atol=1e-5)
    assert torch.allclose(first.values(block.bn1), inside, atol=1e-5)
    assert first.shortcut is None
    assert torch.allclose(second.inputs, inside.relu(), atol=1e-5)
    assert torch.allclose(second.values(block.bn2), block.bn2(block.conv2(inside.relu())), atol=1e-5)
    assert torch.allclose(second.shortcut, stream, atol=1e-5)


@pytest.mark.parametrize("branch", [TAIL, INSIDE])
@torch.no_grad()
def test_what_is_overwritten_goes_on(model, branch):
    """The layer's weight is doubled behind the network's back: overwriting its output must say the same."""
    layer, norm = model.get_submodule(branch.layer), model.get_submodule(branch.norm)

    def double(visit):
        output = 2 * layer.forward(visit.inputs)
        visit.output.copy_(norm.forward(output) if branch.joins else output)

    with visiting(model, [branch]) as run:
        got = run(IMAGES, double)
    before = model(IMAGES)
    layer.weight.mul_(2)
    assert torch.allclose(got, model(IMAGES), atol=1e-4)
    assert not torch.allclose(got, before, atol=1e-2)


def test_the_hooks_go_at_the_end_even_after_an_error(model):
    def fail(visit):
        raise KeyError(visit.branch.layer)

    with pytest.raises(KeyError), visiting(model, [INSIDE]) as run:
        run(IMAGES, fail)
    assert not any(module._forward_hooks for module in model.modules())
    visits_of(model, [INSIDE])
