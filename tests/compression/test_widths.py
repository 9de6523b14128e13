"""Inner widths where torch-pruning's own indices never end, or cannot be made."""

import pytest
import torch
from compression_nets import randomise_norms
from torch import nn

from ncapps.compression.gate import TOLERANCE, relative_errors
from ncapps.compression.widths import find_inner_widths
from ncapps.errors import InputError


class NeighbourBlock(nn.Module):
    """Its channels are weighed by their neighbours: a view makes places of channels, another one channels of places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1, bias=False)
        self.norm, self.mix = nn.BatchNorm2d(channels), nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.b(self.a(x).relu()))
        gate = self.mix(y.mean((2, 3)).view(len(y), 1, -1)).sigmoid()
        return x + y * gate.view(len(y), -1, 1, 1)


class Around(nn.Module):
    """A stem, a body on 16 channels, and a head."""

    def __init__(self, *body: nn.Module, channels: int = 16) -> None:
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, channels, 1), nn.Sequential(*body)
        self.head = nn.Linear(channels, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.stem(x)).mean((2, 3)))


class PartAttends(nn.Module):
    """Attention on a few of the channels: torch-pruning divides by zero where it infers how many."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Conv2d(4, 12, 1), nn.Conv2d(16, 16, 1)
        self.a, self.b = nn.Conv2d(16, 24, 1), nn.Conv2d(24, 16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        few, rest = x.split([4, 12], dim=1)
        q, k, v = self.qkv(few).flatten(2).split([4, 4, 4], dim=1)
        few = (v @ (q.transpose(1, 2) @ k).softmax(-1)).reshape(few.shape)
        x = x + self.proj(torch.cat([few, rest], dim=1).relu())
        return x + self.b(self.a(x).relu())


IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def producers(model: nn.Module) -> set[str]:
    """Return who writes the widths, each of them cut exactly."""
    widths = find_inner_widths(randomise_norms(model).eval(), IMAGES, time_limit=20)
    kept = [list(range(0, width.channels, 2)) for width in widths]
    assert max(relative_errors(model, widths, kept, IMAGES)) < TOLERANCE
    return {width.producer for width in widths}


def test_views_that_multiply_the_indices_without_end_are_no_hang():
    """torch-pruning's own walk takes minutes: each view makes its list of indices 512 times as long."""
    model = Around(*[NeighbourBlock(512) for _ in range(3)], channels=512)
    assert producers(model) == {f"body.{place}.a" for place in range(3)}


def test_what_torch_pruning_cannot_map_rules_out_no_other_width():
    assert producers(Around(PartAttends())) == {"body.0.a"}


def test_a_network_that_does_not_run_is_still_refused():
    with pytest.raises(InputError, match=r"cannot trace Around \(RuntimeError"):
        find_inner_widths(Around(), torch.randn(2, 4, 8, 8))
