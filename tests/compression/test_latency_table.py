"""The table of layers' times: monotone, exact where the clock is, in steps where the time is, for any layer."""

import copy
import itertools

import pytest
import torch
from compression_nets import TinyResNet, randomise_norms
from hypothesis import given
from hypothesis import strategies as st
from latency_clock import MadeUpClock, stepped_ms
from torch import nn

from ncapps.compression.latency_table import grid, input_shapes, latency_costs, narrowed, share_curve
from ncapps.compression.surgery import shrunk_copy
from ncapps.compression.widths import InnerWidth, find_inner_widths

BATCH = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Inverted(nn.Module):
    """A linear width, and one with a batch norm and a depthwise convolution in it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 12, 3, stride=2), nn.Linear(12, 4)
        self.wide, self.norm = nn.Conv2d(12, 48, 1, bias=False), nn.BatchNorm2d(48)
        self.depth, self.narrow = nn.Conv2d(48, 48, 3, padding=1, groups=48), nn.Conv2d(48, 12, 1)
        self.fc1, self.fc2 = nn.Linear(12, 40), nn.Linear(40, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = (x + self.narrow(self.depth(self.norm(self.wide(x)).relu()).relu())).mean((2, 3))
        return self.head(x + self.fc2(self.fc1(x).relu()))


@pytest.mark.parametrize("channels", [2, 3, 16, 31, 32, 40, 64, 100, 2048])
def test_the_grid_ends_with_all_channels_and_has_few(channels):
    counts = grid(channels)
    assert counts == sorted(set(counts))
    assert (counts[0] >= 1, counts[-1]) == (True, channels)
    assert len(counts) <= 8


@given(st.integers(2, 300), st.lists(st.floats(0.01, 2.0), min_size=8, max_size=8))
def test_the_table_is_monotone_whatever_was_measured(channels, noise):
    counts = grid(channels)
    curve = share_curve(counts, [*noise[: len(counts) - 1], 1.0], channels)
    assert len(curve) == channels + 1
    assert curve[-1] == pytest.approx(1.0)
    assert all(0 < less <= more for less, more in itertools.pairwise(curve))


def test_a_time_in_steps_gives_a_table_in_steps():
    counts = grid(96)
    curve = share_curve(counts, [-(-count // 16) / 6 for count in counts], 96)
    assert curve[96 - 15] == pytest.approx(1.0)
    assert curve[80] == curve[65] == pytest.approx(5 / 6)
    smooth = share_curve(counts, [count / 96 for count in counts], 96)
    assert smooth[96 - 15] == pytest.approx(81 / 96)


def test_a_narrowed_layer_is_that_of_the_narrowed_network():
    model = randomise_norms(Inverted()).eval()
    width = next(one for one in find_inner_widths(model, BATCH) if one.producer == "wide")
    assert set(width.coupled) == {"norm", "depth"}
    small = dict(shrunk_copy(model, [width], [range(10)]).named_modules())
    shapes = input_shapes(model, [width], BATCH)
    roles = {"wide": "producer", "norm": "coupled", "depth": "coupled", "narrow": "consumer"}
    for name, role in roles.items():
        inputs = torch.randn(shapes[name], generator=torch.Generator().manual_seed(1))
        layer, fewer = narrowed(model.get_submodule(name), inputs, role, range(10))
        assert fewer.shape[1] == (12 if role == "producer" else 10)
        assert torch.equal(layer(fewer), small[name](fewer))
    assert model.wide.out_channels == 48


def test_with_an_exact_clock_the_table_is_exact():
    model = randomise_norms(Inverted()).eval()
    before = copy.deepcopy(model.state_dict())
    widths = tuple(sorted(find_inner_widths(model, BATCH), key=lambda width: width.producer))
    assert [width.producer for width in widths] == ["fc1", "wide"]
    costs = latency_costs(model, widths, BATCH, MadeUpClock())
    # 12 * 40 weights twice; 12 * 48 twice and 9 * 48; a batch norm has no weight of two dimensions.
    assert costs.total == pytest.approx((2 * 12 * 40 + 2 * 12 * 48 + 9 * 48) / 1000)
    assert costs([20, 48]) == pytest.approx(costs.total - 12 * 40 / 1000)
    assert costs.saved([40, 48], 1, 24) == pytest.approx((12 * 48 + 9 * 24) / 1000)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_layer_between_two_widths_has_both_shares():
    model = randomise_norms(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 8)))
    widths = [InnerWidth(producer=a, coupled=(), consumer=b, channels=16) for a, b in (("0", "2"), ("2", "4"))]
    costs = latency_costs(model, widths, torch.randn(1, 8), MadeUpClock())
    assert costs([8, 4]) == pytest.approx((8 * 8 + 8 * 4 + 4 * 8) / 1000)


def test_what_each_removal_saves_is_told_from_the_dense_network():
    model = randomise_norms(TinyResNet(blocks=1, channels=32)).eval()
    widths = find_inner_widths(model, BATCH)
    costs = latency_costs(model, widths, BATCH, MadeUpClock(stepped_ms))
    saved = costs.progress(0, 31)
    assert saved == pytest.approx([0] * 16 + [costs.total / 2] * 16)
    assert [costs.saved([32], 0, n) for n in range(32)] == pytest.approx(saved)
