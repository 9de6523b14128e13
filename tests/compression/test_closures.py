"""Lambdas in a network: harmless ones are copied, saved and loaded, those that hold a layer are refused."""

import functools
from types import MethodType

import pytest
import torch
from compression_nets import TinyBlock, TinyResNet, randomise_norms
from torch import nn
from torch.nn import functional as F

from ncapps.compression import compress, load_compressed
from ncapps.compression.closures import held_by_functions
from ncapps.errors import InputError

IMAGES = torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class LambdaBlock(TinyBlock):
    """With a shortcut by a function, as in many a ResNet for CIFAR."""

    def __init__(self, channels: int, shortcut=None) -> None:
        super().__init__(channels)
        self.proj = nn.Conv2d(channels, channels, 1)
        self.shortcut = (lambda x: F.avg_pool2d(x, 1)) if shortcut is None else shortcut(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + self.shortcut(x)


def build(shortcut=None) -> nn.Module:
    model = TinyResNet()
    model.blocks[0] = LambdaBlock(16, shortcut)
    return randomise_norms(model).eval()


def with_a_default(block: nn.Module):
    return lambda x, proj=block.proj: proj(x)


def with_a_tensor(block: nn.Module):
    weight = block.proj.weight
    return lambda x: F.conv2d(x, weight)


@pytest.mark.parametrize(
    "shortcut",
    [lambda block: lambda x: block.proj(x), with_a_default, with_a_tensor],
    ids=["self", "default", "tensor"],
)
def test_a_function_that_holds_a_layer_is_refused_and_the_model_untouched(shortcut):
    model = build(shortcut)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError, match=r"TinyResNet\.blocks\.0\.shortcut is a lambda or inner function that holds"):
        compress(model, IMAGES, macs=0.8, progress=False)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    "shortcut",
    [None, lambda block: functools.partial(block.proj), lambda block: MethodType(lambda self, x: self.proj(x), block)],
    ids=["plain", "partial", "method"],
)
def test_what_is_copied_with_the_network_is_compressed_and_comes_back_bit_for_bit(shortcut, tmp_path):
    model = build(shortcut)
    small = compress(model, IMAGES, macs=0.8, progress=False)
    small.save(tmp_path / "small")
    again = load_compressed(tmp_path / "small", build(shortcut)).model
    with torch.no_grad():
        outputs = small.model(IMAGES)
        assert torch.equal(outputs, again(IMAGES))
        # Whoever runs the first network's layers changes with it.
        for parameter in model.parameters():
            parameter.zero_()
        assert torch.equal(outputs, small.model(IMAGES))


def test_functions_in_lists_and_names_without_a_value_are_looked_at():
    model = nn.Linear(2, 2)
    model.steps = [torch.relu, lambda x: model(x)]

    def early():
        return later

    model.early = early
    assert held_by_functions(nn.Sequential(model)) == ("0.steps",)
    later = model
    assert held_by_functions(nn.Sequential(model)) == ("0.steps", "0.early")
    assert later is early()
