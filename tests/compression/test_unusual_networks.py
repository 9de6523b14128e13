"""Networks that are legal and rare: each is compressed, and where nothing is cut nothing changes."""

import pytest
import timm
import torch
from compression_nets import randomise_norms
from torch import nn
from torch.nn import functional as F

from ncapps.compression import compress, passes
from ncapps.compression.calibration import Calibration
from ncapps.compression.preparation import prepare
from ncapps.compression.repair import repair


def images(count, side=32, seed=0):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


class Plain(nn.Module):
    """One residual block with an inner width, and two layers behind it that share a weight or are parametrised."""

    def __init__(self):
        super().__init__()
        self.stem, self.first, self.second = (nn.Conv2d(i, o, 3, padding=1) for i, o in ((3, 8), (8, 16), (16, 8)))
        self.third, self.fourth = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x).relu()
        x = x + self.second(self.first(x).relu())
        return self.head(self.fourth(self.third(x).relu()).mean((2, 3)))


class Fire(nn.Module):
    """SqueezeNet's module: two layers read one width, and what they give is put side by side."""

    def __init__(self, width):
        super().__init__()
        self.squeeze = nn.Conv2d(width, 6, 1)
        self.narrow, self.wide = nn.Conv2d(6, 8, 1), nn.Conv2d(6, 8, 3, padding=1)

    def forward(self, x):
        x = self.squeeze(x).relu_()
        return torch.cat([self.narrow(x).relu_(), self.wide(x).relu_()], 1)


class SqueezeNet(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), Fire(8), Fire(16), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(16, 5),
        )  # fmt: skip


class PreActivation(nn.Module):
    """A block whose batch norm reads what its shortcut hands on."""

    def __init__(self, width=8, wider=1):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(wider * width)
        self.conv1 = nn.Conv2d(width, wider * width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(wider * width, wider * width, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(width, wider * width, 1) if wider > 1 else None

    def forward(self, x):
        y = F.relu(self.norm1(x))
        x = x if self.shortcut is None else self.shortcut(y)
        return x + self.conv2(F.relu(self.norm2(self.conv1(y))))


class PreActivationNet(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), PreActivation(), PreActivation(wider=2), nn.BatchNorm2d(16),
            nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5),
        )  # fmt: skip


def halved(model, batch, **settings):
    torch.manual_seed(0)
    small = compress(randomise_norms(model).eval(), batch, progress=False, **{"macs": 0.85, **settings})
    assert small.report.macs_ratio <= settings.get("macs", 0.85)
    with torch.no_grad():
        wanted, found = model(batch), small.model(batch)
    assert bool(torch.isfinite(found).all())
    return small, float((wanted - found).norm() / wanted.norm())


def test_a_network_with_frozen_parameters():
    frozen, thawed = Plain(), Plain()
    thawed.load_state_dict(frozen.state_dict())
    frozen.requires_grad_(False)
    error = halved(frozen, images(32))[1]
    assert error == pytest.approx(halved(thawed, images(32))[1], rel=1e-4)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


def test_weights_that_are_shared_or_parametrised_elsewhere():
    tied, normed = Plain(), Plain()
    tied.fourth.weight = tied.third.weight
    normed.fourth = nn.utils.parametrizations.weight_norm(normed.fourth)
    assert halved(tied, images(32))[1] < 0.1
    assert halved(normed, images(32))[1] < 0.1


def test_linear_layers_over_channels_last_maps():
    model = timm.create_model("convnext_tiny", depths=(1, 1, 1, 1), dims=(8, 16, 24, 32), num_classes=5)
    halved(model, images(32, side=128))


def test_layers_that_see_an_image_as_several_rows():
    halved(timm.create_model("mobilevit_xxs", num_classes=5), images(4, side=64), macs=0.9)


def test_a_width_that_two_layers_read_apart():
    assert halved(SqueezeNet(), images(32), streams=True)[1] < 0.2


def test_one_image_is_enough_where_positions_are_added(monkeypatch):
    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.mix, self.place = (
                nn.Linear(48, 32),
                nn.Linear(32, 16),
                nn.Parameter(torch.randn(1, 64, 16)),
            )
            self.up, self.down, self.head = nn.Linear(16, 32), nn.Linear(32, 16), nn.Linear(16, 5)

        def forward(self, x):
            x = F.unfold(x, 4, stride=4).transpose(1, 2)
            x = self.mix(self.embed(x).relu()) + self.place
            x = x + self.down(F.gelu(self.up(x)))
            return self.head(x.mean(1))

    # The layers are refitted one by one, on several views of the image.
    monkeypatch.setattr(passes, "MANY_ROWS", 10**9)
    halved(Patches(), images(1))


@pytest.mark.parametrize("count", [8, 48])
def test_where_nothing_is_cut_a_norm_beside_a_shortcut_changes_nothing(count):
    model, batch = randomise_norms(PreActivationNet()).eval(), images(count)
    calibration = Calibration(images=batch, labels=None, batch_size=16)
    ready = prepare(model, calibration, time_limit=30, progress=False, streams=True)
    kept = [range(width.channels) for width in ready.probe.widths]
    assert any(width.is_stream for width in ready.probe.widths)
    small = ready.cut(kept)
    repair(small, ready.dense, ready.probe, kept, calibration, views=1)
    with torch.no_grad():
        assert torch.allclose(small(batch), model(batch), rtol=1e-3, atol=1e-3)
        assert torch.allclose(small[0](batch), model[0](batch), rtol=1e-3, atol=1e-3)


def test_weights_come_back_as_tensors_of_their_own():
    small, _ = halved(Plain(), images(64))
    assert all(parameter.is_contiguous() for parameter in small.model.parameters())
    assert all(p.untyped_storage().nbytes() == p.nbytes for p in small.model.parameters())
