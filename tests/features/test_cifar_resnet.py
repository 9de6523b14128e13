import pytest
import timm
import torch

from ncapps.features.cifar_resnet import SubsampleShortcut


def test_the_shortcut_has_no_parameters_and_pads_new_channels_with_zeros_on_both_sides():
    shortcut = SubsampleShortcut(new_channels=4, stride=2)
    x = torch.arange(2 * 16.0).reshape(1, 2, 4, 4)
    out = shortcut(x)
    assert not list(shortcut.parameters())
    assert out.shape == (1, 6, 2, 2)
    assert torch.equal(out[:, 2:4], x[:, :, ::2, ::2])
    assert not out[:, :2].any()
    assert not out[:, 4:].any()


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_parameters_are_those_of_the_paper(depth, millions):
    count = sum(p.numel() for p in timm.create_model(f"cifar_resnet{depth}").parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.04)


def test_timms_interface():
    model = timm.create_model("cifar_resnet20", num_classes=7).eval()
    x = torch.randn(2, 3, 32, 32)
    features = model.forward_head(model.forward_features(x), pre_logits=True)
    assert features.shape == (2, 64)
    assert torch.allclose(model.get_classifier()(features), model(x), atol=1e-6)
    model.reset_classifier(0)
    assert torch.equal(model(x), features)
