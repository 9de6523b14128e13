"""The gate tells a cut that is wrong from one that is right but for rounding."""

import copy

import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps.compression.gate import TOLERANCE, exact_widths, relative_errors
from ncapps.compression.widths import InnerWidth, find_inner_widths

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
FIRST = InnerWidth(producer="blocks.0.conv1", coupled=("blocks.0.bn1",), consumer="blocks.0.conv2", channels=16)


class Magnified(TinyResNet):
    """Its output is what follows the fifth digit."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        large = 1e5 * super().forward(x)
        return large - large.round()


def halves(model: nn.Module) -> tuple[tuple[InnerWidth, ...], list[list[int]]]:
    widths = find_inner_widths(model, IMAGES)
    return widths, [list(range(0, width.channels, 2)) for width in widths]


def test_rounding_that_the_network_magnifies_is_no_fault_of_the_cut():
    model = randomise_norms(Magnified(channels=96)).eval()
    before = copy.deepcopy(model.state_dict())
    widths, kept = halves(model)
    errors = relative_errors(model, widths, kept, IMAGES)
    assert max(errors) < 1e-9, "this is the answer of float64: that of float32 is in the next test"
    assert exact_widths(model, widths, IMAGES) == widths
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert next(model.parameters()).dtype == torch.float32


def test_a_network_that_float64_does_not_run_in_keeps_the_verdict_of_float32():
    model = randomise_norms(Magnified(channels=96)).eval()
    model.stem.register_forward_pre_hook(lambda module, inputs: (inputs[0].float(),))
    widths, kept = halves(model)
    assert relative_errors(model, widths, kept, IMAGES)[-1] > TOLERANCE


def test_a_cut_that_is_wrong_is_wrong_in_float64_too():
    mixing = Mixing().eval()
    assert relative_errors(mixing, [Mixing.width], [[0, 1, 4]], IMAGES)[-1] > 1e-2
    assert exact_widths(mixing, [Mixing.width], IMAGES) == ()


class Mixing(nn.Module):
    """The largest channel is taken off all of them, whichever are left."""

    width = InnerWidth(producer="a", coupled=(), consumer="b", channels=6)

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.a, self.b = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x)
        return self.b(x - x.amax(dim=1, keepdim=True)).mean((2, 3))


def test_the_inexact_width_alone_is_left_out():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Mixing(), randomise_norms(TinyResNet(blocks=1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(x) + self.first(x).mean()

    def inside(part: str, width: InnerWidth) -> InnerWidth:
        names = tuple(f"{part}.{name}" for name in width.coupled)
        producer, consumer = f"{part}.{width.producer}", f"{part}.{width.consumer}"
        return InnerWidth(producer=producer, coupled=names, consumer=consumer, channels=width.channels)

    right = inside("second", FIRST)
    assert exact_widths(Two().eval(), [inside("first", Mixing.width), right], IMAGES) == (right,)
