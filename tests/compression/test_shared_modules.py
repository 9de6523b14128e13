"""A network that holds one module under two names is pruned around it, saved and loaded."""

import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps.compression import compress, load_compressed

IMAGES = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Twice(nn.Module):
    """A trunk with a convolution before it that is registered a second time under another name."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.trunk = TinyResNet(blocks=1, channels=8)
        self.trunk.again = self.first

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.trunk(self.trunk.again(self.first(images)))


def build(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return randomise_norms(Twice()).eval()


@torch.no_grad()
def test_saved_and_loaded_bit_for_bit(tmp_path):
    small = compress(build(0), IMAGES, macs=0.9, progress=False)
    small.save(tmp_path / "small.safetensors")
    again = load_compressed(tmp_path / "small.safetensors", build(1)).model
    assert again.trunk.again is again.first
    assert torch.equal(again(IMAGES), small.model(IMAGES))
