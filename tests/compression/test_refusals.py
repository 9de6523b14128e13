"""What cannot be compressed or loaded: one clear line each, and the network given is bit for bit as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps import persist
from ncapps.compression import compress, load_compressed
from ncapps.compression.result import KIND, VERSION
from ncapps.errors import InputError

IMAGES = torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@contextmanager
def refused(model: nn.Module, words: str) -> Iterator[None]:
    """Expect one line with these words, and a network with the same tensors, flags and hooks as before."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    training = [module.training for module in model.modules()]
    with pytest.raises(InputError, match=words) as caught:
        yield
    assert "\n" not in str(caught.value)
    after = model.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert training == [module.training for module in model.modules()]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


class Grouped(nn.Module):
    """All its inner layers are convolutions in groups."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3, stride=2), nn.Linear(8, 3)
        self.a, self.b = nn.Conv2d(8, 8, 1, groups=2), nn.Conv2d(8, 8, 3, padding=1, groups=4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head((x + self.b(self.a(x).relu())).mean((2, 3)))


class Shared(Grouped):
    """Two of its layers are one under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
        self.b.weight = self.a.weight


CASES = {
    "target": (TinyResNet, {"macs": 0.05}, r"macs=0.05 is out of reach: .*; ask for macs=0\.\d+ or more"),
    "parameters": (TinyResNet, {"params": 0.02}, r"params=0.02 is out of reach: .* of the parameters are left; ask"),
    "no images": (TinyResNet, {"images": IMAGES[:0]}, "there are no images: 0 came"),
    "no batches": (TinyResNet, {"images": []}, "there are no calibration images"),
    "grouped": (Grouped, {}, "no inner width .*; 2 of its 3 convolutions are grouped, which is not supported$"),
    "shared": (Shared, {}, "no inner width .*; a, b share weights, and such layers are left alone$"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_compressed_is_one_line(case):
    build, change, words = CASES[case]
    model = randomise_norms(build()).train()
    with refused(model, words):
        compress(model, **{"images": IMAGES, "progress": False, **change})


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "small"
    compress(randomise_norms(TinyResNet()), IMAGES, macs=0.7, progress=False).save(path)
    return path


def test_another_backbone_is_one_line(saved):
    for model in (TinyResNet(blocks=2), TinyResNet(channels=24), TinyResNet(classes=6)):
        with refused(model, "was made from another network: .* has the shape .* build it as for compress"):
            load_compressed(saved, model)


def drop(header, arrays):
    del header["plan"]["widths"]


def misname(header, arrays):
    header["plan"]["widths"][0]["consumer"] = "nowhere"


def miscount(header, arrays):
    header["plan"]["widths"][0]["kept"].pop()


def empty(header, arrays):
    header["plan"]["widths"][0]["kept"] = []


def bias(header, arrays):
    header["plan"]["added_biases"].append("nowhere")


def lose(header, arrays):
    del arrays["stem.weight"]


def reshape(header, arrays):
    arrays["head.weight"] = arrays["head.weight"][:, :-1]


def scalar(header, arrays):
    header["plan"] = 7


@pytest.mark.parametrize("damage", [drop, misname, miscount, empty, bias, lose, reshape, scalar])
def test_a_damaged_plan_or_tensor_is_one_line(saved, tmp_path, damage):
    arrays, header = persist.load(saved, KIND, VERSION)
    damage(header, arrays)
    persist.save(tmp_path / "odd", KIND, VERSION, arrays, header)
    model = TinyResNet()
    with refused(model, "odd is damaged: "):
        load_compressed(tmp_path / "odd", model)


def test_the_same_file_undamaged_is_read(saved, tmp_path):
    arrays, header = persist.load(saved, KIND, VERSION)
    persist.save(tmp_path / "even", KIND, VERSION, arrays, header)
    assert load_compressed(tmp_path / "even", TinyResNet()).report.macs_ratio <= 0.7
