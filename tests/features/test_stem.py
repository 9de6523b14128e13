"""Stems for small images, and the CIFAR ResNets."""

import pytest
import timm
import torch

from ncapps.errors import InputError
from ncapps.features import BackboneSpec, build_model


@pytest.mark.parametrize("name", ["resnet10t", "resnet18", "mobilenetv3_small_050", "test_efficientnet", "regnetx_002"])
def test_small_stem_keeps_every_pixel(name):
    batch = torch.zeros(1, 3, 32, 32)
    plain = build_model(BackboneSpec(name=name), seed=0).eval()
    small = build_model(BackboneSpec(name=name, small_stem=True), seed=0).eval()
    with torch.no_grad():
        before, after = plain.forward_features(batch).shape[-1], small.forward_features(batch).shape[-1]
    assert after == before * (4 if name.startswith("resnet") else 2)


@pytest.mark.parametrize("name", ["test_vit", "test_convnext"])
def test_networks_that_cut_patches_are_refused(name):
    with pytest.raises(InputError, match="begins with a strided convolution, but .* patches; use model_kwargs"):
        build_model(BackboneSpec(name=name, small_stem=True))


def test_cifar_resnets_have_timms_interface():
    model = timm.create_model("cifar_resnet20", num_classes=5)
    assert model.get_classifier().out_features == 5
    model.reset_classifier(0)
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 64)
        assert model.forward_features(torch.zeros(2, 3, 32, 32)).shape == (2, 64, 8, 8)
    assert {"conv1.weight", "bn1.weight", "layer3.2.conv2.weight", "linear.bias"} <= set(
        timm.create_model("cifar_resnet20").state_dict()
    )


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.73)])
def test_cifar_resnets_have_the_papers_parameters(depth, millions):
    model = timm.create_model(f"cifar_resnet{depth}")
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.007)


def test_the_shortcut_subsamples_and_pads_with_zeros():
    shortcut = timm.create_model("cifar_resnet20").layer2[0].shortcut
    x = torch.arange(16 * 16.0).reshape(1, 16, 4, 4)
    y = shortcut(x)
    assert y.shape == (1, 32, 2, 2)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert not y[:, :8].any()
    assert not y[:, 24:].any()
