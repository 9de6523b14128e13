"""What one forward pass tells: order, costs, joins, and which layer is the classifier."""

import pytest
import timm
import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps.compression import compress
from ncapps.compression.probe import affine_of, probe
from ncapps.compression.widths import InnerWidth, find_inner_widths
from ncapps.errors import InputError


def probed(model: nn.Module, images: torch.Tensor):
    return probe(model, images, find_inner_widths(model, images))


def mobilenet() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return randomise_norms(timm.create_model("mobilenetv2_035", num_classes=5, depth_multiplier=0.4)).eval()


def test_blocks_are_seen_in_order_with_their_norms_and_joins():
    model = randomise_norms(TinyResNet(blocks=2)).eval()
    found = probed(model, torch.randn(2, 3, 16, 16))
    assert [width.producer for width in found.widths] == ["blocks.0.conv1", "blocks.1.conv1"]
    assert [(b.layer, b.norm, b.joins) for b in found.branches] == [
        ("blocks.0.conv2", "blocks.0.bn2", True),
        ("blocks.1.conv2", "blocks.1.bn2", True),
    ]
    assert [(b.norm, b.joins) for b in found.producers] == [("blocks.0.bn1", False), ("blocks.1.bn1", False)]
    assert found.classifier == "head"


def test_costs_are_those_of_one_image_by_hand():
    model = TinyResNet(blocks=1, channels=16, classes=5).eval()
    macs = probed(model, torch.randn(2, 3, 16, 16)).layer_macs
    assert macs == {
        "stem": 64 * 16 * 27,
        **dict.fromkeys(("blocks.0.conv1", "blocks.0.conv2"), 64 * 16 * 144.0),
        "head": 80,
    }


def test_affine_of_is_the_norm_in_evaluation_mode():
    norm = randomise_norms(nn.BatchNorm2d(4)).eval()
    x = torch.randn(3, 4, 2, 2)
    scale, shift = affine_of(norm)
    assert torch.allclose(norm(x), x * scale[:, None, None] + shift[:, None, None], atol=1e-5)


def test_a_layer_that_runs_twice_has_no_width():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.head = nn.Linear(4, 8), nn.Linear(8, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(self.times):
                x = x + self.b(self.a(x).relu())
            return self.head(x)

    model, width = Twice(), InnerWidth(producer="a", coupled=(), consumer="b", channels=8)
    for model.times, expected in ((1, (width,)), (2, ())):
        assert probe(model, torch.randn(2, 4), [width]).widths == expected


@pytest.mark.parametrize("tail", [nn.Identity(), nn.Softmax(dim=1)], ids=["logits", "softmax"])
def test_what_the_classifier_reads_keeps_its_width(tail):
    """MobileNet's last convolution has one reader, the classifier: cutting it would change the pooled features."""
    model = nn.Sequential(mobilenet(), tail)
    images = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    small = compress(model, images, macs=0.8, progress=False).model
    with torch.no_grad():
        features = [net[0].forward_head(net[0].forward_features(images), pre_logits=True) for net in (model, small)]
    assert features[0].shape == features[1].shape
    assert small[0].conv_head.out_channels == model[0].conv_head.out_channels
    assert small[0].classifier.in_features == model[0].classifier.in_features


def test_the_width_before_the_classifier_is_what_the_probe_leaves_out():
    model = nn.Sequential(mobilenet(), nn.Softmax(dim=1))
    images = torch.randn(2, 3, 32, 32)
    inner = find_inner_widths(model, images)
    left = {width.consumer for width in probe(model, images, inner).widths}
    assert {width.consumer for width in inner} - left == {"0.classifier"}


@pytest.mark.parametrize("tail", [nn.Identity(), nn.Softmax(dim=1)], ids=["logits", "softmax"])
def test_only_the_last_layer_is_the_classifier(tail):
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3), tail)
    assert [width.producer for width in probed(model, torch.randn(2, 3, 2, 2)).widths] == ["1"]


def test_a_last_layer_that_joins_a_stream_is_no_classifier():
    class Headless(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.b(self.a(x).relu())

    assert [width.producer for width in probed(Headless(), torch.randn(2, 4)).widths] == ["a"]


def test_a_network_with_no_other_width_is_refused():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))
    with pytest.raises(InputError, match="exactly one other, the classifier apart"):
        compress(model, torch.randn(8, 3, 2, 2), progress=False)
